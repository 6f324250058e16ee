"""ResNet as the world's checkpoints have it: the geometry of torchvision, timm, mmsegmentation and semseg.

No convolution has a bias, a bottleneck's stride lies in its 3x3 convolution, and every kernel of side k has
`(k - 1) / 2` zeros on all sides, whatever the size: a pixel of the features stands over the same pixel of the image at
every output stride, and the strided 1x1 shortcuts read the pixels that the 3x3 kernels are centred on. The stem's
maximum is padded with zeros too, which never win: it reads what a ReLU gives. The first 3x3 convolution of a stage
that trades its stride keeps the rate of the stage before, as torchvision's `replace_stride_with_dilation` and
mmsegmentation's `contract_dilation` have it; it is the same network at another output stride. Normalisation has
epsilon 1e-5.

Layers are called as torchvision's modules, with "_" for ".": "conv1", "bn1", "layer1_0_conv1", "layer1_0_downsample_0".
The stem of three convolutions is named as timm's: "conv1_0", "conv1_1" (normalisation), "conv1_3", "conv1_4",
"conv1_6", "bn1".
References: He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385, table 1;
Zhao et al., Pyramid Scene Parsing Network, arXiv:1612.01105, released code (stem of three convolutions).
"""

import keras

from kseg import checks
from kseg.encoders.row import Encoder, Features, Pairs
from kseg.encoders.stride_plan import StridePlan
from kseg.layers import AtrousConv2D, BatchNormalization

FILTERS = (64, 128, 256, 512)
EXPANSION = 4  # a bottleneck gives four times as many channels as its 3x3 convolution


def resnet(row: Encoder, tensor: keras.KerasTensor, output_stride: int, multi_grid: tuple[int, ...] | None,
           library: None, *, full_rates: bool = False) -> tuple[Features, Pairs]:
    """The layout of a ResNet of `row.units` units, with its `stem`, and `bottleneck` or basic ones.

    `multi_grid` gives the three 3x3 convolutions of c5 the rates `factor * rate of the stage`: (2, 4, 8) for the
    factors (1, 2, 4) at output stride 16 (DeepLab v3 section 4.1), in the first unit as well.

    Returns:
        ({"c1": `[B, H/2, W/2, 64]` (128 behind PSPNet's stem), "c2": `[B, H/4, W/4, C]`, …}, no pairs: no library has
        weights for it).
    Raises:
        ValueError: if a multi-grid would dilate a convolution that is strided.
    """
    if multi_grid and output_stride == 32 and multi_grid[0] != 1:
        raise ValueError(checks.sentence(
            "multi_grid", "must begin with 1 at output stride 32, where c5's first unit is strided", multi_grid,
            "Use (1, 2, 4), or output_stride=16 or 8."))
    outputs = _stem(tensor, row.stem)
    features = {"c1": outputs}
    outputs = keras.layers.ZeroPadding2D(1, name="maxpool_pad")(outputs)
    outputs = keras.layers.MaxPooling2D(3, 2, "valid", name="maxpool")(outputs)  # [B, H/4, W/4, C1]
    plan, unit_of = StridePlan(output_stride, 4, full_rates), _bottleneck if row.bottleneck else _basic
    for stage, (filters, units) in enumerate(zip(FILTERS, row.units, strict=True), start=1):
        factors = multi_grid if stage == 4 and multi_grid else (None,) * units
        for unit, factor in enumerate(factors):
            outputs = unit_of(outputs, filters, 2 if stage > 1 and unit == 0 else 1, plan, factor,
                              f"layer{stage}_{unit}")
        features[f"c{stage + 1}"] = outputs
    return features, []


def _stem(tensor, widths):
    """One 7x7 convolution of stride 2, or 3x3 ones of which the first is strided, each with BN and ReLU."""
    if len(widths) == 1:
        outputs = _conv(tensor, widths[0], 7, 2, 1, "conv1")
    else:
        outputs = tensor
        for index, width in enumerate(widths[:-1]):
            outputs = _conv(outputs, width, 3, 2 if index == 0 else 1, 1, f"conv1_{3 * index}")
            outputs = _normalized(outputs, f"conv1_{3 * index + 1}")
            outputs = keras.layers.ReLU(name=f"conv1_{3 * index + 2}")(outputs)
        outputs = _conv(outputs, widths[-1], 3, 1, 1, f"conv1_{3 * len(widths) - 3}")
    return keras.layers.ReLU(name="relu")(_normalized(outputs, "bn1"))  # [B, H/2, W/2, widths[-1]]


def _basic(inputs, filters, stride, plan, factor, name):
    """Two 3x3 convolutions beside a shortcut (figure 5, left)."""
    stride, rate = plan.take(stride)
    outputs = _conv_bn(inputs, filters, 3, stride, rate, name, 1)
    outputs = keras.layers.ReLU(name=f"{name}_relu1")(outputs)
    outputs = _conv_bn(outputs, filters, 3, 1, plan.rate, name, 2)
    return _joined(inputs, outputs, stride, name)


def _bottleneck(inputs, filters, stride, plan, factor, name):
    """1x1, 3x3 and 1x1 convolution beside a shortcut (figure 5, right), the stride in the 3x3."""
    outputs = _conv_bn(inputs, filters, 1, 1, 1, name, 1)
    outputs = keras.layers.ReLU(name=f"{name}_relu1")(outputs)
    stride, rate = plan.take(stride)
    outputs = _conv_bn(outputs, filters, 3, stride, factor * plan.rate if factor else rate, name, 2)
    outputs = keras.layers.ReLU(name=f"{name}_relu2")(outputs)
    outputs = _conv_bn(outputs, EXPANSION * filters, 1, 1, 1, name, 3)
    return _joined(inputs, outputs, stride, name)


def _joined(inputs, outputs, stride, name):
    """Add the shortcut, a 1x1 convolution where size or channels change, and apply ReLU."""
    if stride > 1 or inputs.shape[-1] != outputs.shape[-1]:
        inputs = _conv(inputs, outputs.shape[-1], 1, stride, 1, f"{name}_downsample_0")
        inputs = _normalized(inputs, f"{name}_downsample_1")
    outputs = keras.layers.Add(name=f"{name}_add")([outputs, inputs])
    return keras.layers.ReLU(name=f"{name}_relu")(outputs)


def _conv_bn(inputs, filters, side, stride, rate, name, number):
    return _normalized(_conv(inputs, filters, side, stride, rate, f"{name}_conv{number}"), f"{name}_bn{number}")


def _conv(inputs, filters, side, stride, rate, name):
    """Convolution without bias, padded symmetrically; at stride 1 TensorFlow's SAME is symmetric for odd kernels."""
    padding = "same" if stride == 1 else "valid"
    if stride > 1 and side > 1:
        inputs = keras.layers.ZeroPadding2D((side - 1) // 2, name=f"{name}_pad")(inputs)
    return AtrousConv2D(filters, side, strides=stride, padding=padding, dilation_rate=rate, use_bias=False,
                        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
                        name=name)(inputs)


def _normalized(inputs, name):
    return BatchNormalization(epsilon=1e-5, name=name)(inputs)
