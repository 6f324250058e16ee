"""Cropping, padding and the legal sizes of valid convolutions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg.layers import CropTo, PadPixels, RequireValidSize
from kseg.layers.margins import valid_loss, valid_sizes

VALUES = np.arange(2 * 7 * 9 * 3, dtype="float32").reshape(2, 7, 9, 3)


@pytest.mark.parametrize("offset, rows, columns", [(0, slice(0, 3), slice(0, 4)), (2, slice(2, 5), slice(2, 6)),
                                                   ("center", slice(2, 5), slice(2, 6))])
def test_crop(offset, rows, columns):
    reference = np.zeros((2, 3, 4, 1), "float32")
    np.testing.assert_array_equal(CropTo(offset)(VALUES, reference), VALUES[:, rows, columns])


@pytest.mark.parametrize("offset", [0, 1, "center"])
def test_crop_to_a_size_unknown_until_run_time(offset):
    inputs, reference = keras.Input((None, None, 3)), keras.Input((None, None, 1))
    model = keras.Model([inputs, reference], CropTo(offset)(inputs, reference))
    run = tf.function(lambda a, b: model([a, b]), input_signature=[tf.TensorSpec((None, None, None, 3)),
                                                                   tf.TensorSpec((None, None, None, 1))])
    small = np.zeros((2, 5, 6, 1), "float32")
    np.testing.assert_array_equal(run(VALUES, small), CropTo(offset)(VALUES, small))


def test_crop_refuses_a_negative_offset():
    with pytest.raises(ValueError) as caught:
        CropTo(-1)
    assert str(caught.value) == ('`offset` must be an integer of at least 0, got offset=-1. Pass 0 for the top left '
                                 'corner, or "center".')


def test_padding_has_the_colour():
    padded = PadPixels(2, (10.0, 20.0, 30.0))(VALUES.astype("uint8")).numpy()
    assert padded.shape == (2, 11, 13, 3)
    np.testing.assert_array_equal(padded[:, 2:-2, 2:-2], VALUES.astype("uint8"))
    np.testing.assert_array_equal(padded[:, :2], np.broadcast_to([10.0, 20.0, 30.0], (2, 2, 13, 3)))
    np.testing.assert_array_equal(padded[:, :, -2:], np.broadcast_to([10.0, 20.0, 30.0], (2, 11, 2, 3)))


def test_colour_repeats_over_more_bands():
    padded = PadPixels(1, (10.0, 20.0))(np.zeros((1, 1, 1, 3), "float32")).numpy()
    assert padded[0, 0, 0].tolist() == [10.0, 20.0, 10.0]


def legal(side, depth):
    """Walk the network: two convolutions a level, pooling of an even map, and up again."""
    for _ in range(depth):
        side -= 4
        if side <= 0 or side % 2:
            return None
        side //= 2
    side -= 4
    for _ in range(depth):
        if side <= 0:
            return None
        side = 2 * side - 4
    return side if side > 0 else None


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_valid_sizes_are_those_the_network_takes(depth):
    sides = [side for side in range(1, 700) if legal(side, depth)]
    assert all(side - legal(side, depth) == valid_loss(depth) for side in sides)
    for side in range(1, sides[-1] + 1):
        below = max((other for other in sides if other <= side), default=None)
        above = min(other for other in sides if other >= side)
        assert valid_sizes(side, depth) == (below, above)


def test_the_paper_s_size():
    assert valid_sizes(572) == (572, 572) and valid_loss() == 572 - 388


@pytest.mark.parametrize("size, nearest", [((572, 570), "570: 556 or 572"), ((100, 572), "100: 188")])
def test_illegal_size_names_the_nearest(size, nearest):
    with pytest.raises(ValueError) as caught:
        RequireValidSize()(keras.Input((*size, 1)))
    assert (f"`image_size` must leave an even map at each of 4 poolings of valid convolutions, got image_size={size}. "
            f'Nearest legal side to {nearest}; or build with padding="same" for any size.') in str(caught.value)


def test_configuration_round_trip():
    for layer in (CropTo("center"), CropTo(5), PadPixels(3, (1.0, 2.0)), RequireValidSize(3)):
        assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
