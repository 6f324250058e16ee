"""Adaptive pooling equals a loop over torch's window rule, also where the size is known only at run time."""

import numpy as np
import pytest
import tensorflow as tf

from kseg.layers import AdaptiveAveragePooling2D
from tests.conftest import structured_image


def reference(inputs, bins):
    batch, height, width, channels = inputs.shape
    outputs = np.zeros((batch, bins, bins, channels))
    for i in range(bins):
        for j in range(bins):
            top, bottom = i * height // bins, -(-(i + 1) * height // bins)
            left, right = j * width // bins, -(-(j + 1) * width // bins)
            outputs[:, i, j] = inputs[:, top:bottom, left:right].mean(axis=(1, 2))
    return outputs


@pytest.mark.parametrize("size", [(12, 18), (13, 17), (60, 60), (4, 5), (1, 1)])
@pytest.mark.parametrize("bins", [1, 2, 3, 6])
def test_equals_the_window_loop(bins, size):
    inputs = structured_image(*size, 4)[None].astype("float32")
    expected = reference(inputs, bins)
    layer = AdaptiveAveragePooling2D(bins)
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-5)
    dynamic = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 4))])
    np.testing.assert_allclose(dynamic(inputs), expected, rtol=1e-5)
