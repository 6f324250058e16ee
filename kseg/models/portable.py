"""Graphs that run on other machines than the one that traces them."""

import contextlib
from collections.abc import Iterator

import keras

from kseg.layers import AtrousConv2D, AtrousDepthwiseConv2D, AtrousSeparableConv2D
from kseg.models.walk import layers_of


@contextlib.contextmanager
def portable(model: keras.Model, wanted: bool = True) -> Iterator[None]:
    """Have the dilated layers of `model` traced as every machine runs them, for a graph that needs no gradient.

    Depthwise ones with their pixels regrouped: only oneDNN has them as one operation, and a graph that holds it fails
    on a GPU, and on processors for which TensorFlow leaves oneDNN off. Others as one operation, also where this
    machine, without oneDNN, has no gradient of it.

    Args:
        model: `keras.Model`, traced inside the block; it is afterwards as it was before.
        wanted: bool, False leaves the layers alone.
    """
    dilated = [layer for layer in layers_of(model)
               if wanted and isinstance(layer, (AtrousConv2D, AtrousDepthwiseConv2D, AtrousSeparableConv2D))]
    for layer in dilated:
        layer.portable = True
    try:
        yield
    finally:
        for layer in dilated:
            layer.portable = False
