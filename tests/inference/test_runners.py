"""Exported models of kseg answer through the same face as the Keras model they come from."""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg.inference import predict_tiled
from kseg.inference.runners import Runner, runner
from kseg.labels import LabelSet
from kseg.layers import NormalizePixels, ResizeTo
from kseg.models.segmenter import Segmenter

LABELS = LabelSet(("street", "sky", "other"))


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


@pytest.mark.slow
def test_saved_model_of_kseg(model, tmp_path):
    kseg.export.saved_model(model, tmp_path / "street" / "1")
    run = runner(tmp_path / "street" / "1")
    assert (run.classes, run.in_channels, run.image_size, run.label_set) == (3, 3, None, LABELS)
    for image in (photo(), photo(31, 77)):
        np.testing.assert_allclose(kseg.predict(run, image, "logits"), kseg.predict(model, image, "logits"), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [{}, {"output": "labels"}])
def test_tflite_of_kseg(model, tmp_path, arguments):
    kseg.export.tflite(model, tmp_path / "m.tflite", image_size=(48, 64), **arguments)
    run = runner(tmp_path / "m.tflite")
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
    run = runner(tmp_path / "any.tflite")
    assert (run.classes, run.image_size) == (3, None)
    for image in (photo(), photo(31, 77), photo()):
        wanted = convolution(image[None] / np.float32(255)).numpy()[0]
        np.testing.assert_allclose(kseg.predict(run, image, "logits"), wanted, atol=1e-5)


def test_one_side_fixed_alone_is_refused():
    pixels = keras.Input((None, 64, 3))
    with pytest.raises(ValueError) as caught:
        runner(keras.Model(pixels, keras.layers.Conv2D(2, 1)(pixels)))
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
    run, image = runner(labels_file), photo(16, 24)
    assert run.labels_only and not runner(band_runner()).labels_only
    for output in ("probabilities", "logits"):
        for function in (kseg.predict, predict_tiled):
            with pytest.raises(ValueError) as caught:
                function(run, image, output)
            assert str(caught.value) == (
                f"`output` must be 'labels' for a file that was exported with output='labels', got output={output!r}. "
                "Export it with kseg.export.tflite(..., output='logits').")
    wanted = image.argmax(-1)
    for options in ({}, {"flip": True}, {"window": (16, 24), "overlap": 0.4}):
        np.testing.assert_array_equal(kseg.predict(run, image, **options), wanted)
    big = np.repeat(np.repeat(image, 3, 0), 2, 1)
    np.testing.assert_array_equal(kseg.predict(run, big, window=(16, 24), flip=True), big.argmax(-1))


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
    return Runner(lambda pixels: pixels / 32, 3, 3, LABELS)


@pytest.mark.slow
def test_int8_tflite_of_kseg(model, tmp_path):
    images = np.stack([photo(), photo()[::-1], photo()[:, ::-1], photo() // 2])
    kseg.export.tflite(model, tmp_path / "m.tflite", image_size=(48, 64), quantize="int8", calibration=images)
    agreement = np.mean(kseg.predict(tmp_path / "m.tflite", images) == kseg.predict(model, images))
    assert agreement > 0.95


def test_keras_model_says_what_it_is(model):
    run = runner(model)
    assert (run.classes, run.in_channels, run.image_size, run.label_set) == (3, 3, None, LABELS)
    assert runner(run) is run


def test_a_model_that_is_no_segmenter_is_refused():
    inputs = keras.Input((8,))
    with pytest.raises(TypeError) as caught:
        runner(keras.Model(inputs, keras.layers.Dense(2)(inputs), name="dense"))
    assert str(caught.value) == ("`model` must have one input, pixels [B, H, W, channels], and give logits "
                                 "[B, H, W, classes], got model='dense'. Build one with kseg.models.")
