import pytest

from kseg.serving import batching_parameters, docker_command, models_config, write_config


def _export(folder, name, *versions):
    for version in versions:
        (folder / name / str(version)).mkdir(parents=True)
        (folder / name / str(version) / "saved_model.pb").write_text("")


def test_models_config_is_what_the_server_reads():
    text = models_config({"street": "/models/street", "ro\"of": "/models/roof"}, {"street": [3, 4]})
    assert text == ('model_config_list {\n  config {\n    name: "street"\n    base_path: "/models/street"\n'
                    '    model_platform: "tensorflow"\n'
                    '    model_version_policy { specific { versions: 3 versions: 4 } }\n  }\n'
                    '  config {\n    name: "ro\\"of"\n    base_path: "/models/roof"\n'
                    '    model_platform: "tensorflow"\n  }\n}\n')
    messages = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    from google.protobuf import text_format

    parsed = text_format.Parse(text, messages.ModelServerConfig())
    assert [entry.name for entry in parsed.model_config_list.config] == ["street", 'ro"of']
    assert list(parsed.model_config_list.config[0].model_version_policy.specific.versions) == [3, 4]


def test_batching_parameters():
    assert batching_parameters(4, 2.5, threads=3, queue=7) == (
        "max_batch_size { value: 4 }\nbatch_timeout_micros { value: 2500 }\nnum_batch_threads { value: 3 }\n"
        "max_enqueued_batches { value: 7 }\n")


def test_write_config(tmp_path):
    _export(tmp_path, "street", 1, 2)
    _export(tmp_path, "roof", 7)
    (tmp_path / "notes").mkdir()
    line = write_config(tmp_path, batching=True, threads=2)
    assert line == (f"docker run --rm -p 8501:8501 -p 8500:8500 -v {tmp_path}:/models:ro tensorflow/serving:latest "
                    "--model_config_file=/models/models.config --enable_batching=true "
                    "--batching_parameters_file=/models/batching.config")
    assert (tmp_path / "models.config").read_text().count("config {") == 2
    assert "num_batch_threads { value: 2 }" in (tmp_path / "batching.config").read_text()


def test_it_does_not_overwrite(tmp_path):
    _export(tmp_path, "street", 1)
    write_config(tmp_path)
    with pytest.raises(FileExistsError) as caught:
        write_config(tmp_path)
    assert str(caught.value) == (f"`folder` must not hold models.config yet, got folder={str(tmp_path)!r}. Remove the "
                                 "file or pass overwrite=True.")
    assert "enable_batching" not in write_config(tmp_path, overwrite=True)


def test_no_model(tmp_path):
    with pytest.raises(ValueError) as caught:
        write_config(tmp_path)
    assert str(caught.value) == (
        f"`folder` must hold a folder for each model with its numbered versions inside, got folder={str(tmp_path)!r}. "
        'Export one with kseg.export.saved_model(model, "<folder>/street/1").')
    with pytest.raises(ValueError, match="`models` must name at least one model"):
        models_config({})
    with pytest.raises(ValueError, match="`names` must name at least one model"):
        docker_command(tmp_path, [])
