"""VGG with holes, and weights of VGG's convolutions."""

import keras

from kseg.encoders.build import build_encoder, row_of
from kseg.encoders.model import encoder_model, normalized_input
from kseg.encoders.vgg_stages import FILTERS, vgg_stages
from kseg.layers import AtrousConv2D
from kseg.types import EncoderName, EncoderWeights


def vgg_with_holes(encoder_name: EncoderName, encoder_weights: EncoderWeights, in_channels: int) -> keras.Model:
    """Return the VGG of DeepLab v1 and v2 as they released it, pixels to features c1…c5, the last three at stride 8.

    3x3 pools of stride 2, 2, 2, 1, 1, the convolutions of stage 5 at rate 2, and an average pool.
    Reference: Chen et al., arXiv:1412.7062, section 3.1.
    """
    row = row_of(encoder_name, encoder_weights)
    pixels, normalized = normalized_input((None, None), in_channels, row.pixels, row.geometry)

    def convolve(tensor, width, stage, name):
        return AtrousConv2D(width, 3, padding="same", dilation_rate=2 if stage == 5 else 1, activation="relu",
                            kernel_initializer="he_normal", name=name)(tensor)

    def pool(tensor, stage, name):
        return keras.layers.MaxPooling2D(3, 2 if stage <= 3 else 1, "same", name=name)(tensor)

    ends = vgg_stages(normalized, row.convolutions, FILTERS, convolve, pool)
    # pool5a: as in Caffe, the zeros beyond the border count in the mean.
    padded = keras.layers.ZeroPadding2D(1, name="block5_average_pad")(ends.pop())
    ends.append(keras.layers.AveragePooling2D(3, 1, "valid", name="block5_average")(padded))
    encoder = encoder_model(pixels, {f"c{stage}": end for stage, end in enumerate(ends, start=1)})
    copy_convolutions(encoder, encoder_name, encoder_weights)
    return encoder


def copy_convolutions(encoder: keras.Model, encoder_name: EncoderName, encoder_weights: EncoderWeights) -> None:
    """Fill the convolutions of an `encoder` of `vgg_stages` from weights of VGG; None leaves them as initialised."""
    if encoder_weights is None:
        return
    source = build_encoder(encoder_name, 32, encoder_weights, encoder.inputs[0].shape[-1])
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights(source.get_layer(layer.name).get_weights())
