"""Small models with every kind of operation the builders use, quick to convert."""

import keras
import numpy as np

from kseg.layers import (
    AdaptiveAveragePooling2D,
    AtrousConv2D,
    AtrousDepthwiseConv2D,
    BatchNormalization,
    NormalizePixels,
    ResizeTo,
)


def tiny_model(classes=4, image_size=(None, None), channels=3, name="tiny"):
    """Return a segmenter of a few thousand weights: strided, depthwise and dilated convolutions, pooling, resizing."""
    pixels = keras.Input((*image_size, channels), name="pixels")
    values = NormalizePixels([120.0, 115.0, 100.0][:max(channels, 1)], [58.0, 57.0, 57.0][:max(channels, 1)])(pixels)
    values = keras.layers.Conv2D(12, 3, strides=2, padding="same", use_bias=False)(values)
    values = keras.layers.ReLU()(BatchNormalization()(values))
    values = AtrousDepthwiseConv2D(3, padding="same", dilation_rate=2, use_bias=False)(values)
    values = keras.layers.ReLU()(BatchNormalization()(values))
    values = AtrousConv2D(16, 3, padding="same", dilation_rate=3, use_bias=False)(values)
    values = keras.layers.ReLU()(BatchNormalization()(values))
    pooled = keras.layers.Conv2D(8, 1)(AdaptiveAveragePooling2D(3)(values))
    values = keras.layers.Concatenate()([values, ResizeTo()(pooled, values)])
    scores = keras.layers.Conv2D(classes, 1, dtype="float32")(values)
    model = keras.Model(pixels, ResizeTo(dtype="float32")(scores, pixels), name=name)
    return with_statistics(model)


def with_statistics(model, seed=0):
    """Give the normalisations of `model` statistics that are not zero and one, so that folding them is put to work."""
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, BatchNormalization):
            count = layer.moving_mean.shape
            layer.moving_mean.assign(generator.normal(0, 0.1, count))
            layer.moving_variance.assign(generator.uniform(0.2, 0.6, count))
            layer.beta.assign(generator.normal(0, 0.1, count))
    return model
