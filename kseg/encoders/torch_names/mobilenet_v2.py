"""MobileNetV2 under the names of torchvision (and of smp) and of timm."""

import keras
import numpy as np

from kseg.encoders.torch_names.renaming import renamed

_UNITS = (1, 2, 3, 4, 3, 3, 1)  # of the seven stages


def names(arrays: dict[str, np.ndarray], encoder: keras.Model) -> dict[str, np.ndarray]:
    """Return `arrays` by Keras's paths; the classifier is left out."""
    if "conv_stem.weight" in arrays:
        return renamed(arrays, _of_timm(), encoder, r"classifier\.")
    return renamed(arrays, _of_torchvision(), encoder, r"classifier\.")


def _blocks():
    return ["expanded_conv", *(f"block_{index}" for index in range(1, sum(_UNITS)))]


def _of_torchvision():
    modules = {"Conv1": "features.0.0", "bn_Conv1": "features.0.1",
               "Conv_1": "features.18.0", "Conv_1_bn": "features.18.1"}
    for index, block in enumerate(_blocks()):
        parts = ("0.0", "0.1", "1.0", "1.1", "2", "3") if index else (None, None, "0.0", "0.1", "1", "2")
        modules |= _block(block, [f"features.{index + 1}.conv.{part}" for part in parts])
    return modules


def _of_timm():
    modules = {"Conv1": "conv_stem", "bn_Conv1": "bn1", "Conv_1": "conv_head", "Conv_1_bn": "bn2"}
    places = [(stage, unit) for stage, count in enumerate(_UNITS) for unit in range(count)]
    for index, (block, (stage, unit)) in enumerate(zip(_blocks(), places, strict=True)):
        parts = (("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3") if index
                 else (None, None, "conv_dw", "bn1", "conv_pw", "bn2"))
        modules |= _block(block, [f"blocks.{stage}.{unit}.{part}" for part in parts])
    return modules


def _block(block, modules):
    layers = ("expand", "expand_BN", "depthwise", "depthwise_BN", "project", "project_BN")
    return {f"{block}_{layer}": module for layer, module in zip(layers, modules, strict=True)}
