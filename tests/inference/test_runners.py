"""The contract of every runner: one model in every format answers alike, and refuses alike."""

import importlib.util
import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg.inference import predict_tiled
from kseg.inference.runners import runner_for
from kseg.inference.runners.tflite import TFLiteModel, quantized
from kseg.labels import LabelSet
from kseg.layers import NormalizePixels, ResizeTo
from kseg.models.segmenter import Segmenter
from tests.inference.function_runner import FunctionRunner

LABELS = LabelSet(("street", "sky", "other"))
ONNX = bool(importlib.util.find_spec("tf2onnx") and importlib.util.find_spec("onnxruntime"))  # an extra
every_format = pytest.mark.parametrize("name", [
    "keras", "saved_model", "tflite", pytest.param("onnx", marks=pytest.mark.skipif(not ONNX, reason="an extra"))])


@pytest.fixture(scope="module")
def model():
    """A small segmenter whose logits follow the brightness of red and green, so that every class occurs."""
    keras.utils.set_random_seed(7)
    pixels = keras.Input((None, None, 3), name="pixels")
    features = NormalizePixels((127.5,), (63.75,))(pixels)
    features = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(features)
    logits = ResizeTo(dtype="float32")(keras.layers.Conv2D(3, 1)(features), pixels)
    return Segmenter(pixels, logits, name="small", label_set=LABELS)


def photo(height=48, width=64):
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows * 5 % 256, columns * 4 % 256, (rows - columns) % 256], -1)
    image[10:20, 30:44] = (250, 10, 10)
    return image.astype("uint8")


@pytest.fixture(scope="module")
def formats(model, tmp_path_factory):
    """The model for images of 48x64 pixels in every format: name -> runner."""
    folder = tmp_path_factory.mktemp("formats")
    pixels = keras.Input((48, 64, 3), name="pixels")
    fixed = Segmenter(pixels, model(pixels), name="fixed", label_set=LABELS)
    kseg.export.saved_model(fixed, folder / "1", warm_up_requests=False)
    kseg.export.tflite(fixed, folder / "m.tflite", image_size=(48, 64))
    files = ["m.tflite"]
    if ONNX:
        kseg.export.onnx(fixed, folder / "m.onnx")
        files.append("m.onnx")
    return {"keras": runner_for(fixed), "saved_model": runner_for(folder / "1"),
            **{name.removeprefix("m."): runner_for(folder / name) for name in files}}


@every_format
def test_every_format_says_what_it_takes_and_answers_alike(formats, name):
    run, images = formats[name], np.stack([photo(), photo()[::-1]])
    assert (run.classes, run.shape, run.in_channels, run.image_size) == (3, (48, 64, 3), 3, (48, 64))
    assert (run.label_set, run.margin, run.labels_only, run.dtype) == (LABELS, 0, False, np.float32)
    assert (run.metadata is None) == (name == "keras") and (name == "keras" or run.metadata["model"] == "fixed")
    logits = run(images)
    assert logits.shape == (2, 48, 64, 3) and logits.dtype == np.float32
    np.testing.assert_allclose(logits, formats["keras"](images.astype("float32")), atol=1e-4)
    np.testing.assert_array_equal(kseg.predict(run, images), logits.argmax(-1))


@every_format
@pytest.mark.parametrize("shape", [(1, 40, 64, 3), (48, 64, 3), (1, 48, 64, 4)])
def test_every_format_refuses_other_pixels_in_the_same_words(formats, name, shape):
    with pytest.raises(ValueError) as caught:
        formats[name](np.zeros(shape))
    assert str(caught.value) == (
        f"`pixels` must have shape [B, 48, 64, 3], which this model takes, got pixels={shape}. Resize the images with "
        "kseg.predict, or build or export the model for their size.")


def test_numbers_are_stored_with_the_scale_of_the_file():
    """The nearest step, within the range of the type; a file without a scale takes the numbers as they are."""
    values = np.array([-3, 0.4, 0.6, 127.5, 300], np.float32)
    for dtype, scale, zero, expected in ((np.uint8, 1.0, 0, [0, 0, 1, 128, 255]),
                                         (np.uint8, 0.0, 0, [0, 0, 1, 128, 255]),
                                         (np.int8, 1.0, -128, [-128, -128, -127, 0, 127]),
                                         (np.int8, 2.0, -128, [-128, -128, -128, -64, 22])):
        stored = quantized(values, {"dtype": dtype, "quantization": (scale, zero)})
        assert stored.dtype == dtype and stored.tolist() == expected
    assert quantized(values, {"dtype": np.float32, "quantization": (0.0, 0)}).dtype == np.float32


@pytest.mark.slow
def test_saved_model_of_kseg(model, tmp_path):
    kseg.export.saved_model(model, tmp_path / "street" / "1")
    run = runner_for(tmp_path / "street" / "1")
    assert (run.classes, run.in_channels, run.image_size, run.label_set) == (3, 3, None, LABELS)
    for image in (photo(), photo(31, 77)):
        np.testing.assert_allclose(kseg.predict(run, image, "logits"), kseg.predict(model, image, "logits"), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [{}, {"output": "labels"}])
def test_tflite_of_kseg(model, tmp_path, arguments):
    kseg.export.tflite(model, tmp_path / "m.tflite", image_size=(48, 64), **arguments)
    run = runner_for(tmp_path / "m.tflite")
    assert (run.classes, run.in_channels, run.image_size, run.label_set) == (3, 3, (48, 64), LABELS)
    assert run.labels_only == bool(arguments)
    np.testing.assert_array_equal(kseg.predict(run, photo()), kseg.predict(model, photo()))
    assert kseg.predict(run, photo(31, 77)).shape == (31, 77)


def test_tflite_of_any_size_from_elsewhere(tmp_path):
    convolution = keras.layers.Conv2D(3, 3, padding="same")

    class Network(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, None, None, 3), tf.float32)])
        def __call__(self, pixels):
            return convolution(pixels / 255.0)

    module = Network()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.__call__.get_concrete_function()], module)
    (tmp_path / "any.tflite").write_bytes(converter.convert())
    run = runner_for(tmp_path / "any.tflite")
    assert (run.classes, run.image_size) == (3, None)
    for image in (photo(), photo(31, 77), photo()):
        wanted = convolution(image[None] / np.float32(255)).numpy()[0]
        np.testing.assert_allclose(kseg.predict(run, image, "logits"), wanted, atol=1e-5)


def test_one_side_fixed_alone_is_refused():
    pixels = keras.Input((None, 64, 3))
    with pytest.raises(ValueError) as caught:
        runner_for(keras.Model(pixels, keras.layers.Conv2D(2, 1)(pixels)))
    assert str(caught.value) == (
        "`model` must take images of one size or of any, not fix one side alone, got model=(None, None, 64, 3). "
        "Build or export it with both sides, or with neither.")


@pytest.fixture
def labels_file(tmp_path):
    """A TFLite file of 16×24 pixels that answers with the class of the largest band."""
    class Largest(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 16, 24, 3), tf.float32)])
        def __call__(self, pixels):
            return tf.cast(tf.argmax(pixels, -1), tf.uint8)

    module = Largest()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.__call__.get_concrete_function()], module)
    path = tmp_path / "labels.tflite"
    path.write_bytes(converter.convert())
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("kseg.json", json.dumps({"label_set": LABELS.to_dict(), "classes": 3}))
    return path


def test_a_file_of_labels_gives_no_probabilities(labels_file):
    run, image = runner_for(labels_file), photo(16, 24)
    assert run.labels_only and not runner_for(band_runner()).labels_only
    for output in ("probabilities", "logits"):
        for function in (kseg.predict, predict_tiled):
            with pytest.raises(ValueError) as caught:
                function(run, image, output)
            assert str(caught.value) == (
                f"`output` must be 'labels' for a file that was exported with output='labels', got output={output!r}. "
                "Export it with output='logits'.")
    wanted = image.argmax(-1)
    for options in ({}, {"flip": True}, {"window": (16, 24), "overlap": 0.4}):
        np.testing.assert_array_equal(kseg.predict(run, image, **options), wanted)
    big = np.repeat(np.repeat(image, 3, 0), 2, 1)
    np.testing.assert_array_equal(kseg.predict(run, big, window=(16, 24), flip=True), big.argmax(-1))


@pytest.mark.parametrize("metadata, sentence", [
    ({"classes": [3]}, "to labels in integers"), ({"classes": "aaa"}, "to labels in integers"),
    ({"classes": 2}, r"`model` must answer with labels 0 to 1, the classes that it describes, got model=\[0, 2\]")])
def test_a_damaged_description_of_a_file_of_labels_is_told(labels_file, metadata, sentence):
    content = labels_file.read_bytes()
    labels_file.write_bytes(content[:content.index(b"PK\x03\x04")])
    with zipfile.ZipFile(labels_file, "a") as file:
        file.writestr("kseg.json", json.dumps(metadata))
    with pytest.raises(ValueError, match=sentence):
        kseg.predict(runner_for(labels_file), photo(16, 24), flip=True)


def test_numbers_that_are_no_labels_are_not_taken_for_them(tmp_path):
    class Doubled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 16, 24, 3), tf.float32)])
        def __call__(self, pixels):
            return 2 * pixels

    module = Doubled()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.__call__.get_concrete_function()], module)
    path = tmp_path / "logits.tflite"
    path.write_bytes(converter.convert())
    assert not runner_for(path).labels_only
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("kseg.json", json.dumps({"output": "labels"}))
    with pytest.raises(ValueError, match="to logits, or to labels in integers"):
        runner_for(path)


def test_a_file_of_labels_is_evaluated_without_its_confidence(labels_file, tmp_path):
    image = photo(16, 24)
    labels = image.argmax(-1)
    labels[:, :5] = 1
    result = kseg.evaluate(labels_file, [(image, labels)])
    direct = kseg.evaluate(band_runner(), [(image, labels)])
    np.testing.assert_array_equal(result.confusion, direct.confusion)
    assert np.isnan(result.expected_calibration_error) and not np.isnan(direct.expected_calibration_error)
    assert np.isnan(result.worst[0].entropy).all()
    result.write(tmp_path / "report")
    assert json.loads((tmp_path / "report" / "report.json").read_text())["scores"]["expected_calibration_error"] is None


def band_runner():
    return FunctionRunner(lambda pixels: pixels / 32, 3, 3, LABELS)


@pytest.mark.slow
def test_int8_tflite_of_kseg(model, tmp_path):
    images = np.stack([photo(), photo()[::-1], photo()[:, ::-1], photo() // 2])
    kseg.export.tflite(model, tmp_path / "m.tflite", image_size=(48, 64), quantize="int8", calibration=images)
    agreement = np.mean(kseg.predict(tmp_path / "m.tflite", images) == kseg.predict(model, images))
    assert agreement > 0.95
    used, proved = runner_for(tmp_path / "m.tflite"), kseg.export.TFLiteModel(tmp_path / "m.tflite")
    assert type(used) is type(proved) is TFLiteModel and used.dtype == np.uint8
    np.testing.assert_array_equal(used(images), proved(images))


def test_keras_model_says_what_it_is(model):
    run = runner_for(model)
    assert (run.classes, run.in_channels, run.image_size, run.label_set) == (3, 3, None, LABELS)
    assert runner_for(run) is run


def test_a_model_that_is_no_segmenter_is_refused():
    inputs = keras.Input((8,))
    with pytest.raises(TypeError) as caught:
        runner_for(keras.Model(inputs, keras.layers.Dense(2)(inputs), name="dense"))
    assert str(caught.value) == ("`model` must have one input, pixels [B, H, W, channels], and give logits "
                                 "[B, H, W, classes], got model='dense'. Build one with kseg.models.")
