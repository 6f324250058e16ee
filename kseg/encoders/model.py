"""The Keras model that an encoder is: pixels in, normalised, features out."""

import keras

from kseg.encoders.row import Features
from kseg.layers import NormalizePixels
from kseg.types import ImageSize


def normalized_input(image_size: ImageSize, in_channels: int, scale: tuple,
                     geometry: str | None = None) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return (the input `[B, H, W, in_channels]`, 0-255; the same as `NormalizePixels` gives it).

    Args:
        image_size: (height, width) in pixels; None for any.
        in_channels: int, input bands.
        scale: (mean, std), sequences of float, 0-255 scale, RGB.
        geometry: str or None, as in `NormalizePixels`.
    """
    pixels = keras.Input((*image_size, in_channels), dtype="float32", name="pixels")
    return pixels, NormalizePixels(*scale, geometry, name="normalize")(pixels)


def encoder_model(pixels: keras.KerasTensor, features: Features) -> keras.Model:
    """Return the model "encoder" from `pixels` to `features`."""
    encoder = keras.Model(pixels, features, name="encoder")
    encoder.autocast = False  # pixels stay float32 until they are normalised
    return encoder
