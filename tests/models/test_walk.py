import keras
import pytest

import kseg
from kseg.models.walk import layers_of
from tests.conftest import without_values


class Pair(keras.layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.first = keras.layers.Dense(2)
        self.others = [keras.layers.BatchNormalization(), keras.layers.Dense(3)]
        self.named = {"last": keras.layers.Dropout(0.5)}

    def call(self, inputs):
        return self.named["last"](self.others[1](self.others[0](self.first(inputs))))


def test_every_layer_once():
    inner = keras.Sequential([keras.Input((4,)), Pair(name="pair"), keras.layers.Dense(5, name="end")], name="inner")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, inner(inputs))
    found = list(layers_of(model))
    assert len({id(layer) for layer in found}) == len(found)
    assert inner not in found
    kinds = sorted(type(layer).__name__ for layer in found)
    assert kinds == sorted(["InputLayer", "Pair", "Dense", "Dense", "Dense", "BatchNormalization", "Dropout"])


@pytest.mark.parametrize("builder, encoder_name", [("RefineNet", "resnet50"), ("DeepLabV3Plus", "mobilenetv2")])
def test_the_same_layers_as_keras_finds(builder, encoder_name):
    model = without_values(getattr(kseg.models, builder), 3, encoder_name=encoder_name, compile=False)
    keras_own = [layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)]
    assert {id(layer) for layer in layers_of(model)} == {id(layer) for layer in keras_own}
