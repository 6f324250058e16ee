"""PSPNet: a pyramid of average poolings gives every pixel its scene.

Reference: Zhao, Shi, Qi, Wang, Jia, Pyramid Scene Parsing Network, CVPR 2017, arXiv:1612.01105.
"""

import keras

from kseg import checks
from kseg.layers import AdaptiveAveragePooling2D, ResizeTo
from kseg.models.arguments import documented
from kseg.models.assembly import encoder_for, finish, pixels_input
from kseg.models.blocks import auxiliary_head, classify, conv_bn_relu
from kseg.models.segmenter import Segmenter
from kseg.types import EncoderName, EncoderWeights, ImageSize


@documented()
def PSPNet(classes: int, encoder_name: EncoderName = "resnet50", encoder_weights: EncoderWeights = None,
           in_channels: int = 3, image_size: ImageSize = (None, None), *, output_stride: int = 8,
           bins: tuple[int, ...] = (1, 2, 3, 6), filters: int = 512, decoder: str = "paper",
           align_corners: bool = False, full_rates: bool = False, dropout: float = 0.1, aux: bool = False,
           aux_weight: float = 0.4, task: str = "multiclass", compile: bool = True, name: str = "pspnet") -> Segmenter:
    """Return PSPNet, pixels to logits.

    Dilated encoder, pyramid pooling, 3x3 convolution, classifier, bilinear to the size of the image. The paper's
    ResNet has a stem of three 3x3 convolutions: "resnet50deep", "resnet101deep" and "resnet152deep".

    Args:
        Arguments of every builder: `kseg.models.arguments`.
        output_stride: 8, 16 or 32, input pixels per c5 pixel (8: section 3.1).
        bins: tuple of int, sides of the pooled grids (section 3.2).
        filters: int, channels of the convolution before the classifier.
        decoder: str, "paper", or "smp" as smp has it: on c3, where the encoder ends (stride 8, whatever
            `output_stride`); the average of the whole map without BN, a 1x1 convolution before a classifier of 3x3.
        align_corners: bool, whether maps are enlarged with their corners' centres on those of the pixels (smp and the
            released code's PyTorch version).
        full_rates: bool, see `kseg.encoders.build_encoder` (the same).
        dropout: float, rate before the classifier (released code).
        aux: bool, adds the auxiliary head on c4, used in training only (section 3.3).
        aux_weight: float, weight of its loss.
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
    of_smp = checks.one_of("decoder", decoder, ("paper", "smp")) == "smp"
    if of_smp:
        checks.one_of("aux", aux, (False,), context=" with decoder='smp'", advice="Its encoder ends before c4.")
    pixels = pixels_input(in_channels, image_size, classes, task)
    last, side, classifier = ("c3", 1, 3) if of_smp else ("c5", 3, 1)
    method = "bilinear_align_corners" if align_corners else "bilinear"
    features = encoder_for(pixels, encoder_name, encoder_weights, builder="PSPNet",
                           output_stride=32 if of_smp else output_stride, last_stage=last, full_rates=full_rates,
                           stages=("c4", "c5") if aux else (last,))(pixels)
    context = pyramid_pooling(features[last], bins, method, normalize_average=not of_smp)  # [B, H/os, W/os, 2 * C]
    context = conv_bn_relu(context, filters, side, name="head")
    context = keras.layers.Dropout(dropout, name="head_dropout")(context)
    logits = classify(context, classes, like=pixels, kernel_size=classifier, method=method)
    aux_logits = None
    if aux:
        aux_logits = auxiliary_head(features["c4"], classes, like=pixels, filters=256, dropout=dropout, method=method)
    return finish(pixels, logits, aux_logits, task=task, compile=compile, name=name, aux_weight=aux_weight)


def pyramid_pooling(features: keras.KerasTensor, bins: tuple[int, ...], method: str = "bilinear", *,
                    normalize_average: bool = True) -> keras.KerasTensor:
    """Concatenate `features` `[B, h, w, C]` with their averages over each grid, each reduced to C / len(bins).

    `method` is `ResizeTo`'s; `normalize_average=False` leaves out the BN of a grid of one bin.
    """
    reduced = features.shape[-1] // len(bins)
    levels = [features]
    for bin_count in bins:
        name = f"pyramid{bin_count}"
        pooled = AdaptiveAveragePooling2D(bin_count, name=f"{name}_pool")(features)  # [B, bin, bin, C]
        if bin_count == 1 and not normalize_average:
            pooled = keras.layers.Conv2D(reduced, 1, activation="relu", kernel_initializer="he_normal",
                                         name=f"{name}_conv")(pooled)
        else:
            pooled = conv_bn_relu(pooled, reduced, 1, name=name)
        levels.append(ResizeTo(method, name=f"{name}_up")(pooled, features))  # [B, h, w, C / len(bins)]
    return keras.layers.Concatenate(name="pyramid")(levels)
