"""Dense stand-ins for strided layers against the strided layers themselves."""

import keras
import numpy as np
import pytest

from kseg.layers import AtrousPooling2D, ShiftToStridedPhase, SpaceToDepth
from tests.conftest import structured_image


def image(height=29, width=22, channels=6):
    return structured_image(height, width, channels)[None].astype("float32") / 255 - 0.3


@pytest.mark.parametrize("size", [(16, 20), (17, 21)], ids=["even", "odd"])
@pytest.mark.parametrize("mode, pool", [("max", 2), ("max", 3), ("average", 2)])
def test_dense_pooling_subsampled_equals_strided_pooling(mode, pool, size):
    inputs = image(*size)
    name = "MaxPooling2D" if mode == "max" else "AveragePooling2D"
    strided = np.asarray(getattr(keras.layers, name)(pool, 2, padding="same")(inputs))
    dense = np.asarray(AtrousPooling2D(pool, 1, mode)(inputs))
    # An odd window at an even size starts at the first pixel, so its centre is the second.
    phases = [0 if pool % 2 == 0 or side % 2 else 1 for side in size]
    np.testing.assert_allclose(dense[:, phases[0]::2, phases[1]::2], strided, atol=1e-6)


def test_dilated_pooling_reads_every_second_pixel():
    inputs = image(9, 11)
    dense = np.asarray(AtrousPooling2D(2, 2, "max")(inputs))
    for top in (0, 1):
        for left in (0, 1):
            part = inputs[:, top::2, left::2]
            expected = np.asarray(AtrousPooling2D(2, 1, "max")(part))
            np.testing.assert_array_equal(dense[:, top::2, left::2], expected)


def test_space_to_depth_fills_odd_sizes():
    inputs = image(5, 7, 2)
    outputs = np.asarray(SpaceToDepth()(inputs))
    assert outputs.shape == (1, 3, 4, 8)
    padded = np.pad(inputs, [(0, 0), (0, 1), (0, 1), (0, 0)])
    for corner, (top, left) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        np.testing.assert_array_equal(outputs[..., 2 * corner:2 * corner + 2], padded[:, top::2, left::2])


@pytest.mark.parametrize("size, top, left", [((16, 20), 2, 2), ((17, 20), 0, 2), ((18, 21), 0, 0), ((15, 13), 2, 0)])
def test_shift_where_the_coarse_size_is_even(size, top, left):
    """A map of 16 rows has 8 at rate 2, an even number; 17 rows have 9."""
    inputs = image(*size)
    outputs = np.asarray(ShiftToStridedPhase(2)(inputs))
    expected = np.zeros_like(inputs)
    expected[:, top:, left:] = inputs[:, :size[0] - top, :size[1] - left]
    np.testing.assert_array_equal(outputs, expected)
