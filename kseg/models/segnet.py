"""SegNet: a decoder that puts each maximum back where the encoder's pooling found it.

Reference: Badrinarayanan, Kendall, Cipolla, SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
Segmentation, PAMI 2017, arXiv:1511.00561; released prototxts of SegNet-Tutorial.
"""

import keras

from kseg import checks
from kseg.encoders import row_of
from kseg.encoders.families import ENCODERS
from kseg.encoders.model import encoder_model, normalized_input
from kseg.encoders.vgg import FILTERS as VGG_FILTERS
from kseg.encoders.vgg import copy_convolutions
from kseg.encoders.vgg_stages import vgg_stages
from kseg.layers import BatchNormalization, LocalResponseNormalization, MaxPoolingWithArgmax2D, MaxUnpooling2D
from kseg.models.arguments import documented
from kseg.models.assembly import finish, pixels_input
from kseg.models.segmenter import Segmenter
from kseg.types import EncoderName, EncoderWeights, ImageSize


@documented(encoder_name='"vgg16" (the paper\'s) or "vgg19": unpooling needs the places of 2x2 poolings.',
            encoder_weights='None (random), "imagenet", or a file for that encoder: kernels and biases of the\n'
            "            convolutions.")
def SegNet(classes: int, encoder_name: EncoderName = "vgg16", encoder_weights: EncoderWeights = None,
           in_channels: int = 3, image_size: ImageSize = (None, None), *,
           filters: tuple[int, int, int, int, int] = VGG_FILTERS, dropout: float = 0.0, task: str = "multiclass",
           compile: bool = True,
           name: str = "segnet") -> Segmenter:
    """Return SegNet, pixels to logits.

    The 13 convolutions of VGG16 (with bias), each followed by BN and ReLU; 2x2 poolings that keep their places; the
    mirrored decoder of unpoolings and convolutions, which narrows in the last convolution of a stage. The 26th
    convolution is the classifier.

    Args:
        Arguments of every builder: `kseg.models.arguments`.
        filters: tuple of five int, channels of the stages.
        dropout: float, rate after the three deepest stages of encoder and decoder (0.5 in the paper's benchmark of
            section 4.2 and in Bayesian SegNet; 0 in the released SegNet).
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`.
    Raises:
        ValueError: for another encoder, or weights with other `filters` than VGG's.
    """
    row = row_of(encoder_name, encoder_weights)
    checks.one_of("encoder_name", row.name, [name for name, other in ENCODERS.items() if other.convolutions],
                  advice="Unpooling needs the places of VGG's poolings; for other encoders take UNet or DeepLabV3Plus.")
    checks.number_between("dropout", dropout, 0, 1)
    if len(filters) != 5:
        raise ValueError(checks.sentence("filters", "must hold five channel counts, one per stage", filters,
                                         f"The paper uses {VGG_FILTERS}."))
    if encoder_weights is not None and tuple(filters) != VGG_FILTERS:
        raise ValueError(checks.sentence("filters", f"must be {VGG_FILTERS} when encoder_weights is given", filters,
                                         "Leave `filters` out, or pass encoder_weights=None."))
    pixels = pixels_input(in_channels, image_size, classes, task)
    encoder = _encoder(row, filters, in_channels, dropout)
    copy_convolutions(encoder, encoder_name, encoder_weights)
    pooled = encoder(pixels)
    features = pooled["c5"]
    for stage in range(5, 0, -1):
        like = pooled[f"places{stage - 1}"] if stage > 1 else pixels
        features = MaxUnpooling2D(name=f"unpool{stage}")(features, pooled[f"places{stage}"], like)
        narrower = filters[max(stage - 2, 0)]
        widths = (filters[stage - 1],) * (row.convolutions[stage - 1] - 1) + ((narrower,) if stage > 1 else ())
        for index, width in enumerate(widths, start=1):
            features = _conv_bn(features, width, 3, f"decoder{stage}_conv{index}")  # [B, H / 2^(stage-1), ..., width]
        if dropout and stage >= 3:
            features = keras.layers.Dropout(dropout, name=f"decoder{stage}_dropout")(features)
    logits = keras.layers.Conv2D(classes, 3, padding="same", kernel_initializer="he_normal", dtype="float32",
                                 name="logits")(features)
    return finish(pixels, logits, task=task, compile=compile, name=name)


@documented(encoder_name="None; the network has no exchangeable encoder.", encoder_weights="None; there are none.",
            in_channels="int, input bands; they pass local response normalisation over five channels.")
def SegNetBasic(classes: int, encoder_name: None = None, encoder_weights: None = None, in_channels: int = 3,
                image_size: ImageSize = (None, None), *, filters: int = 64, use_bias: bool = True,
                task: str = "multiclass", compile: bool = True, name: str = "segnet_basic") -> Segmenter:
    """Return SegNet-Basic: four 7x7 convolutions down and four up, 64 channels each, ReLU in the encoder only.

    Args:
        Arguments of every builder: `kseg.models.arguments`.
        filters: int, channels of every convolution (64).
        use_bias: bool, biases before BN (released prototxt: yes; paper: none).
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`.
    Raises:
        ValueError: for an encoder or encoder weights.
    """
    for argument, value in (("encoder_name", encoder_name), ("encoder_weights", encoder_weights)):
        checks.one_of(argument, value, (None,), context=" for SegNetBasic",
                      advice="SegNetBasic is a network of its own; SegNet takes VGG's weights.")
    checks.positive_integer("filters", filters)
    pixels = pixels_input(in_channels, image_size, classes, task)
    features = LocalResponseNormalization(name="normalize")(pixels)
    kept = []
    for stage in range(1, 5):
        features = _conv_bn(features, filters, 7, f"encoder{stage}_conv", use_bias=use_bias)
        features, places = MaxPoolingWithArgmax2D(name=f"pool{stage}")(features)  # [B, H / 2^stage, ..., filters]
        kept.append(places)
    for stage in range(4, 0, -1):
        like = kept[stage - 2] if stage > 1 else pixels
        features = MaxUnpooling2D(name=f"unpool{stage}")(features, kept[stage - 1], like)
        features = _conv_bn(features, filters, 7, f"decoder{stage}_conv", use_bias=use_bias, relu=False)
    logits = keras.layers.Conv2D(classes, 1, kernel_initializer="he_normal", dtype="float32", name="logits")(features)
    return finish(pixels, logits, task=task, compile=compile, name=name)


def _encoder(row, filters, in_channels, dropout):
    """Return the encoder: pixels to {"c5": `[B, H/32, W/32, F5]`, "places1"…"places5"}."""
    pixels, normalized = normalized_input((None, None), in_channels, row.pixels, row.geometry)
    places = {}

    def convolve(features, width, stage, name):
        return _conv_bn(features, width, 3, name)

    def pool(features, stage, name):
        features, places[f"places{stage}"] = MaxPoolingWithArgmax2D(name=name)(features)
        if dropout and stage >= 3:
            features = keras.layers.Dropout(dropout, name=f"block{stage}_dropout")(features)
        return features

    ends = vgg_stages(normalized, row.convolutions, filters, convolve, pool)
    return encoder_model(pixels, {"c5": ends[-1], **places})


def _conv_bn(inputs, filters, kernel_size, name, *, use_bias=True, relu=True):
    """Convolution, BN with the released scale 1 and shift 0.001, and ReLU unless told otherwise."""
    outputs = keras.layers.Conv2D(filters, kernel_size, padding="same", use_bias=use_bias,
                                  kernel_initializer="he_normal", name=name)(inputs)
    outputs = BatchNormalization(epsilon=1e-5, beta_initializer=keras.initializers.Constant(0.001),
                                 name=f"{name}_bn")(outputs)
    return keras.layers.ReLU(name=f"{name}_relu")(outputs) if relu else outputs
