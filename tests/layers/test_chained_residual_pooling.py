"""Chained residual pooling against torch-like loops in NumPy."""

import keras
import numpy as np
import pytest

from kseg.layers import ChainedResidualPooling


def max_pool(values, radius=2):
    height, width = values.shape[1:3]
    pooled = np.empty_like(values)
    for row in range(height):
        for column in range(width):
            window = values[:, max(row - radius, 0):row + radius + 1, max(column - radius, 0):column + radius + 1]
            pooled[:, row, column] = window.max(axis=(1, 2))
    return pooled


def convolve(values, kernel):
    padded = np.pad(values, [(0, 0), (1, 1), (1, 1), (0, 0)])
    height, width = values.shape[1:3]
    return sum(padded[:, i:i + height, j:j + width] @ kernel[i, j] for i in range(3) for j in range(3))


@pytest.mark.parametrize("stages", [2, 4])
@pytest.mark.parametrize("pool_first", [True, False])
def test_equals_the_chain_written_out(stages, pool_first):
    values = np.random.default_rng(0).normal(size=(2, 7, 9, 3)).astype("float32")
    layer = ChainedResidualPooling(3, stages, pool_first)
    outputs = layer(values)
    total = stage = np.maximum(values, 0)
    for kernel in layer.get_weights():
        stage = convolve(max_pool(stage), kernel) if pool_first else max_pool(convolve(stage, kernel))
        total = total + stage
    np.testing.assert_allclose(outputs, total, rtol=1e-4, atol=1e-4)


def test_has_one_kernel_a_stage_and_no_bias():
    layer = ChainedResidualPooling(8)
    layer.build((None, None, None, 8))
    assert [tuple(weight.shape) for weight in layer.weights] == [(3, 3, 8, 8)] * 4


def test_configuration_round_trip():
    layer = ChainedResidualPooling(4, 2, False, keras.initializers.RandomNormal(stddev=0.01), name="pooling")
    again = ChainedResidualPooling.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_save_and_load_at_any_size(tmp_path):
    pixels = keras.Input((None, None, 4))
    model = keras.Model(pixels, ChainedResidualPooling(4)(pixels))
    values = np.random.default_rng(0).normal(size=(1, 5, 6, 4)).astype("float32")
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(values), model(values))


def test_channels_must_agree():
    with pytest.raises(ValueError) as caught:
        ChainedResidualPooling(4)(np.zeros((1, 5, 5, 3), "float32"))
    assert str(caught.value).startswith("`filters` must be 3, the channels of the input, got filters=4. "
                                        "The stages are added to the input.")
