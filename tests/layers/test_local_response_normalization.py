"""Local response normalisation against TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf

from kseg.layers import LocalResponseNormalization


@pytest.mark.parametrize("channels", [1, 3, 9])
def test_equals_tensorflow(channels):
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 4, 5, channels)).astype("float32")
    reference = tf.nn.local_response_normalization(pixels, depth_radius=2, alpha=1e-4 / 5, beta=0.75)
    np.testing.assert_allclose(LocalResponseNormalization()(pixels), reference, rtol=1e-5)


def test_configuration_round_trip():
    layer = LocalResponseNormalization(3, 1e-3, 0.5)
    assert LocalResponseNormalization.from_config(layer.get_config()).get_config() == layer.get_config()
