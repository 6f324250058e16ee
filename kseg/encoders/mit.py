"""The Mix Transformer (MiT) of keras_cv, at the strides and the fixed square size its library builds.

Its attention blocks recover height and width as the square root of the number of tokens, so the image must be square
with sides divisible by 32; no stride is traded.
"""

import keras

from kseg import checks
from kseg.encoders.weights import load_file, load_imagenet
from kseg.layers import NormalizePixels


def mit_encoder(name, row, encoder_weights, in_channels, image_size):
    """Return the encoder `name` for `image_size`: features c2…c5 at strides 4, 8, 16 and 32.

    Raises:
        ValueError: if the size is not a square with sides divisible by 32, or for more than three bands.
    """
    height, width = image_size
    if height is None or height != width or height % 32:
        raise ValueError(checks.sentence(
            "image_size", f"must be square with sides divisible by 32 for encoder {name!r}", image_size,
            "Write for example image_size=(512, 512), or choose an encoder that takes any size."))
    checks.one_of("in_channels", in_channels, (1, 2, 3), context=f" for encoder {name!r}",
                  advice="Choose a convolutional encoder for more bands.")
    library = load_imagenet(row, name, (height, width)) if encoder_weights == "imagenet" else row.build(
        size=(height, width))
    inner = keras.Model(library.input, {key: library.get_layer(tap).output for key, tap in row.taps.items()},
                        name="backbone")
    pixels = keras.Input((height, width, in_channels), dtype="float32", name="pixels")
    encoder = keras.Model(pixels, inner(NormalizePixels(*row.pixels, name="normalize")(pixels)), name="encoder")
    encoder.autocast = False
    if encoder_weights != "imagenet":
        load_file(encoder, encoder_weights, name, row)
    return encoder
