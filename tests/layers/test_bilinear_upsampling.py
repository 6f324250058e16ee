"""Transposed convolutions that start as bilinear interpolation."""

import keras
import numpy as np
import pytest

from kseg.layers import BilinearUpsampling2D, ResizeTo
from kseg.layers.bilinear_upsampling import bilinear_kernel


@pytest.mark.parametrize("factor", [2, 8, 16])
def test_resizes_bilinearly_inside(factor):
    coarse = np.random.default_rng(0).normal(size=(1, 5, 6, 3)).astype("float32")
    fine, border = BilinearUpsampling2D(3, factor)(coarse), factor // 2
    resized = ResizeTo()(coarse, fine)
    inside = (slice(None), slice(border, -border), slice(border, -border))
    np.testing.assert_allclose(fine[inside], resized[inside], atol=1e-5)


@pytest.mark.parametrize("size, expected", [(3, [0.5, 1.0, 0.5]), (4, [0.25, 0.75, 0.75, 0.25])])
def test_kernel_by_hand(size, expected):
    kernel = np.asarray(bilinear_kernel((size, size, 2, 2)))
    np.testing.assert_allclose(kernel[:, :, 1, 1], np.outer(expected, expected))
    assert not kernel[:, :, 0, 1].any()


@pytest.mark.parametrize("padding, height", [("same", 10), ("valid", 12)])
def test_sizes(padding, height):
    layer = BilinearUpsampling2D(2, 2, padding)
    assert layer.compute_output_shape((None, 5, None, 2)) == (None, height, None, 2)
    assert layer(np.zeros((1, 5, 5, 2), "float32")).shape == (1, height, height, 2)


def test_configuration_round_trip_keeps_it_frozen():
    layer = BilinearUpsampling2D(3, 4, "valid", trainable=False, name="up")
    again = BilinearUpsampling2D.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    pixels = keras.Input((4, 4, 3))
    model = keras.Model(pixels, again(pixels))
    assert model.trainable_weights == [] and len(model.weights) == 1


def test_save_and_load(tmp_path):
    pixels = keras.Input((None, None, 2))
    model = keras.Model(pixels, BilinearUpsampling2D(2, 4)(pixels))
    model.layers[-1].set_weights([np.random.default_rng(0).normal(size=(8, 8, 2, 2))])
    model.save(tmp_path / "model.keras")
    values = np.random.default_rng(0).normal(size=(1, 3, 4, 2)).astype("float32")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(values), model(values))
