"""DeepLab v2: atrous convolutions at four rates, each straight to class scores, added up.

Reference: Chen, Papandreou, Kokkinos, Murphy, Yuille, DeepLab: Semantic Image Segmentation with Deep Convolutional
Nets, Atrous Convolution, and Fully Connected CRFs, PAMI 2018, arXiv:1606.00915.
"""

import keras

from kseg import checks
from kseg.encoders import row_of
from kseg.layers import AtrousConv2D, ResizeTo
from kseg.layers.multi_scale import ScaleImages
from kseg.models.arguments import documented
from kseg.models.assembly import finish, pixels_input
from kseg.models.deeplab import rates_at
from kseg.models.deeplab_v1 import fully_connected, paper_encoder
from kseg.models.segmenter import Segmenter
from kseg.types import EncoderName, EncoderWeights, ImageSize


@documented()
def DeepLabV2(classes: int, encoder_name: EncoderName = "resnet101", encoder_weights: EncoderWeights = None,
              in_channels: int = 3, image_size: ImageSize = (None, None), *, output_stride: int = 8,
              rates: tuple[int, ...] = (6, 12, 18, 24), scales: tuple[float, ...] = (1.0,), scale_losses: bool = True,
              filters: int = 1024, dropout: float = 0.5, task: str = "multiclass", compile: bool = True,
              name: str = "deeplab_v2") -> Segmenter:
    """Return DeepLab v2 (ASPP-L), pixels to logits.

    Four parallel 3x3 convolutions on c5, with bias and nothing after them, give class scores that are added and resized
    bilinearly to the image. On "vgg16" each branch is an fc6, fc7 and classifier of its own (figure 7); that encoder is
    DeepLab v1's. With several `scales` the same network sees the image at each; scores are resized to those of the
    largest and the maximum is kept (section 4.1.2), in training as in prediction; training adds one loss per scale to
    that of the maximum, with equal weights. The number of weights does not depend on `scales`: a model trained at one
    scale gives its weights to a multi-scale one by `set_weights`.
    The paper trains with frozen batch normalisation and labels shrunk to stride 8; here losses are taken at full
    resolution.

    Args:
        Arguments of every builder: `kseg.models.arguments`.
        output_stride: 8, 16 or 32, input pixels per c5 pixel (8: section 3.1); 8 alone on "vgg16".
        rates: tuple of int, rates of the branches at output stride 8 (section 4.1.3); halved at 16.
        scales: tuple of float, sizes at which the image is seen; the paper's are (0.5, 0.75, 1.0).
        scale_losses: bool, train with one loss per scale beside that of the maximum; of no effect at a single scale.
        filters: int, channels of fc6 and fc7 (VGG16 only).
        dropout: float, rate after fc6 and fc7 (VGG16 only).
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`.
    Raises:
        ValueError: for an unknown encoder, an output stride it cannot give, no rate or no scale.
    """
    checks.number_between("dropout", dropout, 0, 1)
    for argument, values, example in (("rates", rates, "(6, 12, 18, 24)"), ("scales", scales, "(0.5, 0.75, 1.0)")):
        if not isinstance(values, (tuple, list)) or not values:
            raise ValueError(checks.sentence(argument, "must be a tuple of at least one number", values,
                                             f"The paper's is {argument}={example}."))
    for scale in scales:
        checks.number_between("scales", scale, 0.1, 4, "The paper's are scales=(0.5, 0.75, 1.0).")
    pixels = pixels_input(in_channels, image_size, classes, task)
    encoder = paper_encoder(pixels, encoder_name, encoder_weights, output_stride)
    if None not in encoder.input_shape[1:3] and set(scales) != {1}:
        raise ValueError(checks.sentence("scales", "must be (1,) for an encoder of one image size", scales,
                                         "Average over scales in kseg.predict instead."))
    features = keras.Input((None, None, encoder.output["c5"].shape[-1]), name="features")
    size = encoder.compute_output_shape(tuple(pixels.shape))["c5"][1:3]
    rates = rates_at(output_stride, rates, size, reference_stride=8)
    if row_of(encoder_name, encoder_weights).with_holes:
        scores = [_fully_connected_branch(features, classes, rate, index, filters=filters, dropout=dropout)
                  for index, rate in enumerate(rates, 1)]
    else:
        scores = [_point_branch(features, classes, rate, index) for index, rate in enumerate(rates, 1)]
    scores = keras.layers.Add(dtype="float32", name="sum")(scores) if len(scores) > 1 else scores[0]
    head = keras.Model(features, scores, name="head")  # one model, so that every scale shares its weights
    maps = [_seen_at(scale, index, pixels, encoder, head) for index, scale in enumerate(sorted(set(scales))[::-1])]
    logits = ResizeTo(dtype="float32", name="logits")(_fused(maps), pixels)
    each = None
    if scale_losses and len(maps) > 1:
        each = [ResizeTo(dtype="float32", name=f"scale{index}_logits")(scores, pixels)
                for index, scores in enumerate(maps)]
    return finish(pixels, logits, each, aux_weight=1.0, task=task, compile=compile, name=name)


def _seen_at(scale, index, pixels, encoder, head):
    """Class scores of the image at one scale, on that scale's own grid."""
    seen = pixels if scale == 1 else ScaleImages(scale, dtype="float32", name=f"scale{index}")(pixels)
    return head(encoder(seen)["c5"])


def _fused(maps):
    """Class scores `[B, h, w, classes]` on the grid of the first map, the largest: the maximum over all."""
    largest, *others = maps
    if not others:
        return largest
    others = [ResizeTo(dtype="float32", name=f"scale{index}_up")(scores, largest)
              for index, scores in enumerate(others, 1)]
    return keras.layers.Maximum(dtype="float32", name="scale_fusion")([largest, *others])


def _point_branch(features, classes, rate, index):
    """A 3x3 convolution at `rate` from features to class scores."""
    return AtrousConv2D(classes, 3, padding="same", dilation_rate=rate, dtype="float32",
                        name=f"aspp{index}")(features)


def _fully_connected_branch(features, classes, rate, index, *, filters, dropout):
    """fc6 at `rate`, fc7 and a classifier (figure 7b)."""
    outputs = fully_connected(features, filters, kernel_size=3, rate=rate, dropout=dropout, suffix=f"_{index}")
    return keras.layers.Conv2D(classes, 1, dtype="float32", name=f"fc8_{index}")(outputs)
