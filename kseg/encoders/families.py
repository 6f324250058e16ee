"""The table of encoders: how to build each library network, where its stages end, and the pixels it expects.

A stage tap is the name of the layer whose output it is; "<name" means that layer's input, and "block3*" the last layer
whose name starts with "block3".
"""

import dataclasses
import importlib

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
CAFFE = ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0))  # trained on BGR: stem kernels are flipped when loaded
TORCH = (IMAGENET_MEAN, IMAGENET_STD)
MINUS_ONE_TO_ONE = ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
ZERO_TO_ONE = ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
EFFICIENTNET_LITE = ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))


@dataclasses.dataclass(frozen=True)
class Encoder:
    """One row of the table.

    Args:
        library: str, "keras.applications", "keras_cv" or "kseg".
        class_name: str, the constructor there.
        arguments: dict, its keyword arguments.
        taps: dict, "c1"…"c5" (and "low_level") to a layer name.
        pixels: (mean, std), 0-255 scale, RGB.
        preset: str or None, name of the library's ImageNet weights in keras_cv.
        bgr: bool, whether the library's weights expect blue first.
        strides: tuple of int, output strides it can give.
    """

    library: str
    class_name: str
    arguments: dict
    taps: dict
    pixels: tuple
    preset: str = None
    bgr: bool = False
    strides: tuple = (8, 16, 32)

    def build(self, weights=None, size=(512, 512)):
        """Return the library network without its classifier at `size` pixels; `weights` None or "imagenet"."""
        if self.library == "keras.applications":
            import keras
            constructor = getattr(keras.applications, self.class_name)
            return constructor(include_top=False, weights=weights, input_shape=(*size, 3), **self.arguments)
        constructor = getattr(importlib.import_module("keras_cv.models"), self.class_name)
        shared = {"include_rescaling": False, "input_shape": (*size, 3)}  # NormalizePixels rescales
        if weights:
            return constructor.from_preset(self.preset, load_weights=True, **shared)
        return constructor(**shared, **self.arguments)


def _taps(*names, **more):
    return {**dict(zip(("c1", "c2", "c3", "c4", "c5"), names)), **more}


def _vgg(class_name):
    return Encoder("keras.applications", class_name, {}, _taps(*(f"block{i}_pool" for i in range(1, 6))), CAFFE,
                   bgr=True)


def _resnet(depth, units):
    ends = [f"conv{stage}_block{count}_out" for stage, count in zip((2, 3, 4, 5), units)]
    return Encoder("keras.applications", f"ResNet{depth}", {}, _taps("conv1_relu", *ends), CAFFE, bgr=True)


def _resnet_v2(depth, units):
    # A stage's last unit carries the stride; its pre-activation is the last map of the stage at full resolution.
    ends = [f"conv{stage}_block{count}_preact_relu" for stage, count in zip((2, 3, 4), units)]
    return Encoder("keras.applications", f"ResNet{depth}V2", {}, _taps("conv1_conv", *ends, "post_relu"),
                   MINUS_ONE_TO_ONE)


def _resnet_basic(depth, blocks):
    ends = [f"v2_stack_{stage}_block{count}_out" for stage, count in enumerate(blocks)]
    arguments = {"stackwise_filters": [64, 128, 256, 512], "stackwise_blocks": list(blocks),
                 "stackwise_strides": [1, 2, 2, 2], "block_type": "basic_block"}
    return Encoder("keras_cv", "ResNetBackbone", arguments, _taps("conv1_relu", *ends), TORCH)


def _mobilenet_v3(size, ends):
    return Encoder("keras.applications", f"MobileNetV3{size}", {"include_preprocessing": False}, _taps(*ends),
                   MINUS_ONE_TO_ONE)


def _efficientnet(variant):
    return Encoder("keras.applications", f"EfficientNet{variant}", {},
                   _taps("block1*", "block2*", "block3*", "block5*", "block7*"), TORCH)


def _efficientnet_v2(variant):
    last = "block7*" if variant in "ML" else "block6*"
    pixels = TORCH if variant.startswith("B") else ((128.0,) * 3, (128.0,) * 3)
    return Encoder("keras.applications", f"EfficientNetV2{variant}", {"include_preprocessing": False},
                   _taps("block1*", "block2*", "block3*", "block5*", last), pixels)


def _efficientnet_lite(width, depth):
    arguments = {
        "stackwise_kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
        "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
        "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
        "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
        "stackwise_expansion_ratios": [1, 6, 6, 6, 6, 6, 6],
        "stackwise_strides": [1, 2, 2, 2, 1, 2, 1],
        "width_coefficient": width,
        "depth_coefficient": depth,
    }
    return Encoder("keras_cv", "EfficientNetLiteBackbone", arguments,
                   _taps("block1*", "block2*", "block3*", "block5*", "block7*"), EFFICIENTNET_LITE)


def _densenet(depth):
    return Encoder("keras.applications", f"DenseNet{depth}", {},
                   _taps("conv1_relu", "pool2_relu", "pool3_relu", "pool4_relu", "relu"), TORCH)


def _convnext(size):
    name = f"convnext_{size.lower()}"
    taps = {"c2": f"<{name}_downsampling_block_0", "c3": f"<{name}_downsampling_block_1",
            "c4": f"<{name}_downsampling_block_2", "c5": "layer_normalization*"}
    return Encoder("keras.applications", f"ConvNeXt{size}", {"include_preprocessing": False}, taps, TORCH)


def _csp_darknet(width, depth, preset=None):
    arguments = {"stackwise_channels": [int(channels * width) for channels in (128, 256, 512, 1024)],
                 "stackwise_depth": depth}
    taps = _taps("<dark2_conv", "<dark3_conv", "<dark4_conv", "<dark5_conv", "dark5_csp")
    return Encoder("keras_cv", "CSPDarkNetBackbone", arguments, taps, ZERO_TO_ONE, preset=preset)


def _mit(number, depths, dims):
    taps = {f"c{level + 2}": f"output_level_{level}" for level in range(4)}
    return Encoder("keras_cv", "MiTBackbone", {"depths": depths, "embedding_dims": dims}, taps, ZERO_TO_ONE,
                   preset="mit_b0_imagenet" if number == 0 else None, strides=(32,))


def _xception(variant):
    return Encoder("kseg", f"xception{variant}", {}, _taps(*("c1", "c2", "c3", "c4", "c5"), low_level="low_level"),
                   MINUS_ONE_TO_ONE)


ENCODERS = {
    "vgg16": _vgg("VGG16"),
    "vgg19": _vgg("VGG19"),
    "resnet18": _resnet_basic(18, (2, 2, 2, 2)),
    "resnet34": _resnet_basic(34, (3, 4, 6, 3)),
    "resnet50": _resnet(50, (3, 4, 6, 3)),
    "resnet101": _resnet(101, (3, 4, 23, 3)),
    "resnet152": _resnet(152, (3, 8, 36, 3)),
    "resnet50v2": _resnet_v2(50, (3, 4, 6)),
    "resnet101v2": _resnet_v2(101, (3, 4, 23)),
    "resnet152v2": _resnet_v2(152, (3, 8, 36)),
    "mobilenet": Encoder("keras.applications", "MobileNet", {}, _taps(
        *(f"conv_pw_{index}_relu" for index in (1, 3, 5, 11, 13))), MINUS_ONE_TO_ONE),
    # DeepLab v3+ takes the expanded map of the second stride-4 unit (released code, layer_4/depthwise_output).
    "mobilenetv2": Encoder("keras.applications", "MobileNetV2", {}, _taps(
        "expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add", "block_16_project_BN",
        low_level="block_2_depthwise_relu"), MINUS_ONE_TO_ONE),
    "mobilenetv3small": _mobilenet_v3("Small", (
        "<expanded_conv_depthwise_pad", "expanded_conv_project_bn", "expanded_conv_2_add", "expanded_conv_7_add",
        "expanded_conv_10_add")),
    "mobilenetv3large": _mobilenet_v3("Large", (
        "expanded_conv_add", "expanded_conv_2_add", "expanded_conv_5_add", "expanded_conv_11_add",
        "expanded_conv_14_add")),
    **{f"efficientnetb{number}": _efficientnet(f"B{number}") for number in range(8)},
    **{f"efficientnetv2{variant.lower()}": _efficientnet_v2(variant)
       for variant in ("B0", "B1", "B2", "B3", "S", "M", "L")},
    **{f"efficientnetlite{number}": _efficientnet_lite(width, depth) for number, (width, depth) in enumerate(
        ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8)))},
    **{f"densenet{depth}": _densenet(depth) for depth in (121, 169, 201)},
    "xception": Encoder("keras.applications", "Xception", {}, _taps(
        "block1_conv2_act", "block3_sepconv1_act", "block4_sepconv1_act", "block13_sepconv1_act",
        "block14_sepconv2_act"), MINUS_ONE_TO_ONE),
    **{f"xception{variant}": _xception(variant) for variant in (41, 65, 71)},
    **{f"convnext{size.lower()}": _convnext(size) for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
    "cspdarknettiny": _csp_darknet(0.375, [1, 3, 3, 1], "csp_darknet_tiny_imagenet"),
    "cspdarknets": _csp_darknet(0.5, [1, 3, 3, 1]),
    "cspdarknetm": _csp_darknet(0.75, [2, 6, 6, 2]),
    "cspdarknetl": _csp_darknet(1.0, [3, 9, 9, 3], "csp_darknet_l_imagenet"),
    "cspdarknetxl": _csp_darknet(1.25, [4, 12, 12, 4]),
    "mitb0": _mit(0, [2, 2, 2, 2], [32, 64, 160, 256]),
    "mitb1": _mit(1, [2, 2, 2, 2], [64, 128, 320, 512]),
    "mitb2": _mit(2, [3, 4, 6, 3], [64, 128, 320, 512]),
    "mitb3": _mit(3, [3, 4, 18, 3], [64, 128, 320, 512]),
    "mitb4": _mit(4, [3, 8, 27, 3], [64, 128, 320, 512]),
    "mitb5": _mit(5, [3, 6, 40, 3], [64, 128, 320, 512]),
}


# Parameters up to c5, moving statistics included; `kseg models` prints them and a test counts some again.
PARAMETERS = {
    "vgg16": 14_714_688,
    "vgg19": 20_024_384,
    "resnet18": 11_186_112,
    "resnet34": 21_301_696,
    "resnet50": 23_587_712,
    "resnet101": 42_658_176,
    "resnet152": 58_370_944,
    "resnet50v2": 23_564_800,
    "resnet101v2": 42_626_560,
    "resnet152v2": 58_331_648,
    "mobilenet": 3_228_864,
    "mobilenetv2": 1_843_264,
    "mobilenetv3small": 881_520,
    "mobilenetv3large": 2_838_912,
    "efficientnetb0": 3_634_844,
    "efficientnetb1": 6_160_512,
    "efficientnetb2": 7_267_314,
    "efficientnetb3": 10_187_560,
    "efficientnetb4": 16_863_832,
    "efficientnetb5": 27_456_752,
    "efficientnetb6": 39_623_816,
    "efficientnetb7": 62_449_040,
    "efficientnetv2b0": 5_668_432,
    "efficientnetv2b1": 6_680_244,
    "efficientnetv2b2": 8_470_878,
    "efficientnetv2b3": 12_568_126,
    "efficientnetv2s": 19_998_560,
    "efficientnetv2m": 52_489_908,
    "efficientnetv2l": 116_922_528,
    "efficientnetlite0": 2_998_304,
    "efficientnetlite1": 3_774_624,
    "efficientnetlite2": 4_413_488,
    "efficientnetlite3": 6_496_128,
    "efficientnetlite4": 11_259_376,
    "densenet121": 7_037_504,
    "densenet169": 12_642_880,
    "densenet201": 18_321_984,
    "xception": 20_861_480,
    "xception41": 25_035_872,
    "xception65": 38_052_512,
    "xception71": 40_488_712,
    "convnexttiny": 27_820_128,
    "convnextsmall": 49_454_688,
    "convnextbase": 87_566_464,
    "convnextlarge": 196_230_336,
    "convnextxlarge": 348_147_968,
    "cspdarknettiny": 2_380_416,
    "cspdarknets": 4_223_488,
    "cspdarknetm": 12_374_400,
    "cspdarknetl": 27_111_424,
    "cspdarknetxl": 50_354_560,
    "mitb0": 3_319_392,
    "mitb1": 13_151_424,
    "mitb2": 24_196_288,
    "mitb3": 44_072_128,
    "mitb4": 60_842_688,
    "mitb5": 81_443_008,
}
