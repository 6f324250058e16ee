"""Exported models of kseg answer through the same face as the Keras model they come from."""

import keras
import numpy as np
import pytest

import kseg
from kseg.inference.runners import runner
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
    np.testing.assert_array_equal(kseg.predict(run, photo()), kseg.predict(model, photo()))
    assert kseg.predict(run, photo(31, 77)).shape == (31, 77)


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
