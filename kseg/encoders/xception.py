"""Modified aligned Xception: the encoder of DeepLab v3+, which no Keras library has.

Every max pooling of Xception became a separable convolution of stride 2, so that any stage can trade its stride for
dilation, and batch normalisation follows every depthwise convolution. ReLU stands before each separable convolution,
and after each of its halves in the last module alone, as in the released network; the paper's Figure 4 has it after
every depthwise convolution, with the same weights. Strided convolutions pad `(k - 1) / 2` zeros on all sides,
whatever the size, so a pixel of the features stands over the same pixel of the image at every output stride.
Reference: Chen, Zhu, Papandreou, Schroff, Adam, Encoder-Decoder with Atrous Separable Convolution for Semantic Image
Segmentation, ECCV 2018, arXiv:1802.02611, section 3.2, Figure 4 and Appendix A (Xception-71).
"""

import keras

from kseg import checks
from kseg.encoders.row import Encoder, Features, Pairs
from kseg.encoders.stride_plan import StridePlan
from kseg.layers import AtrousDepthwiseConv2D, BatchNormalization

# Entry flow: (filters, stride of the third separable convolution) of each module; then how many middle modules.
VARIANTS = {
    "xception41": (((128, 2), (256, 2), (728, 2)), 8),
    "xception65": (((128, 2), (256, 2), (728, 2)), 16),
    "xception71": (((128, 2), (256, 1), (256, 2), (728, 1), (728, 2)), 16),
}
OUTPUT_STRIDES = (8, 16, 32)


def modified_xception(row: Encoder, tensor: keras.KerasTensor, output_stride: int, multi_grid: None,
                      library: None, *, full_rates: bool = False) -> tuple[Features, Pairs]:
    """The layout of an Xception-41, 65 or 71; no library has it, so there are no pairs to copy weights of."""
    return xception(row.name, output_stride, tensor, full_rates), []


def xception(name: str, output_stride: int, pixels: keras.KerasTensor, full_rates: bool = False) -> Features:
    """Return the features of a modified aligned Xception.

    At output stride 16 the last module runs at rate 2; at 8 the middle flow and the first exit module run at rate 2 and
    the last at 4. All three separable convolutions of a module share its rate. Batch normalisation has epsilon 1e-3.

    Args:
        name: str, "xception41", "xception65" or "xception71".
        output_stride: 8, 16 or 32, input pixels per c5 pixel.
        pixels: `KerasTensor` `[B, H, W, bands]`, normalised to [-1, 1].
    Returns:
        dict of `KerasTensor`: "c1" (64 channels, stride 2), "c2" (128, 4), "c3" (256, 8), "c4" (728, min(16,
        output_stride)), "c5" (2048, output_stride), and "low_level" (256, 4): the second separable convolution of
        the module of stride 8, normalised and before its ReLU, the decoder's input (section 3.2; released code).
    Raises:
        ValueError: for an unknown name or output stride.
    """
    checks.one_of("encoder_name", name, VARIANTS)
    checks.one_of("output_stride", output_stride, OUTPUT_STRIDES, context=f" for encoder {name!r}",
                  advice="Use 16 to train and 8 for the densest features.")
    entry, middle_modules = VARIANTS[name]
    plan = StridePlan(output_stride, 2, full_rates)
    outputs = _conv_bn(pixels, 32, 3, stride=2, name="stem_conv1")
    outputs = keras.layers.ReLU(name="stem_conv1_relu")(outputs)
    outputs = _conv_bn(outputs, 64, 3, name="stem_conv2")
    features = {"c1": keras.layers.ReLU(name="stem_conv2_relu")(outputs)}
    outputs, depth = features["c1"], 1
    for index, (filters, stride) in enumerate(entry, 1):
        outputs, second = _module(outputs, (filters,) * 3, *plan.take(stride), shortcut="conv", name=f"entry{index}")
        depth += stride == 2
        if stride == 2:
            features[f"c{depth}"] = outputs
        if depth == 3 and stride == 2:
            features["low_level"] = second  # [B, H/4, W/4, 256]
    for index in range(1, middle_modules + 1):
        outputs, _ = _module(outputs, (728,) * 3, *plan.take(1), shortcut="sum", name=f"middle{index}")
    features["c4"] = outputs
    outputs, _ = _module(outputs, (728, 1024, 1024), *plan.take(2), shortcut="conv", name="exit1")
    outputs, _ = _module(outputs, (1536, 1536, 2048), *plan.take(1), shortcut=None, name="exit2")
    features["c5"] = outputs
    return features


def _module(inputs, filters, stride, rate, *, shortcut, name):
    """Three separable convolutions and a shortcut; return the sum and what the second convolution gave.

    `shortcut` is "conv" (strided 1x1), "sum" (identity) or None, the last module, whose ReLUs follow each half.
    """
    outputs, second = inputs, None
    for index, width in enumerate(filters, 1):
        outputs = _separable(outputs, width, stride if index == 3 else 1, rate, relu_inside=shortcut is None,
                             name=f"{name}_separable{index}")
        second = outputs if index == 2 else second
    if shortcut == "conv":
        inputs = _conv_bn(inputs, filters[-1], 1, stride=stride, name=f"{name}_shortcut")
    if shortcut is not None:
        outputs = keras.layers.Add(name=f"{name}_add")([outputs, inputs])
    return outputs, second


def _separable(inputs, filters, stride, rate, *, relu_inside, name):
    """Depthwise 3x3, BN, pointwise, BN, with a ReLU before, or after each half where `relu_inside`."""
    outputs = inputs if relu_inside else keras.layers.ReLU(name=f"{name}_relu")(inputs)
    outputs, padding = _fixed_padding(outputs, 3, stride, name)
    outputs = AtrousDepthwiseConv2D(3, strides=stride, padding=padding, dilation_rate=rate,
                                    use_bias=False, depthwise_initializer="he_normal",
                                    name=f"{name}_depthwise")(outputs)
    outputs = BatchNormalization(name=f"{name}_depthwise_bn")(outputs)
    if relu_inside:
        outputs = keras.layers.ReLU(name=f"{name}_depthwise_relu")(outputs)
    outputs = _conv_bn(outputs, filters, 1, name=f"{name}_pointwise")
    return keras.layers.ReLU(name=f"{name}_pointwise_relu")(outputs) if relu_inside else outputs


def _conv_bn(inputs, filters, kernel_size, *, stride=1, name):
    """Convolution without bias and batch normalisation."""
    outputs, padding = _fixed_padding(inputs, kernel_size, stride, name)
    outputs = keras.layers.Conv2D(filters, kernel_size, strides=stride, padding=padding, use_bias=False,
                                  kernel_initializer="he_normal", name=name)(outputs)
    return BatchNormalization(name=f"{name}_bn")(outputs)


def _fixed_padding(inputs, kernel_size, stride, name):
    """Pad symmetrically before a strided convolution; return the tensor and the convolution's own padding."""
    if stride == 1 or kernel_size == 1:
        return inputs, "same"
    return keras.layers.ZeroPadding2D((kernel_size - 1) // 2, name=f"{name}_pad")(inputs), "valid"
