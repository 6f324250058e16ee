"""keras_cv and KerasHub backbone objects as encoders, by their pyramid; their own weights are kept."""

import keras

from kseg import checks
from kseg.encoders.families import TORCH
from kseg.encoders.model import encoder_model, normalized_input
from kseg.encoders.row import Encoder

# The row of every backbone object.
BACKBONE = Encoder("backbone", "kseg", lambda *_, **__: ({}, []), TORCH, 0, strides=(32,))


def plug_in(backbone: keras.Model, output_stride: int = 32, in_channels: int = 3) -> keras.Model:
    """Return the encoder that runs `backbone` as it was built, pixels to a dict of features.

    Raises:
        ValueError: for a model without a pyramid, other bands than it has, or an output stride other than 32.
    """
    levels = getattr(backbone, "pyramid_outputs", None)
    if levels is None and hasattr(backbone, "pyramid_level_inputs"):  # keras_cv's way
        levels = {level: backbone.get_layer(layer).output for level, layer in backbone.pyramid_level_inputs.items()}
    if not levels:
        raise ValueError(checks.sentence(
            "encoder_name", "must be a name or a backbone with pyramid outputs P1…P5", type(backbone).__name__,
            "Pass one of kseg.encoders.names() or a backbone with `pyramid_outputs`."))
    *size, bands = backbone.inputs[0].shape[1:]
    if bands != in_channels:
        raise ValueError(checks.sentence("in_channels", f"must be {bands}, the bands of the backbone", in_channels,
                                         "Build the backbone with as many input channels."))
    checks.one_of("output_stride", output_stride, BACKBONE.strides, context=" for a backbone object",
                  advice="A backbone object runs as it was built; pass its name to trade stride for dilation.")
    features = {f"c{level[1:]}": tensor for level, tensor in levels.items() if level[1:] in "12345"}
    inner = keras.Model(backbone.inputs, features, name="backbone")
    pixels, normalized = normalized_input(size, bands, _scale(backbone, bands))
    return encoder_model(pixels, inner(normalized))


def _scale(backbone, bands):
    """Return (mean, std) of each band: none where the backbone normalises itself, else PyTorch's for ImageNet."""
    if any(isinstance(layer, (keras.layers.Rescaling, keras.layers.Normalization)) for layer in backbone.layers):
        return (0.0,) * bands, (1.0,) * bands
    return tuple(tuple(values[band % 3] for band in range(bands)) for values in TORCH)
