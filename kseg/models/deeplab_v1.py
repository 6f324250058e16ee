"""DeepLab v1: VGG16 with holes and a large field of view, fully convolutional at stride 8.

Reference: Chen, Papandreou, Kokkinos, Murphy, Yuille, Semantic Image Segmentation with Deep Convolutional Nets and
Fully Connected CRFs, ICLR 2015, arXiv:1412.7062. The CRF is `kseg.inference.DenseCRF`.
"""

import keras
import numpy as np

from kseg import checks
from kseg.encoders import build_encoder, canonical_name
from kseg.encoders.families import ENCODERS
from kseg.encoders.weights import copy_pairs, load_file, load_imagenet
from kseg.layers import AtrousConv2D, NormalizePixels
from kseg.models.blocks import classify
from kseg.models.deeplab import rates_at
from kseg.models.segmenter import finish, pixels_input
from kseg.models.stages import require_stages


def DeepLabV1(classes, encoder_name="vgg16", encoder_weights=None, in_channels=3, image_size=(None, None), *,
              output_stride=8, fc6_kernel_size=3, fc6_rate=12, fc6_filters=1024, multi_scale=False, dropout=0.5,
              compile=True, name="deeplab_v1"):
    """Return DeepLab v1 (DeepLab-LargeFOV), pixels to logits.

    VGG16 whose 3x3 pools 4 and 5 have stride 1, conv5 at rate 2, fc6 as a 3x3 convolution at rate 12, fc7, classifier,
    bilinear to the size of the image. The loss is taken at full resolution, where the paper shrinks the labels to
    stride 8. The paper's other forms (table 2): fc6 7x7, rate 4, 4096 filters (DeepLab-7x7); 4x4, rate 4, 4096
    (DeepLab). "imagenet" fills the 13 convolutions; `copy_fully_connected` then fills fc6 and fc7.

    Args:
        classes: int, number of classes.
        encoder_name: str, "vgg16" for the paper's body, or any name of `kseg.encoders.names()`.
        encoder_weights: None (random), "imagenet", or a `.weights.h5`, `.npz` or `.safetensors` file.
        in_channels: int, input bands; pretrained weights are kept for any number.
        image_size: (height, width) in pixels; None for any size.
        output_stride: 8 for "vgg16"; 8, 16 or 32 for others, input pixels per c5 pixel.
        fc6_kernel_size: int, side of fc6's kernel (table 2).
        fc6_rate: int, its rate at output stride 8 (table 2: "input stride").
        fc6_filters: int, channels of fc6 and fc7 (section 4.1: 1024 of 4096).
        multi_scale: bool, the MSc form: image and pools 1 to 4 reach the classifier through a 3x3 and a 1x1
            convolution of 128 channels (section 4.3). The paper trains these alone, from a trained LargeFOV.
        dropout: float, rate after fc6 and fc7 (VGG16).
        compile: bool, compile with AdamW, cross-entropy and mean IoU.
        name: str, the model's name.
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`.
    Raises:
        ValueError: for an unknown encoder or an output stride it cannot give.
    """
    checks.number_between("dropout", dropout, 0, 1)
    pixels = pixels_input(in_channels, image_size, classes)
    encoder = paper_encoder(encoder_name, output_stride, encoder_weights, in_channels, image_size)
    features = encoder(pixels)
    rate, = rates_at(output_stride, (fc6_rate,), features["c5"].shape[1:3], reference_stride=8, argument="fc6_rate")
    outputs = fully_connected(features["c5"], fc6_kernel_size, rate, fc6_filters, dropout)
    if multi_scale:
        outputs = keras.layers.Concatenate(name="multi_scale")(
            [outputs, *_side_features(pixels, features, output_stride)])  # [B, H/os, W/os, fc6_filters + 5 * 128]
    logits = classify(outputs, classes, like=pixels)
    return finish(pixels, logits, compile=compile, name=name)


def paper_encoder(encoder_name, output_stride, encoder_weights, in_channels, image_size):
    """Return the encoder of DeepLab v1 and v2: their own VGG16 for "vgg16", a library's dilated network otherwise."""
    if isinstance(encoder_name, str) and canonical_name(encoder_name) == "vgg16":
        checks.one_of("output_stride", output_stride, (8,), context=" for encoder 'vgg16' of DeepLab v1 and v2",
                      advice="Use 8, or another encoder.")
        return _atrous_vgg16(encoder_weights, in_channels)
    encoder = build_encoder(encoder_name, output_stride, encoder_weights, in_channels, image_size=image_size)
    require_stages(encoder.output, ("c5",), encoder_name, "DeepLab v1 and v2")
    return encoder


def _atrous_vgg16(encoder_weights, in_channels):
    """VGG16 at stride 8: 3x3 pools of stride 2, 2, 2, 1, 1, conv5 at rate 2, and an average pool (released network)."""
    row = ENCODERS["vgg16"]
    pixels = keras.Input((None, None, in_channels), dtype="float32", name="pixels")
    outputs = NormalizePixels(*row.pixels, name="normalize")(pixels)
    features = {}
    stages = ((2, 64, 2, 1), (2, 128, 2, 1), (3, 256, 2, 1), (3, 512, 1, 1), (3, 512, 1, 2))
    for block, (convolutions, filters, pool_stride, rate) in enumerate(stages, 1):
        for index in range(1, convolutions + 1):
            outputs = AtrousConv2D(filters, 3, padding="same", dilation_rate=rate, activation="relu",
                                   kernel_initializer="he_normal", name=f"block{block}_conv{index}")(outputs)
        outputs = keras.layers.MaxPooling2D(3, pool_stride, "same", name=f"block{block}_pool")(outputs)
        features[f"c{block}"] = outputs
    # pool5a: as in Caffe, the zeros beyond the border count in the mean.
    outputs = keras.layers.ZeroPadding2D(1, name="block5_average_pad")(outputs)
    features["c5"] = keras.layers.AveragePooling2D(3, 1, "valid", name="block5_average")(outputs)
    encoder = keras.Model(pixels, features, name="encoder")
    encoder.autocast = False  # pixels stay float32 until they are normalised
    if encoder_weights is not None:
        _load_vgg16(encoder, encoder_weights, row)
    return encoder


def _load_vgg16(encoder, encoder_weights, row):
    imagenet = encoder_weights == "imagenet"
    library = load_imagenet(row, "vgg16") if imagenet else row.build()
    pairs = [(layer, encoder.get_layer(layer.name)) for layer in library.layers if layer.weights]
    if imagenet:
        copy_pairs(pairs, row.bgr)
    else:
        load_file(encoder, encoder_weights, "vgg16", row, library, pairs)


def fully_connected(features, kernel_size, rate, filters, dropout, suffix=""):
    """fc6 and fc7 of VGG16 as convolutions, each with ReLU and dropout: `[B, h, w, C]` to `[B, h, w, filters]`."""
    outputs = features
    for layer, size, dilation in ((f"fc6{suffix}", kernel_size, rate), (f"fc7{suffix}", 1, 1)):
        outputs = AtrousConv2D(filters, size, padding="same", dilation_rate=dilation, activation="relu",
                               kernel_initializer="he_normal", name=layer)(outputs)
        outputs = keras.layers.Dropout(dropout, name=f"{layer}_dropout")(outputs)
    return outputs


def _side_features(pixels, features, output_stride):
    """The image and c1 to c4, each through 3x3-128 and 1x1-128 to the grid of c5 (section 4.3)."""
    image = NormalizePixels(*ENCODERS["vgg16"].pixels, name="side_normalize")(pixels)
    sources = [("image", image, 1), *((stage, features[stage], 2 ** int(stage[1])) for stage in ("c1", "c2", "c3", "c4")
                                      if stage in features)]
    sides = []
    for stage, source, stride in sources:
        outputs = keras.layers.Conv2D(128, 3, strides=max(1, output_stride // stride), padding="same",
                                      activation="relu", name=f"side_{stage}_conv1")(source)
        sides.append(keras.layers.Conv2D(128, 1, activation="relu", name=f"side_{stage}_conv2")(outputs))
    return sides


def copy_fully_connected(model, vgg16, seed=0):
    """Fill fc6 and fc7 of a DeepLab v1, or of a v2 on VGG16, from the classifier of VGG16 (section 4.1).

    The 7x7 kernel of fc6 is decimated to the model's size, and a random choice of its filters and of fc7's is kept;
    the filters of fc6 that stay are the inputs of fc7 that stay. Each branch of v2 makes its own choice.

    Args:
        model: `Segmenter` from `DeepLabV1` or `DeepLabV2`.
        vgg16: `keras.Model` with Dense layers "fc1" and "fc2", as `keras.applications.VGG16(include_top=True)`.
        seed: int, of the choice.
    Raises:
        ValueError: if the model has no fc6.
    """
    layers = {layer.name: layer for layer in _layers(model)}
    suffixes = [name.removeprefix("fc6") for name in layers if name.startswith("fc6") and not name.endswith("dropout")]
    if not suffixes:
        raise ValueError(checks.sentence("model", "must be a DeepLab v1, or a v2 on VGG16, with a layer fc6",
                                         model.name, "Build it with kseg.models.DeepLabV1."))
    (fc6_kernel, fc6_bias), (fc7_kernel, fc7_bias) = (vgg16.get_layer(name).get_weights() for name in ("fc1", "fc2"))
    fc6_kernel = fc6_kernel.reshape(7, 7, 512, -1)  # [7, 7, 512, 4096]: Keras flattens rows, columns, channels
    generator = np.random.default_rng(seed)
    for suffix in suffixes:
        fc6, fc7 = layers[f"fc6{suffix}"], layers[f"fc7{suffix}"]
        taps = np.rint(np.linspace(0, 6, fc6.kernel_size[0])).astype(int)
        kept, kept7 = (np.sort(generator.choice(bias.size, fc6.filters, replace=False))
                       for bias in (fc6_bias, fc7_bias))
        fc6.set_weights([fc6_kernel[np.ix_(taps, taps, range(512), kept)], fc6_bias[kept]])
        fc7.set_weights([fc7_kernel[np.ix_(kept, kept7)][None, None], fc7_bias[kept7]])  # [1, 1, filters, filters]


def _layers(model):
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
