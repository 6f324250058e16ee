"""The FCN of torchvision and mmsegmentation: a dilated ResNet and a small convolutional head.

No paper of its own: Long et al.'s idea (arXiv:1411.4038) on the dilated networks of Yu et al. (arXiv:1705.09914). It is
the baseline that both libraries publish weights of.
"""

import keras

from kseg import checks
from kseg.models.arguments import documented
from kseg.models.assembly import encoder_for, finish, pixels_input
from kseg.models.blocks import auxiliary_head, classify, conv_bn_relu
from kseg.models.segmenter import Segmenter
from kseg.types import EncoderName, EncoderWeights, ImageSize


@documented()
def DilatedFCN(classes: int, encoder_name: EncoderName = "resnet50", encoder_weights: EncoderWeights = None,
               in_channels: int = 3, image_size: ImageSize = (None, None), *, output_stride: int = 8,
               convolutions: int = 1, concatenate_input: bool = False, filters: int | None = None,
               dropout: float = 0.1, aux: bool = False, aux_weight: float = 0.4, task: str = "multiclass",
               compile: bool = True,
               name: str = "dilated_fcn") -> Segmenter:
    """Return a dilated FCN, pixels to logits: c5, 3x3 convolutions, classifier, bilinear to the size of the image.

    Args:
        Arguments of every builder: `kseg.models.arguments`.
        output_stride: 8, 16 or 32, input pixels per c5 pixel.
        convolutions: int, 3x3 convolutions of the head (torchvision: 1, mmsegmentation: 2).
        concatenate_input: bool, joins c5 to what they give, by one more 3x3 convolution (mmsegmentation).
        filters: int, channels of the head; None for a quarter of c5's.
        dropout: float, rate before the classifier.
        aux: bool, adds an auxiliary head on c4, used in training only.
        aux_weight: float, weight of its loss.
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`.
    Raises:
        ValueError: for an unknown encoder or an output stride it cannot give.
    """
    checks.number_between("dropout", dropout, 0, 1)
    checks.positive_integer("convolutions", convolutions)
    pixels = pixels_input(in_channels, image_size, classes, task)
    features = encoder_for(pixels, encoder_name, encoder_weights, builder="DilatedFCN", output_stride=output_stride,
                           stages=("c4", "c5") if aux else ("c5",))(pixels)
    filters = features["c5"].shape[-1] // 4 if filters is None else checks.positive_integer("filters", filters)
    head = features["c5"]
    for index in range(1, convolutions + 1):
        head = conv_bn_relu(head, filters, 3, name=f"head{index}")  # [B, H/os, W/os, filters]
    if concatenate_input:
        head = keras.layers.Concatenate(name="head_concat")([features["c5"], head])
        head = conv_bn_relu(head, filters, 3, name="head_fuse")
    head = keras.layers.Dropout(dropout, name="head_dropout")(head)
    logits = classify(head, classes, like=pixels)
    aux_logits = None
    if aux:
        aux_logits = auxiliary_head(features["c4"], classes, like=pixels, filters=features["c4"].shape[-1] // 4,
                                    dropout=0.1)
    return finish(pixels, logits, aux_logits, task=task, compile=compile, name=name, aux_weight=aux_weight)
