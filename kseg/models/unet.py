"""U-Net: the network of 2015, and its decoder on any encoder.

Reference: Ronneberger, Fischer, Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015,
arXiv:1505.04597.
"""

import keras

from kseg import checks
from kseg.layers import CropTo, NormalizePixels, RequireValidSize, ResizeTo
from kseg.models.arguments import documented
from kseg.models.assembly import encoder_for, finish, pixels_input
from kseg.models.blocks import classify, conv_bn_relu
from kseg.models.segmenter import Segmenter
from kseg.types import EncoderName, EncoderWeights, ImageSize


@documented(encoder_name="None for the network of 2015 (four poolings, no BN, He initialisation); else an encoder of\n"
            "            `kseg.encoders.names()` or a keras_cv / KerasHub backbone, whose decoder has BN.",
            encoder_weights='None (random), "imagenet", or a file; only with an encoder.')
def UNet(classes: int, encoder_name: EncoderName | None = None, encoder_weights: EncoderWeights = None,
         in_channels: int = 3, image_size: ImageSize = (None, None), *, padding: str = "same", filters: int = 64,
         dropout: float = 0.5, released: bool = False, decoder_filters: tuple[int, ...] = (256, 128, 64, 32, 16),
         interpolation: str = "bilinear", center: bool = False, task: str = "multiclass",
         compile: bool = True, name: str = "unet") -> Segmenter:
    """Return U-Net, pixels to logits: the network of 2015, or the decoder on another encoder.

    Args:
        Arguments of every builder: `kseg.models.arguments`.
        padding: "same", or "valid" as in the paper: the logits are 184 pixels smaller than the image, and its sides
            are 16 k + 12 from 188 on. Only without an encoder; `kseg.inference.predict_tiled` mirrors the border. To
            train, crop the labels: `data.map(lambda pixels, labels: (pixels, labels[:, 92:-92, 92:-92]))`.
        filters: int, channels of the first level, doubled at each of four poolings (64: figure 1). Only without an
            encoder.
        dropout: float, rate at the end of the contracting path, after the levels of 512 and of 1024 channels
            (section 3.1 and released net: 0.5). Only without an encoder.
        released: bool, the last up-convolution keeps 128 channels as in the released Caffe net, not figure 1's 64.
        decoder_filters: tuple of five int, channels of the decoder's stages, deepest first. Only with an encoder.
        interpolation: str, how the decoder enlarges its maps, "bilinear", or "nearest" as in smp. Only with an encoder.
        center: bool, whether two convolutions as wide as c5 stand before the decoder, as in smp with a VGG. Only with
            an encoder.
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`.
    Raises:
        ValueError: for an unknown encoder, one without the stages c2…c5, or sizes illegal for valid convolutions.
    """
    checks.one_of("padding", padding, ("same", "valid"))
    checks.number_between("dropout", dropout, 0, 1)
    checks.one_of("interpolation", interpolation, ("bilinear", "nearest"))
    pixels = pixels_input(in_channels, image_size, classes, task)
    if encoder_name is None:
        if padding == "valid":
            RequireValidSize().check(pixels.shape[1:3])
        checks.one_of("encoder_weights", encoder_weights, (None,), context=" without an encoder",
                      advice="The network of 2015 has no pretrained weights; name an encoder to use some.")
        features = _paper_network(pixels, padding, checks.positive_integer("filters", filters), dropout, released)
        logits = keras.layers.Conv2D(classes, 1, kernel_initializer="he_normal", dtype="float32",
                                     name="logits")(features)
        return finish(pixels, logits, task=task, compile=compile, name=name, learning_rate=1e-4)
    checks.one_of("padding", padding, ("same",), context=f" with encoder {encoder_name!r}",
                  advice="Valid convolutions belong to the network of 2015: pass encoder_name=None.")
    if len(decoder_filters) != 5:
        raise ValueError(checks.sentence("decoder_filters", "must hold five channel counts, deepest first",
                                         decoder_filters, "The default is (256, 128, 64, 32, 16)."))
    features = encoder_for(pixels, encoder_name, encoder_weights, builder="U-Net",
                           stages=("c5", "c4", "c3", "c2"))(pixels)
    if center:
        features = {**features, "c5": _two_with_bn(features["c5"], features["c5"].shape[-1], "center")}
    logits = classify(_decoder(features, pixels, decoder_filters, interpolation), classes, like=pixels, kernel_size=3)
    return finish(pixels, logits, task=task, compile=compile, name=name)


def _paper_network(pixels, padding, filters, dropout, released):
    """Return the last features `[B, H, W, filters]` (figure 1); H and W 184 less than the pixels' if "valid"."""
    features = RequireValidSize(name="require_size")(pixels) if padding == "valid" else pixels
    features = NormalizePixels((127.5,), (63.75,), name="normalize")(features)
    skips = []
    for level in range(5):
        features = _two_convolutions(features, filters * 2 ** level, padding, f"down{level + 1}")
        if level >= 3:
            features = keras.layers.Dropout(dropout, name=f"down{level + 1}_dropout")(features)
        if level < 4:
            skips.append(features)
            features = keras.layers.MaxPooling2D(2, padding=padding, name=f"down{level + 1}_pool")(features)
    for level in range(3, -1, -1):
        width = filters * 2 ** level
        filters_up = 2 * width if released and level == 0 else width
        # He's N is the channels coming in, one tap of each; Keras counts 4 * filters_up for this kernel.
        he_normal = keras.initializers.VarianceScaling(2 * 4 * filters_up / features.shape[-1], "fan_in",
                                                       "truncated_normal")
        raised = keras.layers.Conv2DTranspose(filters_up, 2, strides=2, activation="relu", name=f"up{level + 1}",
                                              kernel_initializer=he_normal)(features)  # [B, 2h, 2w, filters_up]
        skip = skips[level]
        if padding == "valid":
            skip = CropTo("center", name=f"up{level + 1}_crop")(skip, raised)
        else:  # an odd map was pooled rounding up: the raised map is one pixel too large
            raised = CropTo(name=f"up{level + 1}_crop")(raised, skip)
        features = keras.layers.Concatenate(name=f"up{level + 1}_concat")([skip, raised])
        features = _two_convolutions(features, width, padding, f"up{level + 1}")
    return features


def _two_convolutions(features, filters, padding, name):
    for index in (1, 2):
        features = keras.layers.Conv2D(filters, 3, padding=padding, activation="relu", kernel_initializer="he_normal",
                                       name=f"{name}_conv{index}")(features)
    return features


def _two_with_bn(features, filters, name):
    for index in (1, 2):
        features = conv_bn_relu(features, filters, name=f"{name}_{index}")
    return features


def _decoder(features, pixels, filters, interpolation):
    """Raise c5 to each finer stage in turn, join it, and convolve twice; at last to the size of the pixels.

    Encoders that start at stride 4 have no c1: that stage is raised to twice the size and joins nothing.
    """
    current, skips = features["c5"], [features.get(stage) for stage in ("c4", "c3", "c2", "c1")]
    for stage, (skip, width) in enumerate(zip(skips, filters[:4], strict=True), start=1):
        if skip is not None:
            current = ResizeTo(interpolation, name=f"decoder{stage}_up")(current, skip)
            current = keras.layers.Concatenate(name=f"decoder{stage}_concat")([current, skip])
        elif interpolation == "nearest":  # smp rounds half of an odd side down
            current = ResizeTo(interpolation, name=f"decoder{stage}_up")(current, pixels[:, 1::2, 1::2])
        else:
            current = keras.layers.UpSampling2D(2, name=f"decoder{stage}_up")(current)  # nearest neighbour
        current = _two_with_bn(current, width, f"decoder{stage}")  # [B, H / 2^(5 - stage), ..., width]
    current = ResizeTo(interpolation, name="decoder5_up")(current, pixels)
    return _two_with_bn(current, filters[4], "decoder5")  # [B, H, W, filters[4]]
