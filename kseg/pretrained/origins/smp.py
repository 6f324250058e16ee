"""segmentation_models.pytorch: Unet, DeepLabV3, DeepLabV3Plus, PSPNet; a `save_pretrained` folder or a state dict."""

import json
import os
from typing import Any

from kseg import checks
from kseg.pretrained.origins.plan import Arrays, Plan, check_like, conv_bn, one_grid, resnet_name, size_of
from kseg.pretrained.origins.smp_encoders import check_stride, in_kseg, normalization_of

MODELS = ("Unet", "DeepLabV3", "DeepLabV3Plus", "PSPNet")
_MARKS = {  # arrays that one decoder alone has; DeepLabV3's by another name before smp 0.4
    "unet": ("decoder.blocks.0.conv1.0.weight",), "deeplabv3plus": ("decoder.block2.0.0.weight",),
    "pspnet": ("decoder.psp.blocks.0.pool.1.0.weight",),
    "deeplabv3": ("decoder.aspp.convs.0.0.weight", "decoder.0.convs.0.0.weight")}
_MAP_LAST = (4, 5, 6, 7, 0, 1, 2, 3)  # quarters: the four averages stand before the map
_LEGAL = {  # options of a folder's config.json that kseg's builders have
    "decoder_attention_type": (None,), "decoder_use_norm": ("batchnorm", True), "decoder_use_batchnorm": (True,),
    "psp_use_batchnorm": (True,), "decoder_interpolation": ("nearest",), "activation": (None,),
    "decoder_aspp_separable": (None, True, False), "upsampling": (None, 4, 8, 16), "aux_params": (None,)}


def _positive(value):
    return type(value) is int and 0 < value < 2 ** 16


_NAME = (lambda value: isinstance(value, str), "a text")
_NAME_OR_NONE = (lambda value: value is None or isinstance(value, str), "a text or null")
_SHARE = (lambda value: type(value) in (int, float) and 0 <= value < 1, "a number from 0 to 1")
_KINDS = {  # what plan reads of a config.json -> (whether a value can be meant, in words)
    "_model_class": _NAME, "encoder_name": _NAME, "encoder_weights": _NAME_OR_NONE,
    "encoder_output_stride": (_positive, "a whole number"), "psp_dropout": _SHARE, "decoder_aspp_dropout": _SHARE,
    "decoder_channels": (lambda value: _positive(value) or isinstance(value, list) and all(map(_positive, value)),
                         "a whole number, or several"),
    "decoder_atrous_rates": (lambda value: isinstance(value, list) and len(value) == 3 and all(map(_positive, value)),
                             "three whole numbers"),
}


def read_config(folder: str) -> dict[str, Any]:
    """Return what `config.json` of a `save_pretrained` folder holds.

    Raises:
        ValueError: if it cannot be read, or is of another library.
    """
    path = os.path.join(folder, "config.json")
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(checks.sentence("checkpoint", "must be a folder with smp's config.json", folder,
                                         "Write it with `model.save_pretrained(folder)`.")) from error
    if not isinstance(config, dict) or "_model_class" not in config:
        raise ValueError(checks.sentence("checkpoint", "must be a folder whose config.json names a model of smp",
                                         folder, "Write it with `model.save_pretrained(folder)`."))
    for key, (fits, rule) in _KINDS.items():
        if key in config and not fits(config[key]):
            raise ValueError(checks.sentence("checkpoint", f"must have {rule} as {key} in its config.json", config[key],
                                             "Write it with `model.save_pretrained(folder)`."))
    return config


def recognises(arrays: Arrays) -> bool:
    """Whether the names of `arrays` are those of an smp model."""
    return "segmentation_head.0.weight" in arrays and any(name.startswith("encoder.") for name in arrays)


def plan(arrays: Arrays, detail: str | None = None, config: dict[str, Any] | None = None) -> Plan:
    """Return the `Plan` of a checkpoint.

    Args:
        arrays: the state dict.
        detail: "unet", "unet/ENCODER" …, or None to tell both from the arrays (the encoder if it is a ResNet).
        config: what `read_config` returned, or None.
    Raises:
        ValueError: for a model, an encoder or an option that kseg has no counterpart of.
    """
    config = config or {}
    named, _, encoder = (detail or "").partition("/")
    named = (config.get("_model_class") or named).lower()
    if named:
        checks.one_of("like", named, tuple(name.lower() for name in MODELS), context=" of smp",
                      advice="kseg has no builder for the others.")
    model = _model_of(arrays)
    check_like(named or None, model)
    for key, legal in {**_LEGAL, "encoder_depth": (3 if model == "pspnet" else 5,)}.items():
        if config.get(key, legal[0]) not in legal:
            raise ValueError(checks.sentence("checkpoint", f"must have {key} of {legal}", config[key],
                                             "kseg's builders have no such option."))
    argument = "checkpoint" if config.get("encoder_name") else "like"
    encoder = config.get("encoder_name") or encoder or None
    prefix = "encoder.model." if any(name.startswith("encoder.model.") for name in arrays) else "encoder."
    normalization = encoder and normalization_of(encoder, config.get("encoder_weights"))
    encoder = resnet_name(arrays, prefix) if encoder is None else in_kseg(encoder, argument)
    builder, options, modules, moved = {"unet": _unet, "deeplabv3": _deeplab_v3, "deeplabv3plus": _deeplab_v3_plus,
                                        "pspnet": _pspnet}[model](arrays, config)
    modules["segmentation_head.0"] = "logits_scores"
    if builder.startswith("DeepLab"):
        check_stride(encoder, options["output_stride"])
        options["full_rates"] = prefix == "encoder."  # timm's keep the first convolution of a stage at the rate before
    if builder == "DeepLabV3":
        options["multi_grid"] = one_grid(encoder)
    return Plan("smp", builder, {"encoder_name": encoder, **options}, modules, prefix, "segmentation_head.0", moved,
                ("classification_head.",), normalization)


def _model_of(arrays):
    found = next((model for model, marks in _MARKS.items() if any(mark in arrays for mark in marks)), None)
    if found is None:
        raise ValueError(checks.sentence(
            "checkpoint", f"must be one of smp's {', '.join(MODELS)}", "a decoder with "
            + ", ".join(sorted(name for name in arrays if name.startswith("decoder."))[:3]),
            "kseg has no builder for the others."))
    return found


def _unet(arrays, config):
    filters = tuple(size_of(arrays, f"decoder.blocks.{index}.conv1.0.weight") for index in range(5))
    modules = {}
    for index in range(5):
        for half in (1, 2):
            modules |= conv_bn(f"decoder.blocks.{index}.conv{half}", f"decoder{index + 1}_{half}")
    center = "decoder.center.0.0.weight" in arrays  # with a VGG
    if center:
        modules |= {**conv_bn("decoder.center.0", "center_1"), **conv_bn("decoder.center.1", "center_2")}
    return "UNet", {"decoder_filters": filters, "interpolation": "nearest", "center": center}, modules, {}


def _pspnet(arrays, config):
    modules = {"decoder.psp.blocks.0.pool.1.0": "pyramid1_conv", **conv_bn("decoder.conv", "head")}
    for index, bin_count in enumerate((2, 3, 6), start=1):
        modules |= conv_bn(f"decoder.psp.blocks.{index}.pool.1", f"pyramid{bin_count}")
    options = {"decoder": "smp", "align_corners": True, "filters": size_of(arrays, "decoder.conv.0.weight"),
               "dropout": config.get("psp_dropout", 0.2)}
    return "PSPNet", options, modules, {"head_conv": _MAP_LAST}


def _pyramid(pyramid, atrous):
    modules = {**conv_bn(f"{pyramid}.convs.0", "aspp_point"),
               **conv_bn(f"{pyramid}.convs.4", "aspp_image", conv="1", bn="2"),
               **conv_bn(f"{pyramid}.project", "aspp_project")}
    for index in (1, 2, 3):
        modules |= atrous(f"{pyramid}.convs.{index}", f"aspp_atrous{index}")
    return modules


def _separable(module, layer, *, bn=None):
    return {f"{module}.0.0": f"{layer}_depthwise", f"{module}.0.1": f"{layer}_pointwise_conv",
            bn or f"{module}.1": f"{layer}_pointwise_bn"}


def _options(config, stride):
    """Return the options that both DeepLabs share; smp gives its rates at the output stride in use."""
    output_stride = config.get("encoder_output_stride", stride)
    rates = tuple(rate * output_stride // 16 for rate in config.get("decoder_atrous_rates", (12, 24, 36)))
    return {"output_stride": output_stride, "rates": rates, "multi_grid": None,
            "dropout": config.get("decoder_aspp_dropout", 0.5), "filters": config.get("decoder_channels", 256)}


def _deeplab_v3(arrays, config):
    old = "decoder.0.convs.0.0.weight" in arrays  # a Sequential before smp 0.4
    separable = "decoder.aspp.convs.1.0.0.weight" in arrays
    if separable:
        raise ValueError(checks.sentence("checkpoint", "must have decoder_aspp_separable of False for DeepLabV3", True,
                                         "kseg's builder has no such option."))
    modules = {**_pyramid("decoder.0" if old else "decoder.aspp", conv_bn),
               **conv_bn("decoder", "head", conv="1" if old else "conv", bn="2" if old else "bn")}
    return "DeepLabV3", {**_options(config, 8), "extra_conv": True, "align_corners": True}, modules, {}


def _deeplab_v3_plus(arrays, config):
    separable = "decoder.aspp.0.convs.1.0.0.weight" in arrays
    if not separable:
        raise ValueError(checks.sentence("checkpoint", "must have decoder_aspp_separable of True for DeepLabV3Plus",
                                         False, "kseg's builder has no such option."))
    modules = {**_pyramid("decoder.aspp.0", _separable), **conv_bn("decoder.block1", "low_level"),
               **_separable("decoder.block2", "decoder1"),
               "decoder.aspp.1.0": "head_depthwise", "decoder.aspp.1.1": "head_pointwise_conv",
               "decoder.aspp.2": "head_pointwise_bn"}
    filters = config.get("decoder_channels", 256)
    return "DeepLabV3Plus", {**_options(config, 16), "decoder": "smp", "separable": True,
                             "decoder_filters": filters}, modules, {}
