"""A `.keras` file from a stranger runs nothing, touches no other file, and gets no memory that it is not worth."""

import io
import json
import os
import stat
import zipfile

import h5py
import keras
import numpy as np
import pytest

import kseg
from kseg.layers import NormalizePixels


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """What the members of a model's file hold, by name."""
    pixels = keras.Input((None, None, 3), name="pixels")
    logits = keras.layers.Conv2D(2, 1, name="scores")(NormalizePixels([127.5] * 3, [64.0] * 3)(pixels))
    path = tmp_path_factory.mktemp("model") / "m.keras"
    keras.Model(pixels, logits).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(folder, members):
    with zipfile.ZipFile(folder / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return folder / "m.keras"


def with_layer(honest, **changes):
    """Return the members with other facts about the convolution."""
    config = json.loads(honest["config.json"])
    scores = next(layer for layer in config["config"]["layers"] if layer["config"]["name"] == "scores")
    scores.update(changes)
    return {**honest, "config.json": json.dumps(config)}


def with_settings(honest, **changes):
    config = json.loads(honest["config.json"])
    scores = next(layer for layer in config["config"]["layers"] if layer["config"]["name"] == "scores")
    return with_layer(honest, config={**scores["config"], **changes})


def refused(path, rule):
    with pytest.raises(ValueError) as caught:
        kseg.load_model(path)
    assert str(caught.value).startswith("`path` must ") and rule in str(caught.value), caught.value
    assert f"got path={str(path)!r}" in str(caught.value)


def test_the_honest_file_loads(honest, tmp_path):
    model = kseg.load_model(written(tmp_path, honest))
    assert model.count_params() == 8


def test_python_in_a_file_does_not_run_even_where_keras_allows_it(tmp_path):
    mark = str(tmp_path / "ran")
    pixels = keras.Input((None, None, 3))
    keras.Model(pixels, keras.layers.Lambda(lambda values: [open(mark, "w").close(), values][1])(pixels)).save(
        tmp_path / "m.keras")
    os.remove(mark)  # of building it
    keras.config.enable_unsafe_deserialization()
    try:
        refused(tmp_path / "m.keras", "without code; this one has a Lambda layer")
        assert not os.path.exists(mark)
        keras.saving.load_model(tmp_path / "m.keras")
        assert os.path.exists(mark)  # it would have run
    finally:
        keras.backend.clear_session()  # Keras has no other way back


@pytest.mark.parametrize("kind", ["TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer", "Lambda", "__lambda__"])
def test_layers_of_code_are_refused(kind, honest, tmp_path):
    refused(written(tmp_path, with_layer(honest, module="keras.layers", class_name=kind)), "must be a .keras file "
            "without code")


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


@pytest.mark.parametrize("module, name", [
    ("keras.utils", "get_file"), ("keras.utils", "set_random_seed"), ("keras.config", "enable_unsafe_deserialization"),
    ("keras.config", "set_floatx"), ("keras.saving", "load_model"), ("keras.backend", "clear_session"),
    ("keras.preprocessing.image", "load_img"), ("os", "system"), ("builtins", "eval"), ("subprocess", "check_call"),
    ("kseg.files", "write_text"), ("keras.src.utils.file_utils", "get_file"), ("tensorflow.io", "write_file")])
def test_functions_that_are_no_part_of_models_are_refused(module, name, honest, tmp_path):
    members = with_settings(honest, activation=function(module, name))
    with pytest.raises(ValueError, match="^`path` must "):
        kseg.load_model(written(tmp_path, members))
    with pytest.raises(ValueError, match="^`path` must "):
        kseg.load_model(written(tmp_path, with_layer(honest, module=module, class_name=name)))


def test_a_layer_that_would_read_a_file_is_refused(honest, tmp_path):
    members = with_layer(honest, module="keras.layers", class_name="StringLookup",
                         config={"name": "scores", "vocabulary": "/etc/passwd"})
    refused(written(tmp_path, members), "of layers for images, not of keras.layers.StringLookup")


@pytest.mark.parametrize("settings", [
    {"filters": 2 ** 40}, {"filters": 2 ** 20, "kernel_size": [2 ** 10, 2 ** 10]}], ids=str)
def test_weights_that_the_file_does_not_hold_get_no_memory(settings, honest, tmp_path):
    refused(written(tmp_path, with_settings(honest, **settings)), "that holds all weights of its model")
    kept = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])  # would make what Keras still waits to make
    assert kept.count_params() == 8


def test_a_metric_of_many_classes_gets_no_table(honest, tmp_path):
    config = json.loads(honest["config.json"])
    config["compile_config"] = {"optimizer": "sgd", "loss": None, "metrics": [
        {"module": "keras.metrics", "class_name": "MeanIoU", "config": {"num_classes": 10 ** 6},
         "registered_name": None}]}
    refused(written(tmp_path, {**honest, "config.json": json.dumps(config)}), "of at most 4096 classes")


def link(name):
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize("members", [
    {"../outside.txt": b"x"}, {"assets/../../outside.txt": b"x"}, {"/tmp/outside.txt": b"x"},
    {link("assets"): "/tmp"}, {"assets/a.bin": bytes(2 ** 27)}], ids=["up", "up from below", "root", "link", "bomb"])
def test_archives_stay_in_their_folder_and_small(members, honest, tmp_path):
    refused(written(tmp_path, {**honest, **members}), "must be a whole .keras file")
    assert os.listdir(tmp_path) == ["m.keras"]


@pytest.mark.parametrize("change", [
    lambda file: file.create_dataset("bomb", (2 ** 40,), "f4", chunks=(2 ** 16,)),
    lambda file: file.create_dataset("bomb", (4,), "u1", external=[("/etc/passwd", 0, 4)]),
    lambda file: file.__setitem__("link", h5py.ExternalLink("/etc/passwd", "/")),
])
def test_weights_stand_in_the_file_itself(change, honest, tmp_path):
    content = io.BytesIO(honest["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        change(file)
    refused(written(tmp_path, {**honest, "model.weights.h5": content.getvalue()}), "must be a whole .keras file")


@pytest.mark.parametrize("content", [
    b"", b"[]", b"null", b"{}", b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"\xff",
    b'{"class_name": "Dense", "module": "keras.layers", "config": {"units": 3}}',
    b'{"class_name": ["x"], "config": {}}', b'{"class_name": "Functional", "module": "keras", "config": {"layers": 7}}',
], ids=range(10))
def test_other_descriptions_are_refused(content, honest, tmp_path):
    with pytest.raises(ValueError, match="^`path` must "):
        kseg.load_model(written(tmp_path, {**honest, "config.json": content}))


def test_a_class_of_ones_own_that_is_in_a_scope_of_keras_loads(tmp_path):
    class Twice(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    pixels = keras.Input((4, 4, 3))
    keras.Model(pixels, Twice()(pixels)).save(tmp_path / "m.keras")
    with keras.saving.custom_object_scope({"Twice": Twice}):
        model = kseg.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(model(np.ones((1, 4, 4, 3))), np.full((1, 4, 4, 3), 2.0))
    refused(tmp_path / "m.keras", "Could not locate class 'Twice'")
