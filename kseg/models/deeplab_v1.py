"""DeepLab v1: VGG16 with holes and a large field of view, fully convolutional at stride 8.

Reference: Chen, Papandreou, Kokkinos, Murphy, Yuille, Semantic Image Segmentation with Deep Convolutional Nets and
Fully Connected CRFs, ICLR 2015, arXiv:1412.7062. The CRF is `kseg.inference.DenseCRF`.
"""

import keras
import numpy as np

from kseg import checks
from kseg.encoders import row_of
from kseg.encoders.families import CAFFE
from kseg.encoders.vgg import vgg_with_holes
from kseg.layers import AtrousConv2D, NormalizePixels
from kseg.models.arguments import documented
from kseg.models.assembly import encoder_for, finish, pixels_input
from kseg.models.blocks import classify
from kseg.models.deeplab import rates_at
from kseg.models.segmenter import Segmenter
from kseg.models.walk import layers_of
from kseg.types import EncoderName, EncoderWeights, ImageSize


@documented(encoder_name='str, "vgg16" for the paper\'s body, or any name of `kseg.encoders.names()`.')
def DeepLabV1(classes: int, encoder_name: EncoderName = "vgg16", encoder_weights: EncoderWeights = None,
              in_channels: int = 3, image_size: ImageSize = (None, None), *, output_stride: int = 8,
              fc6_kernel_size: int = 3, fc6_rate: int = 12, fc6_filters: int = 1024, multi_scale: bool = False,
              dropout: float = 0.5, task: str = "multiclass",
              compile: bool = True, name: str = "deeplab_v1") -> Segmenter:
    """Return DeepLab v1 (DeepLab-LargeFOV), pixels to logits.

    VGG16 whose 3x3 pools 4 and 5 have stride 1, conv5 at rate 2, fc6 as a 3x3 convolution at rate 12, fc7, classifier,
    bilinear to the size of the image. The loss is taken at full resolution, where the paper shrinks the labels to
    stride 8. The paper's other forms (table 2): fc6 7x7, rate 4, 4096 filters (DeepLab-7x7); 4x4, rate 4, 4096
    (DeepLab). "imagenet" fills the 13 convolutions; `copy_fully_connected` then fills fc6 and fc7.

    Args:
        Arguments of every builder: `kseg.models.arguments`.
        output_stride: 8 for "vgg16"; 8, 16 or 32 for others, input pixels per c5 pixel.
        fc6_kernel_size: int, side of fc6's kernel (table 2).
        fc6_rate: int, its rate at output stride 8 (table 2: "input stride").
        fc6_filters: int, channels of fc6 and fc7 (section 4.1: 1024 of 4096).
        multi_scale: bool, the MSc form: image and pools 1 to 4 reach the classifier through a 3x3 and a 1x1
            convolution of 128 channels (section 4.3). The paper trains these alone, from a trained LargeFOV.
        dropout: float, rate after fc6 and fc7 (VGG16).
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`.
    Raises:
        ValueError: for an unknown encoder or an output stride it cannot give.
    """
    checks.number_between("dropout", dropout, 0, 1)
    pixels = pixels_input(in_channels, image_size, classes, task)
    features = paper_encoder(pixels, encoder_name, encoder_weights, output_stride)(pixels)
    rate, = rates_at(output_stride, (fc6_rate,), features["c5"].shape[1:3], reference_stride=8, argument="fc6_rate")
    outputs = fully_connected(features["c5"], fc6_filters, kernel_size=fc6_kernel_size, rate=rate, dropout=dropout)
    if multi_scale:
        outputs = keras.layers.Concatenate(name="multi_scale")(
            [outputs, *_side_features(pixels, features, output_stride)])  # [B, H/os, W/os, fc6_filters + 5 * 128]
    logits = classify(outputs, classes, like=pixels)
    return finish(pixels, logits, task=task, compile=compile, name=name)


def paper_encoder(pixels: keras.KerasTensor, encoder_name: EncoderName, encoder_weights: EncoderWeights,
                  output_stride: int) -> keras.Model:
    """Return the encoder of DeepLab v1 and v2: VGG16 with holes for "vgg16", a library's dilated network otherwise."""
    row = row_of(encoder_name, encoder_weights)
    if not row.with_holes:
        return encoder_for(pixels, encoder_name, encoder_weights, builder="DeepLab v1 and v2", stages=("c5",),
                           output_stride=output_stride)
    checks.one_of("output_stride", output_stride, (8,), context=f" for encoder {row.name!r} of DeepLab v1 and v2",
                  advice="Use 8, or another encoder.")
    return vgg_with_holes(encoder_name, encoder_weights, pixels.shape[-1])


def fully_connected(features: keras.KerasTensor, filters: int, *, kernel_size: int, rate: int, dropout: float,
                    suffix: str = "") -> keras.KerasTensor:
    """fc6 and fc7 of VGG16 as convolutions, each with ReLU and dropout: `[B, h, w, C]` to `[B, h, w, filters]`."""
    outputs = features
    for layer, size, dilation in ((f"fc6{suffix}", kernel_size, rate), (f"fc7{suffix}", 1, 1)):
        outputs = AtrousConv2D(filters, size, padding="same", dilation_rate=dilation, activation="relu",
                               kernel_initializer="he_normal", name=layer)(outputs)
        outputs = keras.layers.Dropout(dropout, name=f"{layer}_dropout")(outputs)
    return outputs


def _side_features(pixels, features, output_stride):
    """The image and c1 to c4, each through 3x3-128 and 1x1-128 to the grid of c5 (section 4.3)."""
    image = NormalizePixels(*CAFFE, name="side_normalize")(pixels)
    sources = [("image", image, 1), *((stage, features[stage], 2 ** int(stage[1])) for stage in ("c1", "c2", "c3", "c4")
                                      if stage in features)]
    sides = []
    for stage, source, stride in sources:
        outputs = keras.layers.Conv2D(128, 3, strides=max(1, output_stride // stride), padding="same",
                                      activation="relu", name=f"side_{stage}_conv1")(source)
        sides.append(keras.layers.Conv2D(128, 1, activation="relu", name=f"side_{stage}_conv2")(outputs))
    return sides


def copy_fully_connected(model: keras.Model, vgg16: keras.Model, seed: int = 0) -> None:
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
    layers = {layer.name: layer for layer in layers_of(model)}
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
