"""KerasHub's DeepLab v3+: a preset, as its name or the folder that `save_to_preset` wrote, read by keras_hub itself."""

import json
import os
import re
from typing import Any

import numpy as np

from kseg import checks
from kseg.pretrained.origins.plan import Arrays, Plan, check_like, resnet_name, size_of

SCHEME = "kaggle://"
_KINDS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
# KerasHub's batch normalisations behind the encoder have another epsilon than those of kseg's decoders.
_EPSILON, _OURS = 1e-3, 1e-5


def is_preset(path: str) -> bool:
    """Whether `path` is the address of a preset, or a folder with one."""
    return path.startswith(SCHEME) or os.path.isfile(os.path.join(path, "task.json"))


def read_preset(path: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return (the arrays of a preset under names as PyTorch's libraries give them, and its options for `plan`).

    Raises:
        ImportError: if keras_hub is not installed.
        ConnectionError: if it must be downloaded and cannot be.
        ValueError: if it is not a DeepLab v3 of KerasHub, or on another encoder than a plain ResNet.
    """
    _check_task(path)
    try:
        import keras_hub
    except ImportError as failure:
        raise checks.missing("checkpoint", "the package keras_hub", path, "kerashub") from failure
    try:
        model = keras_hub.models.DeepLabV3ImageSegmenter.from_preset(path)
    except Exception as failure:  # of the network, of a damaged file, of Kaggle's client: each has its own
        error, rule = (ConnectionError, "downloadable") if path.startswith(SCHEME) else (ValueError, "readable")
        raise error(checks.sentence("checkpoint", f"must be a {rule} preset of KerasHub", path,
                                    f"It says: {' '.join(str(failure).split())[:300]}")) from failure
    return _arrays(model), _options(model, path)


def _check_task(path):
    if path.startswith(SCHEME):
        return
    try:
        with open(os.path.join(path, "task.json"), encoding="utf-8") as file:
            found = json.load(file)["class_name"]
    except (OSError, ValueError, KeyError, TypeError):
        found = "no readable task.json"
    checks.one_of("checkpoint", found, ("DeepLabV3ImageSegmenter",), context=" as the task of a KerasHub preset",
                  advice="kseg has no builder for KerasHub's other networks; their backbones go to `encoder_name`.")


def _options(model, path):
    backbone = model.backbone
    encoder = backbone.image_encoder
    plain = not getattr(encoder, "use_pre_activation", True) and encoder.block_type in ("basic_block",
                                                                                        "bottleneck_block")
    if not plain or backbone.low_level_feature_key != "P2" or backbone.spatial_pyramid_pooling_key != "P5":
        raise ValueError(checks.sentence(
            "checkpoint", "must be a DeepLab v3+ of KerasHub on P2 and P5 of a plain ResNet",
            f"{path}: {backbone.low_level_feature_key} and {backbone.spatial_pyramid_pooling_key} of "
            f"{type(encoder).__name__}", "kseg has no counterpart of others."))
    converter = getattr(model.preprocessor, "image_converter", None)
    scale, offset = (np.resize(usual if (value := getattr(converter, name, None)) is None else value, 3)
                     for name, usual in (("scale", 1.0), ("offset", 0.0)))
    return {"rates": tuple(backbone.dilation_rates), "normalization": (tuple(-offset / scale), tuple(1 / scale))}


def _arrays(model):
    """Return the variables by name, kernels turned from HWIO to OIHW."""
    arrays = {}
    for variable in model.variables:
        layer, kind = variable.path.split("/")[-2:]
        if kind not in ("kernel", *_KINDS):
            continue
        value = np.asarray(variable)
        value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
        name = _encoder_module(layer)
        if kind == "moving_variance" and not name.startswith("encoder."):
            value = value + np.float32(_EPSILON - _OURS)  # the same quotient
        arrays[f"{name}.{_KINDS.get(kind, 'weight')}"] = value
    classes = arrays["segmentation_output.weight"].shape[0]
    return {**arrays, "segmentation_output.bias": np.zeros(classes, "float32")}  # it has none


def _encoder_module(layer):
    """Return torchvision's name of a layer of KerasHub's ResNet, below "encoder."; other layers keep theirs."""
    if layer in ("conv1_conv", "conv1_bn"):
        return f"encoder.{layer.removeprefix('conv1_')}1"
    match = re.fullmatch(r"stack(\d)_block(\d+)_(\d)_(conv|bn)", layer)
    if match is None:
        return layer
    stage, unit, index, kind = match.groups()
    part = f"downsample.{int(kind == 'bn')}" if index == "0" else f"{kind}{index}"
    return f"encoder.layer{int(stage) + 1}.{unit}.{part}"


def recognises(arrays: Arrays) -> bool:
    """Whether the names of `arrays` are those that `read_preset` gives."""
    return "segmentation_output.weight" in arrays


def plan(arrays: Arrays, detail: str | None = None, rates: tuple[int, ...] = (6, 12, 18),
         normalization: Any = None) -> Plan:
    """Return the `Plan` of what `read_preset` returned."""
    encoder = resnet_name(arrays, "encoder.")
    check_like(detail, f"deeplab_v3_plus_{encoder}")
    modules = {f"aspp_{part}_1": f"aspp_point_{part}" for part in ("conv", "bn")}
    for index in range(1, len(rates) + 1):
        modules |= {f"aspp_{part}_{index + 1}": f"aspp_atrous{index}_{part}" for part in ("conv", "bn")}
    for part in ("conv", "bn"):
        modules |= {f"{part}_pooling": f"aspp_image_{part}", f"{part}_projection": f"aspp_project_{part}"}
    for module, layer in (("decoder", "low_level"), ("segmentation_head", "decoder1")):
        modules |= {f"{module}_conv": f"{layer}_conv", f"{module}_norm": f"{layer}_bn"}
    return Plan("kerashub", "DeepLabV3Plus", {
        "encoder_name": encoder, "output_stride": 32, "rates": tuple(2 * rate for rate in rates), "separable": False,
        "decoder": "kerashub", "low_level_filters": size_of(arrays, "decoder_conv.weight"),
        "filters": size_of(arrays, "conv_projection.weight"),
        "decoder_filters": size_of(arrays, "segmentation_head_conv.weight"), "dropout": 0.0},
        {**modules, "segmentation_output": "logits_scores"}, "encoder.", "segmentation_output",
        normalization=normalization)
