"""The table of encoders: one row says all about a network.

A stage tap is the name of the layer whose output it is; "<name" means that layer's input, and "block3*" the last layer
whose name starts with "block3". The last argument of each helper counts the network's parameters. The same networks in
PyTorch's geometry are in `kseg.encoders.torch_families`.
"""

from kseg.encoders.dilate import dilated
from kseg.encoders.mit import mix_transformer
from kseg.encoders.pixels import CAFFE, EFFICIENTNET_LITE, MINUS_ONE_TO_ONE, TORCH, ZERO_TO_ONE
from kseg.encoders.resnet import resnet
from kseg.encoders.row import Encoder
from kseg.encoders.torch_families import with_siblings
from kseg.encoders.xception import modified_xception


def _taps(*names, **more):
    return {**dict(zip(("c1", "c2", "c3", "c4", "c5"), names)), **more}


def _keras(class_name, taps, pixels, parameters, **more):
    """A network of keras.applications, named as its class in lower case unless `name` says otherwise."""
    return Encoder(more.pop("name", class_name.lower()), "keras.applications", dilated, pixels, parameters,
                   class_name=class_name, taps=taps, **more)


def _keras_cv(name, class_name, taps, pixels, parameters, **more):
    return Encoder(name, "keras_cv", more.pop("layout", dilated), pixels, parameters, class_name=class_name, taps=taps,
                   **more)


def _vgg(depth, convolutions, parameters):
    return _keras(f"VGG{depth}", _taps(*(f"block{i}_pool" for i in range(1, 6))), CAFFE, parameters, bgr=True,
                  convolutions=convolutions, with_holes=depth == 16)


def _resnet(depth, units, parameters, stem=(64,), suffix=""):
    bottleneck = depth >= 50
    middles = tuple(f"layer4_{unit}_conv2" for unit in range(3)) if bottleneck else ()
    return Encoder(f"resnet{depth}{suffix}", "kseg", resnet, TORCH, parameters, multi_grid=middles, units=units,
                   bottleneck=bottleneck, stem=stem)


def _keras_resnet(depth, units, parameters):
    ends = [f"conv{stage}_block{count}_out" for stage, count in zip((2, 3, 4, 5), units)]
    return _keras(f"ResNet{depth}", _taps("conv1_relu", *ends), CAFFE, parameters, bgr=True,
                  name=f"kerasresnet{depth}", multi_grid=tuple(f"conv5_block{unit}_2_conv" for unit in (1, 2, 3)))


def _resnet_v2(depth, units, parameters):
    # A stage's last unit carries the stride; its pre-activation is the last map of the stage at full resolution.
    ends = [f"conv{stage}_block{count}_preact_relu" for stage, count in zip((2, 3, 4), units)]
    return _keras(f"ResNet{depth}V2", _taps("conv1_conv", *ends, "post_relu"), MINUS_ONE_TO_ONE, parameters)


def _mobilenet_v3(size, ends, parameters):
    return _keras(f"MobileNetV3{size}", _taps(*ends), MINUS_ONE_TO_ONE, parameters,
                  arguments={"include_preprocessing": False})


def _efficientnet(number, parameters):
    return _keras(f"EfficientNetB{number}", _taps("block1*", "block2*", "block3*", "block5*", "block7*"), TORCH,
                  parameters)


def _efficientnet_v2(variant, parameters):
    last = "block7*" if variant in "ML" else "block6*"
    pixels = TORCH if variant.startswith("B") else ((128.0,) * 3, (128.0,) * 3)
    return _keras(f"EfficientNetV2{variant}", _taps("block1*", "block2*", "block3*", "block5*", last), pixels,
                  parameters, arguments={"include_preprocessing": False})


def _efficientnet_lite(number, width, depth, parameters):
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
    taps = _taps("block1*", "block2*", "block3*", "block5*", "block7*")
    return _keras_cv(f"efficientnetlite{number}", "EfficientNetLiteBackbone", taps, EFFICIENTNET_LITE, parameters,
                     arguments=arguments)


def _densenet(depth, parameters):
    return _keras(f"DenseNet{depth}", _taps("conv1_relu", "pool2_relu", "pool3_relu", "pool4_relu", "relu"), TORCH,
                  parameters)


def _convnext(size, parameters):
    name = f"convnext_{size.lower()}"
    taps = {"c2": f"<{name}_downsampling_block_0", "c3": f"<{name}_downsampling_block_1",
            "c4": f"<{name}_downsampling_block_2", "c5": "layer_normalization*"}
    return _keras(f"ConvNeXt{size}", taps, TORCH, parameters, arguments={"include_preprocessing": False})


def _csp_darknet(size, width, depth, parameters, preset=None):
    arguments = {"stackwise_channels": [int(channels * width) for channels in (128, 256, 512, 1024)],
                 "stackwise_depth": depth}
    taps = _taps("<dark2_conv", "<dark3_conv", "<dark4_conv", "<dark5_conv", "dark5_csp")
    return _keras_cv(f"cspdarknet{size}", "CSPDarkNetBackbone", taps, ZERO_TO_ONE, parameters, arguments=arguments,
                     preset=preset)


def _mit(number, depths, dims, parameters, preset=None):
    taps = {f"c{level + 2}": f"output_level_{level}" for level in range(4)}
    return _keras_cv(f"mitb{number}", "MiTBackbone", taps, ZERO_TO_ONE, parameters, layout=mix_transformer,
                     arguments={"depths": depths, "embedding_dims": dims}, preset=preset, strides=(32,),
                     side_multiple=32, bands=(1, 2, 3))


def _modified_xception(depth, parameters):
    return Encoder(f"xception{depth}", "kseg", modified_xception, MINUS_ONE_TO_ONE, parameters)


_ROWS = (
    _vgg(16, (2, 2, 3, 3, 3), 14_714_688),
    _vgg(19, (2, 2, 4, 4, 4), 20_024_384),
    _resnet(18, (2, 2, 2, 2), 11_186_112),
    _resnet(34, (3, 4, 6, 3), 21_301_696),
    _resnet(50, (3, 4, 6, 3), 23_561_152),
    _resnet(101, (3, 4, 23, 3), 42_605_504),
    _resnet(152, (3, 8, 36, 3), 58_295_232),
    # The stem of PSPNet's released code (timm: resnet50s), and that of mmsegmentation's ResNetV1c (timm: resnet50c).
    _resnet(50, (3, 4, 6, 3), 23_685_312, (64, 64, 128), "deep"),
    _resnet(101, (3, 4, 23, 3), 42_729_664, (64, 64, 128), "deep"),
    _resnet(152, (3, 8, 36, 3), 58_419_392, (64, 64, 128), "deep"),
    _resnet(50, (3, 4, 6, 3), 23_580_512, (32, 32, 64), "v1c"),
    _resnet(101, (3, 4, 23, 3), 42_624_864, (32, 32, 64), "v1c"),
    _keras_resnet(50, (3, 4, 6, 3), 23_587_712),
    _keras_resnet(101, (3, 4, 23, 3), 42_658_176),
    _keras_resnet(152, (3, 8, 36, 3), 58_370_944),
    _resnet_v2(50, (3, 4, 6), 23_564_800),
    _resnet_v2(101, (3, 4, 23), 42_626_560),
    _resnet_v2(152, (3, 8, 36), 58_331_648),
    _keras("MobileNet", _taps(*(f"conv_pw_{index}_relu" for index in (1, 3, 5, 11, 13))), MINUS_ONE_TO_ONE, 3_228_864),
    # DeepLab v3+ takes the expanded map of the second stride-4 unit (released code, layer_4/depthwise_output).
    _keras("MobileNetV2", _taps(
        "expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add", "block_16_project_BN",
        low_level="block_2_depthwise_relu"), MINUS_ONE_TO_ONE, 1_843_264),
    _mobilenet_v3("Small", (
        "<expanded_conv_depthwise_pad", "expanded_conv_project_bn", "expanded_conv_2_add", "expanded_conv_7_add",
        "expanded_conv_10_add"), 881_520),
    _mobilenet_v3("Large", (
        "expanded_conv_add", "expanded_conv_2_add", "expanded_conv_5_add", "expanded_conv_11_add",
        "expanded_conv_14_add"), 2_838_912),
    *(_efficientnet(number, parameters) for number, parameters in enumerate((
        3_634_844, 6_160_512, 7_267_314, 10_187_560, 16_863_832, 27_456_752, 39_623_816, 62_449_040))),
    *(_efficientnet_v2(variant, parameters) for variant, parameters in (
        ("B0", 5_668_432), ("B1", 6_680_244), ("B2", 8_470_878), ("B3", 12_568_126), ("S", 19_998_560),
        ("M", 52_489_908), ("L", 116_922_528))),
    _efficientnet_lite(0, 1.0, 1.0, 2_998_304),
    _efficientnet_lite(1, 1.0, 1.1, 3_774_624),
    _efficientnet_lite(2, 1.1, 1.2, 4_413_488),
    _efficientnet_lite(3, 1.2, 1.4, 6_496_128),
    _efficientnet_lite(4, 1.4, 1.8, 11_259_376),
    _densenet(121, 7_037_504),
    _densenet(169, 12_642_880),
    _densenet(201, 18_321_984),
    _keras("Xception", _taps(
        "block1_conv2_act", "block3_sepconv1_act", "block4_sepconv1_act", "block13_sepconv1_act",
        "block14_sepconv2_act"), MINUS_ONE_TO_ONE, 20_861_480, shifted_shortcuts=True),
    _modified_xception(41, 25_035_872),
    _modified_xception(65, 38_052_512),
    _modified_xception(71, 40_488_712),
    *(_convnext(size, parameters) for size, parameters in (
        ("Tiny", 27_820_128), ("Small", 49_454_688), ("Base", 87_566_464), ("Large", 196_230_336),
        ("XLarge", 348_147_968))),
    _csp_darknet("tiny", 0.375, [1, 3, 3, 1], 2_380_416, "csp_darknet_tiny_imagenet"),
    _csp_darknet("s", 0.5, [1, 3, 3, 1], 4_223_488),
    _csp_darknet("m", 0.75, [2, 6, 6, 2], 12_374_400),
    _csp_darknet("l", 1.0, [3, 9, 9, 3], 27_111_424, "csp_darknet_l_imagenet"),
    _csp_darknet("xl", 1.25, [4, 12, 12, 4], 50_354_560),
    _mit(0, [2, 2, 2, 2], [32, 64, 160, 256], 3_319_392, "mit_b0_imagenet"),
    _mit(1, [2, 2, 2, 2], [64, 128, 320, 512], 13_151_424),
    _mit(2, [3, 4, 6, 3], [64, 128, 320, 512], 24_196_288),
    _mit(3, [3, 4, 18, 3], [64, 128, 320, 512], 44_072_128),
    _mit(4, [3, 8, 27, 3], [64, 128, 320, 512], 60_842_688),
    _mit(5, [3, 6, 40, 3], [64, 128, 320, 512], 81_443_008),
)
ENCODERS = {row.name: row for row in with_siblings(_ROWS)}
