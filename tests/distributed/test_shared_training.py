"""What processes hand each other of batch normalisation."""

import types

import keras
import numpy as np

from kseg.distributed.shared_training import _Together


class Three:
    """Collectives of three processes that all hold the same."""

    count = 3

    def __init__(self):
        self.sent = []

    def sum_together(self, tensors, name):
        self.sent = [np.asarray(one) for one in tensors]
        return [one * 3 for one in self.sent]


def test_frozen_statistics_and_weights_are_left_alone():
    """The mean of three equal numbers is not always that number: what stands still would move in each epoch."""
    pixels = keras.Input((8, 8, 3))
    frozen = keras.layers.BatchNormalization(name="frozen")
    model = keras.Model(pixels, keras.layers.BatchNormalization(name="trained")(frozen(
        keras.layers.Conv2D(4, 1, name="still")(pixels))))
    frozen.trainable = model.get_layer("still").trainable = False
    collectives = Three()
    _Together(types.SimpleNamespace(model=model), collectives, 1, 1)._average_statistics()
    wanted = model.get_layer("trained").non_trainable_variables
    assert len(collectives.sent) == len(wanted) == 2
    for one, other in zip(collectives.sent, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
