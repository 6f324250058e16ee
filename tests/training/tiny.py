"""A builder small enough to train in tests: two convolutions with batch normalisation and dropout."""

import keras

from kseg.layers import BatchNormalization
from kseg.models.assembly import finish, pixels_input
from kseg.models.blocks import classify


def tiny_builder(classes, encoder_name=None, encoder_weights=None, in_channels=3, *, task="multiclass", compile=True):
    """Return a `Segmenter` with an `encoder` and a head; it has dropout, so that random seeds matter."""
    pixels = pixels_input(in_channels, (None, None), classes, task)
    features = keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")(pixels)
    features = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(features)
    features = keras.layers.ReLU(name="relu")(BatchNormalization(name="stem_bn")(features))
    encoder = keras.Model(pixels, features, name="encoder")
    hidden = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="hidden")(encoder(pixels))
    hidden = keras.layers.Dropout(0.3, name="dropout")(hidden)
    return finish(pixels, classify(hidden, classes, like=pixels), task=task, compile=compile, name="tiny")
