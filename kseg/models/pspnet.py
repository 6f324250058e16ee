"""PSPNet: a pyramid of average poolings gives every pixel its scene.

Reference: Zhao, Shi, Qi, Wang, Jia, Pyramid Scene Parsing Network, CVPR 2017, arXiv:1612.01105.
"""

import keras

from kseg import checks
from kseg.encoders import build_encoder
from kseg.layers import AdaptiveAveragePooling2D, ResizeTo
from kseg.models.blocks import auxiliary_head, classify, conv_bn_relu
from kseg.models.segmenter import finish, pixels_input
from kseg.models.stages import require_stages


def PSPNet(classes, encoder_name="resnet50", encoder_weights=None, in_channels=3, image_size=(None, None), *,
           output_stride=8, bins=(1, 2, 3, 6), filters=512, dropout=0.1, aux=False, aux_weight=0.4, compile=True,
           name="pspnet"):
    """Return PSPNet, pixels to logits.

    Dilated encoder, pyramid pooling, 3x3 convolution, classifier, bilinear to the size of the image. The paper's
    ResNet has a stem of three 3x3 convolutions; encoders from libraries keep the stem their weights were trained with.

    Args:
        classes: int, number of classes.
        encoder_name: str, see `kseg.encoders.names()`; or a keras_cv / KerasHub backbone.
        encoder_weights: None (random), "imagenet", or a `.weights.h5`, `.npz` or `.safetensors` file.
        in_channels: int, input bands; pretrained weights are kept for any number.
        image_size: (height, width) in pixels; None for any size.
        output_stride: 8, 16 or 32, input pixels per c5 pixel (8: section 3.1).
        bins: tuple of int, sides of the pooled grids (section 3.2).
        filters: int, channels of the 3x3 convolution before the classifier.
        dropout: float, rate before the classifier (released code).
        aux: bool, adds the auxiliary head on c4, used in training only (section 3.3).
        aux_weight: float, weight of its loss.
        compile: bool, compile with AdamW, cross-entropy and mean IoU.
        name: str, the model's name.
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`.
    Raises:
        ValueError: for an unknown encoder, an output stride it cannot give, or no bin.
    """
    checks.number_between("dropout", dropout, 0, 1)
    if not isinstance(bins, (tuple, list)) or not bins:
        raise ValueError(checks.sentence("bins", "must be a tuple of at least one number", bins,
                                         "The paper's is bins=(1, 2, 3, 6)."))
    for bin_count in bins:
        checks.positive_integer("bins", bin_count)
    pixels = pixels_input(in_channels, image_size, classes)
    features = build_encoder(encoder_name, output_stride, encoder_weights, in_channels, image_size=image_size)(pixels)
    require_stages(features, ("c4", "c5") if aux else ("c5",), encoder_name, "PSPNet")
    context = pyramid_pooling(features["c5"], bins)  # [B, H/os, W/os, 2 * C5]
    context = conv_bn_relu(context, filters, 3, name="head")
    context = keras.layers.Dropout(dropout, name="head_dropout")(context)
    logits = classify(context, classes, like=pixels)
    aux_logits = auxiliary_head(features["c4"], classes, pixels, 256, dropout) if aux else None
    return finish(pixels, logits, aux_logits, compile=compile, name=name, aux_weight=aux_weight)


def pyramid_pooling(features, bins):
    """Concatenate `features` `[B, h, w, C]` with their averages over each grid, each reduced to C / len(bins)."""
    reduced = features.shape[-1] // len(bins)
    levels = [features]
    for bin_count in bins:
        pooled = AdaptiveAveragePooling2D(bin_count, name=f"pyramid{bin_count}_pool")(features)  # [B, bin, bin, C]
        pooled = conv_bn_relu(pooled, reduced, 1, name=f"pyramid{bin_count}")
        levels.append(ResizeTo(name=f"pyramid{bin_count}_up")(pooled, features))  # [B, h, w, C / len(bins)]
    return keras.layers.Concatenate(name="pyramid")(levels)
