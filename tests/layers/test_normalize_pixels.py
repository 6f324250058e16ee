"""Normalisation by hand, and grey images as three equal channels."""

import numpy as np
import tensorflow as tf

from kseg.layers import NormalizePixels
from tests.conftest import structured_image

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def test_equals_the_formula_for_bytes_and_floats():
    pixels = structured_image(7, 9)[None]
    expected = (pixels - np.array(MEAN)) / np.array(STD)
    for values in (pixels, pixels.astype("float32")):
        np.testing.assert_allclose(NormalizePixels(MEAN, STD)(values), expected, atol=1e-5)


def test_one_band_gives_what_three_equal_bands_give():
    grey = structured_image(7, 9)[None][..., :1]
    layer = NormalizePixels(MEAN, STD)
    np.testing.assert_array_equal(layer(grey), NormalizePixels(MEAN, STD)(np.repeat(grey, 3, -1)))


def test_more_bands_repeat_mean_and_std():
    pixels = structured_image(7, 9, 5)[None]
    expected = (pixels - np.array(MEAN)[[0, 1, 2, 0, 1]]) / np.array(STD)[[0, 1, 2, 0, 1]]
    np.testing.assert_allclose(NormalizePixels(MEAN, STD)(pixels), expected, atol=1e-5)


def test_half_precision_normalises_in_float32():
    pixels = np.full((1, 2, 2, 3), 200.3, "float32")
    outputs = NormalizePixels(MEAN, STD, dtype="mixed_float16")(pixels)
    assert outputs.dtype == tf.float16
    np.testing.assert_allclose(outputs, (pixels - np.array(MEAN)) / np.array(STD), rtol=1e-3)
