"""SegNet: a decoder that puts each maximum back where the encoder's pooling found it.

Reference: Badrinarayanan, Kendall, Cipolla, SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
Segmentation, PAMI 2017, arXiv:1511.00561; released prototxts of SegNet-Tutorial.
"""

import keras

from kseg import checks
from kseg.encoders import build_encoder
from kseg.layers import (BatchNormalization, LocalResponseNormalization, MaxPoolingWithArgmax2D, MaxUnpooling2D,
                         NormalizePixels)
from kseg.models.segmenter import finish, pixels_input

CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # a stage
VGG_FILTERS = (64, 128, 256, 512, 512)
VGG_MEAN = (123.68, 116.779, 103.939)  # RGB, 0-255


def SegNet(classes, encoder_name="vgg16", encoder_weights=None, in_channels=3, image_size=(None, None), *,
           filters=VGG_FILTERS, dropout=0.0, compile=True, name="segnet"):
    """Return SegNet, pixels to logits.

    The 13 convolutions of VGG16 (with bias), each followed by BN and ReLU; 2x2 poolings that keep their places; the
    mirrored decoder of unpoolings and convolutions, which narrows in the last convolution of a stage. The 26th
    convolution is the classifier.

    Args:
        classes: int, number of classes.
        encoder_name: "vgg16" (the paper's) or "vgg19": unpooling needs the places of 2x2 poolings.
        encoder_weights: None (random), "imagenet", or a file for that encoder: kernels and biases of the convolutions.
        in_channels: int, input bands.
        image_size: (height, width) in pixels; None for any size.
        filters: tuple of five int, channels of the stages.
        dropout: float, rate after the three deepest stages of encoder and decoder (0.5 in the paper's benchmark of
            section 4.2 and in Bayesian SegNet; 0 in the released SegNet).
        compile: bool, compile with AdamW, cross-entropy and mean IoU.
        name: str, the model's name.
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`.
    Raises:
        ValueError: for another encoder, or weights with other `filters` than VGG's.
    """
    encoder_name = str(encoder_name).lower().replace("-", "").replace("_", "")
    checks.one_of("encoder_name", encoder_name, CONVOLUTIONS, advice="Unpooling needs the places of VGG's poolings; "
                  "for other encoders take UNet or DeepLabV3Plus.")
    checks.number_between("dropout", dropout, 0, 1)
    if len(filters) != 5:
        raise ValueError(checks.sentence("filters", "must hold five channel counts, one a stage", filters,
                                         f"The paper uses {VGG_FILTERS}."))
    counts = CONVOLUTIONS[encoder_name]
    pixels = pixels_input(in_channels, image_size, classes)
    encoder = _encoder(counts, filters, in_channels, dropout)
    if encoder_weights is not None:
        _copy_convolutions(encoder, encoder_name, encoder_weights, in_channels, filters)
    pooled = encoder(pixels)
    features = pooled["c5"]
    for stage in range(5, 0, -1):
        like = pooled[f"places{stage - 1}"] if stage > 1 else pixels
        features = MaxUnpooling2D(name=f"unpool{stage}")(features, pooled[f"places{stage}"], like)
        narrower = filters[max(stage - 2, 0)]
        widths = (filters[stage - 1],) * (counts[stage - 1] - 1) + ((narrower,) if stage > 1 else ())
        for index, width in enumerate(widths, start=1):
            features = _conv_bn(features, width, 3, f"decoder{stage}_conv{index}")  # [B, H / 2^(stage-1), ..., width]
        if dropout and stage >= 3:
            features = keras.layers.Dropout(dropout, name=f"decoder{stage}_dropout")(features)
    logits = keras.layers.Conv2D(classes, 3, padding="same", kernel_initializer="he_normal", dtype="float32",
                                 name="logits")(features)
    return finish(pixels, logits, compile=compile, name=name)


def SegNetBasic(classes, encoder_name=None, encoder_weights=None, in_channels=3, image_size=(None, None), *,
                filters=64, use_bias=True, compile=True, name="segnet_basic"):
    """Return SegNet-Basic: four 7x7 convolutions down and four up, 64 channels each, ReLU in the encoder only.

    Args:
        classes: int, number of classes.
        encoder_name: None; the network has no exchangeable encoder.
        encoder_weights: None; there are none.
        in_channels: int, input bands; they pass local response normalisation over five channels.
        image_size: (height, width) in pixels; None for any size.
        filters: int, channels of every convolution (64).
        use_bias: bool, biases before BN (released prototxt: yes; paper: none).
        compile: bool, compile with AdamW, cross-entropy and mean IoU.
        name: str, the model's name.
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`.
    Raises:
        ValueError: for an encoder or encoder weights.
    """
    for argument, value in (("encoder_name", encoder_name), ("encoder_weights", encoder_weights)):
        checks.one_of(argument, value, (None,), context=" for SegNetBasic",
                      advice="SegNetBasic is a network of its own; SegNet takes VGG's weights.")
    checks.positive_integer("filters", filters)
    pixels = pixels_input(in_channels, image_size, classes)
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
    return finish(pixels, logits, compile=compile, name=name)


def _encoder(counts, filters, in_channels, dropout):
    """Return the encoder: pixels to {"c5": `[B, H/32, W/32, F5]`, "places1"…"places5"}."""
    pixels = keras.Input((None, None, in_channels), dtype="float32", name="pixels")
    features = NormalizePixels(VGG_MEAN, (1.0, 1.0, 1.0), name="normalize")(pixels)
    outputs = {}
    for stage, (count, width) in enumerate(zip(counts, filters, strict=True), start=1):
        for index in range(1, count + 1):
            features = _conv_bn(features, width, 3, f"block{stage}_conv{index}")
        features, outputs[f"places{stage}"] = MaxPoolingWithArgmax2D(name=f"block{stage}_pool")(features)
        if dropout and stage >= 3:
            features = keras.layers.Dropout(dropout, name=f"block{stage}_dropout")(features)
    encoder = keras.Model(pixels, {"c5": features, **outputs}, name="encoder")
    encoder.autocast = False  # pixels stay float32 until they are normalised
    return encoder


def _copy_convolutions(encoder, encoder_name, encoder_weights, in_channels, filters):
    if tuple(filters) != VGG_FILTERS:
        raise ValueError(checks.sentence("filters", f"must be {VGG_FILTERS} when encoder_weights is given", filters,
                                         "Leave `filters` out, or pass encoder_weights=None."))
    source = build_encoder(encoder_name, 32, encoder_weights, in_channels)
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights(source.get_layer(layer.name).get_weights())


def _conv_bn(inputs, filters, kernel_size, name, use_bias=True, relu=True):
    """Convolution, BN with the released scale 1 and shift 0.001, and ReLU unless told otherwise."""
    outputs = keras.layers.Conv2D(filters, kernel_size, padding="same", use_bias=use_bias,
                                  kernel_initializer="he_normal", name=name)(inputs)
    outputs = BatchNormalization(epsilon=1e-5, beta_initializer=keras.initializers.Constant(0.001),
                                 name=f"{name}_bn")(outputs)
    return keras.layers.ReLU(name=f"{name}_relu")(outputs) if relu else outputs
