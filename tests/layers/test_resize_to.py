"""One resize convention: half-pixel centres, at sizes known or unknown when the graph is built."""

import numpy as np
import tensorflow as tf

from kseg.layers import ResizeTo
from tests.conftest import structured_image


def reference(inputs, height, width):
    """Bilinear interpolation with half-pixel centres, clamped at the border, written out pixel by pixel."""
    rows = np.clip((np.arange(height) + 0.5) * inputs.shape[1] / height - 0.5, 0, inputs.shape[1] - 1)
    columns = np.clip((np.arange(width) + 0.5) * inputs.shape[2] / width - 0.5, 0, inputs.shape[2] - 1)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    bottom, right = np.minimum(top + 1, inputs.shape[1] - 1), np.minimum(left + 1, inputs.shape[2] - 1)
    v, h = (rows - top)[:, None, None], (columns - left)[None, :, None]
    image = inputs[0]
    upper = image[top][:, left] * (1 - h) + image[top][:, right] * h
    lower = image[bottom][:, left] * (1 - h) + image[bottom][:, right] * h
    return (upper * (1 - v) + lower * v)[None]


def test_equals_the_written_out_formula():
    inputs = structured_image(9, 13)[None].astype("float32")
    for height, width in ((36, 52), (31, 17), (97, 129), (9, 40)):
        actual = ResizeTo()(inputs, np.zeros((1, height, width, 1), "float32"))
        np.testing.assert_allclose(actual, reference(inputs, height, width), atol=1e-3)


def test_unknown_sizes_and_half_precision():
    layer = ResizeTo(dtype="float16")
    run = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 3), tf.float16),
                                              tf.TensorSpec((None, None, None, None))])
    outputs = run(np.ones((1, 4, 5, 3), "float16"), np.zeros((1, 8, 7, 1), "float32"))
    assert outputs.shape == (1, 8, 7, 3) and outputs.dtype == tf.float16


def test_equal_size_is_left_alone():
    inputs = tf.constant(structured_image(9, 13)[None].astype("float32"))
    assert ResizeTo()(inputs, inputs) is not None
    np.testing.assert_array_equal(ResizeTo()(inputs, inputs), inputs)
