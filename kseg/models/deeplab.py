"""DeepLab v3 and v3+: atrous convolutions at several rates, with the image's average beside them.

References: Chen, Papandreou, Schroff, Adam, Rethinking Atrous Convolution for Semantic Image Segmentation,
arXiv:1706.05587; Chen, Zhu, Papandreou, Schroff, Adam, Encoder-Decoder with Atrous Separable Convolution for Semantic
Image Segmentation, ECCV 2018, arXiv:1802.02611.
"""

import functools
import warnings
from collections.abc import Callable

import keras

from kseg import checks
from kseg.encoders import row_of
from kseg.layers import AdaptiveAveragePooling2D, ResizeTo
from kseg.models.arguments import documented
from kseg.models.assembly import encoder_for, finish, pixels_input, require_stages
from kseg.models.blocks import auxiliary_head, classify, conv_bn_relu, separable_conv_bn_relu
from kseg.models.segmenter import Segmenter
from kseg.models.walk import layers_of
from kseg.types import EncoderName, EncoderWeights, ImageSize

_DECODER_KERNELS = {"paper": (3, 3), "smp": (3,), "kerashub": (1,)}  # of DeepLab v3+: sides of its convolutions


@documented()
def DeepLabV3(classes: int, encoder_name: EncoderName = "resnet50", encoder_weights: EncoderWeights = None,
              in_channels: int = 3, image_size: ImageSize = (None, None), *, output_stride: int = 16,
              rates: tuple[int, ...] = (6, 12, 18), multi_grid: tuple[int, int, int] | None = None, filters: int = 256,
              extra_conv: bool = False, projection_size: int = 1, align_corners: bool = False, dropout: float = 0.1,
              full_rates: bool = False, aux: bool = False, aux_stage: str = "c4", aux_weight: float = 0.4,
              task: str = "multiclass", compile: bool = True, name: str = "deeplab_v3") -> Segmenter:
    """Return DeepLab v3, pixels to logits.

    Dilated encoder, atrous spatial pyramid pooling with the image's average, 1x1 projection, classifier, bilinear to
    the size of the image. The loss is taken at full resolution (section 4.1: 77.21 against 76.01 on shrunk labels).
    Weights fit every output stride, because the rates follow it: train at 16, predict at 8.

    Args:
        Arguments of every builder: `kseg.models.arguments`.
        output_stride: 8, 16 or 32, input pixels per c5 pixel (16 to train: section 4.1).
        rates: tuple of int, rates of the pyramid's 3x3 convolutions at output stride 16; doubled at 8, halved at 32
            (section 3.3). Empty for the 1x1 convolution and the image's average alone.
        multi_grid: tuple of three int, factors on the rates of c5's units; None for the paper's (1, 2, 4) in a
            ResNet50, 101 or 152 and none in other encoders (section 4.2). (1, 1, 1) switches it off: rates as
            torchvision has them.
        filters: int, channels of each branch and of the projection (section 3.3).
        extra_conv: bool, a further 3x3 convolution before the classifier, as torchvision and smp have it.
        projection_size: int, side of the projection's kernel (mmsegmentation: 3).
        align_corners: bool, whether the logits are enlarged with their corners' centres on those of the pixels (smp).
        full_rates: bool, see `kseg.encoders.build_encoder` (smp).
        dropout: float, rate after the projection (released code 0.1, torchvision 0.5).
        aux: bool, adds an auxiliary head, used in training only (torchvision).
        aux_stage: str, the feature that it reads: "c4", or "c3" as in torchvision's MobileNetV3.
        aux_weight: float, weight of its loss.
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`.
    Raises:
        ValueError: for an unknown encoder, an output stride or a multi-grid it cannot give.
    """
    checks.number_between("dropout", dropout, 0, 1)
    pixels = pixels_input(in_channels, image_size, classes, task)
    if multi_grid is None and row_of(encoder_name).multi_grid:
        multi_grid = (1, 2, 4)
    features = encoder_for(pixels, encoder_name, encoder_weights, builder="DeepLabV3", output_stride=output_stride,
                           multi_grid=multi_grid, full_rates=full_rates,
                           stages=(aux_stage, "c5") if aux else ("c5",))(pixels)
    rates = rates_at(output_stride, rates, features["c5"].shape[1:3])
    context = aspp(features["c5"], filters, rates, projection_size=projection_size, dropout=dropout)
    if extra_conv:
        context = conv_bn_relu(context, filters, 3, name="head")
    logits = classify(context, classes, like=pixels, method=_method(align_corners))  # of [B, H/os, W/os, filters]
    aux_logits = None
    if aux:
        aux_logits = auxiliary_head(features[aux_stage], classes, like=pixels, dropout=0.1,
                                    filters=features[aux_stage].shape[-1] // 4)
    return finish(pixels, logits, aux_logits, task=task, compile=compile, name=name, aux_weight=aux_weight)


@documented()
def DeepLabV3Plus(classes: int, encoder_name: EncoderName = "resnet50", encoder_weights: EncoderWeights = None,
                  in_channels: int = 3, image_size: ImageSize = (None, None), *, output_stride: int = 16,
                  rates: tuple[int, ...] = (6, 12, 18), multi_grid: tuple[int, int, int] | None = None,
                  filters: int = 256, low_level_filters: int = 48, decoder_filters: int = 256,
                  separable: bool | None = None, projection_size: int = 1, decoder: str = "paper",
                  full_rates: bool = False, dropout: float = 0.1, task: str = "multiclass", compile: bool = True,
                  name: str = "deeplab_v3_plus") -> Segmenter:
    """Return DeepLab v3+, pixels to logits.

    The pyramid of DeepLab v3, enlarged to stride 4, beside a thin projection of low-level features; two 3x3
    convolutions, classifier, bilinear to the size of the image. Low-level features are the encoder's "low_level" where
    it names one (Xception-41/65/71: 256 channels before the ReLU; MobileNetV2: the expanded 144 channels), else c2
    (ResNet: the output of its first stage, as ports have it).

    Args:
        Arguments of every builder: `kseg.models.arguments`.
        output_stride: 8, 16 or 32, input pixels per c5 pixel (16 to train: section 4).
        rates: tuple of int, rates of the pyramid's 3x3 convolutions at output stride 16; doubled at 8, halved at 32.
        multi_grid: tuple of three int or None, factors on the rates of c5's units (ResNet50, 101, 152). None: 1, also
            in ResNets, as in the released code; DeepLab v3 has (1, 2, 4).
        filters: int, channels of the pyramid.
        low_level_filters: int, channels of the low-level projection (section 4.1, table 1: 48).
        decoder_filters: int, channels of the two 3x3 convolutions (section 4.1, table 2).
        separable: bool, whether pyramid and decoder convolve depthwise, BN, ReLU, pointwise; None for True where the
            encoder does so itself (Xception, MobileNet, EfficientNet) and False for the others (section 4.3).
        projection_size: int, side of the kernel of the pyramid's projection (mmsegmentation: 3).
        decoder: str, "paper"; "smp" as smp has it: one more convolution after the pyramid, one in place of two after
            the low-level features, without BN and ReLU between depthwise and pointwise, corners aligned; or "kerashub"
            as KerasHub has it: one of 1x1 in place of two after the low-level features.
        full_rates: bool, see `kseg.encoders.build_encoder` (smp).
        dropout: float, rate after the pyramid's projection (released code).
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`.
    Raises:
        ValueError: for an unknown encoder, an output stride or a multi-grid it cannot give.
    """
    checks.number_between("dropout", dropout, 0, 1)
    pixels = pixels_input(in_channels, image_size, classes, task)
    encoder = encoder_for(pixels, encoder_name, encoder_weights, builder="DeepLabV3Plus", output_stride=output_stride,
                          multi_grid=multi_grid, full_rates=full_rates, stages=())
    low_level = "low_level" if "low_level" in encoder.output else "c2"
    require_stages(encoder, (low_level, "c5"), encoder_name, "DeepLabV3Plus")
    checks.one_of("decoder", decoder, tuple(_DECODER_KERNELS))
    separable = _convolves_depthwise(encoder) if separable is None else separable
    convolution, method = _convolution(separable, decoder), _method(decoder == "smp")
    features = encoder(pixels)
    rates = rates_at(output_stride, rates, features["c5"].shape[1:3])
    context = aspp(features["c5"], filters, rates, convolution, projection_size=projection_size, dropout=dropout)
    if decoder == "smp":
        context = convolution(context, filters, 3, name="head")
    detail = features[low_level]  # [B, H/4, W/4, C]
    detail = conv_bn_relu(detail, low_level_filters, 1, name="low_level")
    context = ResizeTo(method, name="context_up")(context, detail)
    outputs = keras.layers.Concatenate(name="fuse")([context, detail])  # [B, H/4, W/4, filters + low_level_filters]
    for index, side in enumerate(_DECODER_KERNELS[decoder], start=1):
        outputs = convolution(outputs, decoder_filters, side, name=f"decoder{index}")
    logits = classify(outputs, classes, like=pixels, method=method)
    return finish(pixels, logits, task=task, compile=compile, name=name)


def aspp(features: keras.KerasTensor, filters: int, rates: tuple[int, ...],
         convolution: Callable[..., keras.KerasTensor] = conv_bn_relu, *, projection_size: int = 1,
         dropout: float = 0.0) -> keras.KerasTensor:
    """Atrous spatial pyramid pooling: `[B, h, w, C]` to `[B, h, w, filters]` (DeepLab v3 section 3.3, figure 5).

    A 1x1 convolution, one 3x3 `convolution` per rate and the image's average, each with BN and ReLU, then a 1x1
    projection. Layers are named by position, not by rate, so that weights fit every output stride.
    """
    branches = [conv_bn_relu(features, filters, 1, name="aspp_point")]
    for index, rate in enumerate(rates, 1):
        branches.append(convolution(features, filters, 3, dilation_rate=rate, name=f"aspp_atrous{index}"))
    average = AdaptiveAveragePooling2D(1, name="aspp_image_pool")(features)  # [B, 1, 1, C]
    average = conv_bn_relu(average, filters, 1, name="aspp_image")
    branches.append(ResizeTo(name="aspp_image_up")(average, features))
    outputs = keras.layers.Concatenate(name="aspp")(branches)  # [B, h, w, (2 + len(rates)) * filters]
    outputs = conv_bn_relu(outputs, filters, projection_size, name="aspp_project")
    return keras.layers.Dropout(dropout, name="aspp_dropout")(outputs)


def rates_at(output_stride: int, rates: tuple[int, ...], size: ImageSize, *, reference_stride: int = 16,
             argument: str = "rates") -> tuple[int, ...]:
    """Return `rates`, given at `reference_stride`, for `output_stride`; warn if they leave the feature map.

    Where the `size` (height, width) of the feature map is known, a rate of at least its shorter side leaves the outer
    taps of a 3x3 kernel on padding alone: the kernel falls back to a line or a point (DeepLab v3 figure 4).
    """
    if not isinstance(rates, (tuple, list)):
        raise TypeError(checks.sentence(argument, "must be a tuple of numbers", rates,
                                        "Write for example (6, 12, 18)."))
    for rate in rates:
        checks.positive_integer(argument, rate, f"Give whole feature pixels at output stride {reference_stride}.")
    scaled = tuple(max(1, round(rate * reference_stride / output_stride)) for rate in rates)
    outside = () if None in size else tuple(rate for rate in scaled if rate >= min(size))
    if outside:
        warnings.warn(checks.sentence(
            argument, f"must stay smaller than the feature map of {size[0]}x{size[1]} at output stride {output_stride} "
            f"(too large: {', '.join(str(rate) for rate in outside)})", scaled if len(scaled) > 1 else scaled[0],
            "Taps beyond it read padding alone: use larger images or smaller rates."), stacklevel=3)
    return scaled


def _convolution(separable, decoder):
    if not separable:
        return conv_bn_relu
    return functools.partial(separable_conv_bn_relu, normalize_depthwise=decoder == "paper")


def _method(align_corners):
    return "bilinear_align_corners" if align_corners else "bilinear"


def _convolves_depthwise(encoder):
    return any(isinstance(layer, (keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D))
               for layer in layers_of(encoder))
