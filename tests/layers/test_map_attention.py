"""Attention of one map's pixels to another's: against a loop over heads in NumPy, at any size."""

import keras
import numpy as np
import pytest

from kseg.layers import MapAttention


def by_hand(queries, keys_and_values, heads):
    channels = queries.shape[-1]
    asked = queries.reshape(-1, channels)
    known, told = np.split(keys_and_values.reshape(-1, 2 * channels), 2, axis=1)
    outputs = []
    for head in np.split(np.arange(channels), heads):
        scores = asked[:, head] @ known[:, head].T / np.sqrt(len(head))
        shares = np.exp(scores - scores.max(1, keepdims=True))
        outputs.append(shares / shares.sum(1, keepdims=True) @ told[:, head])
    return np.concatenate(outputs, axis=1).reshape(queries.shape)


@pytest.mark.parametrize("heads", [1, 3])
def test_values_equal_a_loop_over_heads(heads):
    random = np.random.default_rng(0)
    queries, others = random.standard_normal((2, 5, 4, 6)), random.standard_normal((2, 2, 3, 12))
    inputs = keras.Input((None, None, 6)), keras.Input((None, None, 12))
    model = keras.Model(inputs, MapAttention(heads)(*inputs))
    actual = model([queries.astype("float32"), others.astype("float32")])
    assert model.output.shape == (None, None, None, 6)
    for index in range(2):
        np.testing.assert_allclose(actual[index], by_hand(queries[index], others[index], heads), atol=1e-5)


def test_config_round_trip():
    layer = MapAttention(5, name="heads")
    assert MapAttention.from_config(layer.get_config()).heads == 5
