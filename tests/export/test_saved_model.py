import io
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

import kseg
from kseg.export import ParityReport, SavedModelRunner, next_version, read_metadata, structured_images
from kseg.inference.runners.keras_model import KerasRunner
from kseg.labels import LabelSet
from tests.export.tiny import tiny_model

SIZE = (97, 129)
LABELS = LabelSet(("road", "sky", "car", "tree"), np.array([[9, 8, 7], [0, 255, 0], [1, 2, 3], [200, 10, 10]]))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Return (model, path, report, signatures) of one export, shared by the tests that only read it."""
    keras.utils.set_random_seed(3)
    path = tmp_path_factory.mktemp("serving") / "street" / "1"
    model = tiny_model()
    report = kseg.export.saved_model(model, path, maximum_side=150, probabilities=True, label_set=LABELS)
    return model, path, report, tf.saved_model.load(str(path)).signatures


def _encoded(image, kind="PNG", **arguments):
    content = io.BytesIO()
    image.save(content, kind, **arguments)
    return content.getvalue()


def _opened(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def _keras_labels(model, pixels):
    return keras.ops.convert_to_numpy(model(np.asarray(pixels, "float32")[None], training=False))[0].argmax(-1)


def _labels(signatures, content):
    answer = signatures["serve_bytes"](image_bytes=tf.constant([content]))
    return _opened(answer["labels_png_bytes"][0].numpy())


def test_report(served):
    _, path, report, _ = served
    assert report.label_agreement == 1.0 and report.bytes_agreement == 1.0
    assert report.max_abs_difference <= 1e-5
    assert report.images == [[4, 97, 129], [4, 128, 96]]
    assert report == ParityReport.load(str(path) + ".parity.json")
    assert report.size_bytes == sum(item.stat().st_size for item in path.rglob("*") if item.is_file())


def test_no_variable_is_read(served):
    _, path, report, _ = served
    assert not {"ReadVariableOp", "VarHandleOp", "IdentityN"} & set(report.operators)
    assert report.operators["SpaceToBatchND"] == 1  # of the depthwise layer alone: other dilations stay inside


@pytest.mark.slow
def test_a_machine_without_onednn_runs_it(served, tmp_path):
    _, path, _, _ = served
    pixels = structured_images(40, 51)
    np.save(tmp_path / "pixels.npy", pixels)
    code = ("import sys, numpy as np; from kseg.export import SavedModelRunner\n"
            "np.save(sys.argv[3], SavedModelRunner(sys.argv[1])(np.load(sys.argv[2])))")
    subprocess.run([sys.executable, "-c", code, path, tmp_path / "pixels.npy", tmp_path / "logits.npy"], check=True,
                   env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "-1"})
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), SavedModelRunner(path)(pixels), atol=1e-5)


def test_signatures(served):
    model, path, _, signatures = served
    pixels = structured_images(41, 30, seed=2)
    logits = keras.ops.convert_to_numpy(model(pixels.astype("float32"), training=False))
    np.testing.assert_allclose(SavedModelRunner(path)(pixels), logits, atol=1e-5)
    answer = signatures["serving_default"](pixels=tf.constant(pixels))
    assert answer["labels"].dtype == tf.uint8
    np.testing.assert_array_equal(answer["labels"], logits.argmax(-1))
    np.testing.assert_allclose(answer["probabilities"], tf.nn.softmax(logits), atol=1e-6)


def test_metadata_and_layout(served):
    _, path, _, _ = served
    found = read_metadata(path)
    assert found["signatures"] == ["logits", "serve_bytes", "serve_bytes_color", "serving_default"]
    assert LabelSet.from_dict(found["label_set"]) == LABELS
    assert found["maximum_side"] == 150
    assert sorted(os.listdir(path.parent)) == ["1", "1.parity.json"]


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_bytes_of_a_photograph_are_segmented_upright(served, orientation):
    model, _, _, signatures = served
    image = Image.fromarray(structured_images(60, 90)[1].astype(np.uint8))
    exif = Image.Exif()
    exif[274] = orientation
    content = _encoded(image, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    np.testing.assert_array_equal(_labels(signatures, content), _keras_labels(model, upright))


@pytest.mark.parametrize("kind", ["jpeg", "cmyk jpeg", "grey", "palette", "alpha", "one bit", "16 bits", "gif", "bmp",
                                  "grey bmp"])
def test_bytes_of_every_kind(served, kind):
    model, _, _, signatures = served
    picture = Image.fromarray(structured_images(*SIZE)[1])
    if kind == "16 bits":
        grey = picture.convert("L")
        content = _encoded(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257))
        reference = grey.convert("RGB")
    else:
        mode, format_ = {"jpeg": ("RGB", "JPEG"), "cmyk jpeg": ("CMYK", "JPEG"), "grey": ("L", "PNG"),
                         "palette": ("P", "PNG"), "alpha": ("RGBA", "PNG"), "one bit": ("1", "PNG"),
                         "gif": ("P", "GIF"), "bmp": ("RGB", "BMP"), "grey bmp": ("L", "BMP")}[kind]
        content = _encoded(picture.convert(mode), format_)
        reference = Image.open(io.BytesIO(content)).convert("RGB")
    found = _labels(signatures, content)
    assert found.dtype == np.uint8
    assert (found == _keras_labels(model, reference)).mean() >= 0.999


@pytest.mark.parametrize("size", [(1, 1), (1, 140), (3, 2)])
def test_smallest_images(served, size):
    model, _, _, signatures = served
    pixels = structured_images(*size)[0]
    np.testing.assert_array_equal(_labels(signatures, _encoded(Image.fromarray(pixels))), _keras_labels(model, pixels))


def test_large_images_are_segmented_smaller_and_come_back_at_their_size(served):
    model, _, _, signatures = served
    pixels = structured_images(400, 300)[1]
    found = _labels(signatures, _encoded(Image.fromarray(pixels)))
    smaller = tf.image.resize(pixels.astype("float32"), (150, 112), antialias=True).numpy()
    expected = tf.image.resize(_keras_labels(model, smaller)[..., None], (400, 300), method="nearest")[..., 0]
    assert found.shape == (400, 300)
    assert (found == expected.numpy()).mean() >= 0.999


def test_colours(served):
    _, _, _, signatures = served
    content = _encoded(Image.fromarray(structured_images(*SIZE)[0]))
    answer = signatures["serve_bytes_color"](image_bytes=tf.constant([content]))["color_png_bytes"][0].numpy()
    np.testing.assert_array_equal(_opened(answer), LABELS.colorize(_labels(signatures, content)))


def test_images_of_several_sizes_in_one_request(served):
    _, _, _, signatures = served
    contents = [_encoded(Image.fromarray(structured_images(*size)[0])) for size in ((20, 30), (33, 9))]
    answer = signatures["serve_bytes"](image_bytes=tf.constant(contents))["labels_png_bytes"].numpy()
    assert [_opened(entry).shape for entry in answer] == [(20, 30), (33, 9)]


@pytest.mark.parametrize("content, message", [
    (b"", "`image_bytes` must be a JPEG, PNG, BMP or GIF file"),
    (b"not an image at all", "`image_bytes` must be a JPEG, PNG, BMP or GIF file"),
    (_encoded(Image.fromarray(structured_images(64, 64)[3]), "JPEG")[:900], "Invalid JPEG data"),
    (_encoded(Image.fromarray(structured_images(64, 64)[3]))[:900], "Invalid PNG data"),
], ids=["empty", "text", "truncated jpeg", "truncated png"])
def test_malformed_bytes_are_a_status(served, content, message):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        _labels(served[3], content)
    assert message in str(caught.value)


@pytest.mark.slow
def test_a_huge_image(served):
    pixels = np.zeros((9000, 12000, 3), np.uint8)
    pixels[3000:, 5000:] = (250, 120, 10)
    content = _encoded(Image.fromarray(pixels), "JPEG")
    answer = served[3]["serve_bytes"](image_bytes=tf.constant([content]))["labels_png_bytes"][0]
    assert tf.io.decode_png(answer).shape == (9000, 12000, 1)


@pytest.mark.slow
def test_tensorflow_command_line_runs_it(served, tmp_path):
    model, path, _, _ = served
    pixels = structured_images(40, 56)[:1]
    np.save(tmp_path / "pixels.npy", pixels)
    subprocess.run([os.path.join(os.path.dirname(sys.executable), "saved_model_cli"), "run", "--dir", str(path),
                    "--tag_set", "serve", "--signature_def", "serving_default", "--outdir", str(tmp_path),
                    "--inputs", f"pixels={tmp_path / 'pixels.npy'}"], check=True, capture_output=True)
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy")[0], _keras_labels(model, pixels[0]))


def test_warm_up_requests_are_what_the_server_reads(served):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    _, path, _, signatures = served
    records = tf.data.TFRecordDataset(str(path / "assets.extra" / "tf_serving_warmup_requests"))
    requests = [logs.PredictionLog.FromString(record.numpy()).predict_log.request for record in records]
    assert [request.model_spec.signature_name for request in requests] == ["serving_default", "serve_bytes"]
    for request in requests:
        assert request.model_spec.name == "street"
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        signatures[request.model_spec.signature_name](**inputs)


def test_fixed_size_and_one_band(tmp_path):
    model, path = tiny_model(channels=1), tmp_path / "grey" / "1"
    kseg.export.saved_model(model, path, image_size=(32, 48))
    signatures = tf.saved_model.load(str(path)).signatures
    assert signatures["serving_default"].structured_input_signature[1]["pixels"].shape == (None, 32, 48, 1)
    assert _labels(signatures, _encoded(Image.fromarray(structured_images(50, 70)[1]))).shape == (50, 70)
    grey = Image.fromarray(structured_images(32, 48)[1]).convert("L")
    for mode, kind in (("L", "PNG"), ("L", "BMP"), ("RGB", "BMP"), ("L", "GIF"), ("L", "JPEG")):
        content = _encoded(grey.convert(mode), kind, **({"quality": 100} if kind == "JPEG" else {}))
        found = _labels(signatures, content)
        assert (found == _keras_labels(model, np.asarray(Image.open(io.BytesIO(content)).convert("L"))[..., None])
                ).mean() >= 0.995, (mode, kind)


def test_many_bands_have_no_bytes(tmp_path):
    kseg.export.saved_model(tiny_model(channels=5), tmp_path / "1", image_size=(16, 16))
    assert read_metadata(tmp_path / "1")["signatures"] == ["logits", "serving_default"]


def test_a_failing_comparison_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(KerasRunner, "run", lambda self, batch: np.zeros((1, 16, 16, 4), np.float32))
    with pytest.raises(ValueError, match="`model` must answer after export as it does in Keras"):
        kseg.export.saved_model(tiny_model(), tmp_path / "street" / "1", image_size=(16, 16))
    assert os.listdir(tmp_path) == []


def test_an_existing_version_is_refused(tmp_path):
    (tmp_path / "1").mkdir()
    path = str(tmp_path / "1")
    with pytest.raises(FileExistsError) as caught:
        kseg.export.saved_model(tiny_model(), path)
    assert str(caught.value) == f"`path` must not exist, got path={path!r}. Choose another path or pass overwrite=True."


def test_wrong_images(tmp_path):
    with pytest.raises(ValueError) as caught:
        kseg.export.saved_model(tiny_model(), tmp_path / "1", image_size=(16, 16), images=np.zeros((1, 8, 16, 3)))
    assert str(caught.value) == ("`images` must be an array [N, 16, 16, 3], got images=(1, 8, 16, 3). "
                                 "Resize them to image_size.")


@pytest.mark.slow
def test_a_network_of_valid_convolutions_is_exported_at_the_size_of_its_tiles(tmp_path):
    keras.utils.set_random_seed(5)
    model = kseg.models.UNet(3, padding="valid", filters=4)
    report = kseg.export.saved_model(model, tmp_path / "1", image_size=(188, 204))
    lite = kseg.export.tflite(model, tmp_path / "m.tflite", (188, 204))
    assert report.label_agreement == 1.0 and lite.label_agreement >= 0.999
    assert read_metadata(tmp_path / "1")["signatures"] == ["logits", "serving_default"]
    image = structured_images(40, 60)[1]
    wanted = kseg.predict(model, image, "logits", window=(188, 204))
    for path in (tmp_path / "1", tmp_path / "m.tflite"):
        np.testing.assert_allclose(kseg.predict(path, image, "logits"), wanted, atol=1e-3)
    for size, sentence in (((None, None), "`image_size` must be given for a network of valid convolutions"),
                           ((190, 204), "`image_size` must")):
        with pytest.raises(ValueError, match=sentence):
            kseg.export.saved_model(model, tmp_path / "2", image_size=size)
    with pytest.raises(ValueError, match="`evaluate_on` must be None for a network of valid convolutions"):
        kseg.export.tflite(model, tmp_path / "n.tflite", (188, 204), evaluate_on=[])
    assert sorted(os.listdir(tmp_path)) == ["1", "1.parity.json", "m.tflite", "m.tflite.parity.json"]


def test_next_version(tmp_path):
    assert next_version(tmp_path / "street") == str(tmp_path / "street" / "1")
    for name in ("2", "10", "notes", ".11.part", "10.parity.json"):
        (tmp_path / "street" / name).mkdir(parents=True)
    assert next_version(tmp_path / "street") == str(tmp_path / "street" / "11")


def test_next_version_loads_no_tensorflow(tmp_path):
    code = ("import sys, kseg; kseg.export.next_version(sys.argv[1]); "
            "assert not {'tensorflow', 'keras'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_a_name_stays_the_function_after_its_file_is_imported():
    from kseg.export.saved_model import saved_model
    from kseg.export.tflite import tflite

    assert kseg.export.saved_model is saved_model and kseg.export.tflite is tflite
