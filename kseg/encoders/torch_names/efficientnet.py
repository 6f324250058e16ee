"""EfficientNet and EfficientNet-Lite under the names of efficientnet-pytorch (and of smp), timm and torchvision."""

import keras
import numpy as np

from kseg.encoders.torch_names.renaming import blocks_of, renamed

_LAYERS = ("expand_conv", "expand_bn", "dwconv", "bn", "se_reduce", "se_expand", "project_conv", "project_bn")
_PYTORCH = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_se_reduce", "_se_expand", "_project_conv", "_bn2")
_TIMM = ("conv_pw", "bn1", "conv_dw", "bn2", "se.conv_reduce", "se.conv_expand", "conv_pwl", "bn3")
_TIMM_FIRST = (None, None, "conv_dw", "bn1", "se.conv_reduce", "se.conv_expand", "conv_pw", "bn2")
_TORCHVISION = ("0.0", "0.1", "1.0", "1.1", "2.fc1", "2.fc2", "3.0", "3.1")
_TORCHVISION_FIRST = (None, None, "0.0", "0.1", "1.fc1", "1.fc2", "2.0", "2.1")


def names(arrays: dict[str, np.ndarray], encoder: keras.Model) -> dict[str, np.ndarray]:
    """Return `arrays` by Keras's paths; the last convolution, behind c5, and the classifier are left out."""
    blocks = blocks_of(encoder, r"(block\d+[a-z]+)_")  # block1a, block2a, block2b, …
    if "_conv_stem.weight" in arrays:
        modules, left_out = _of_pytorch(blocks), r"_conv_head\.|_bn1\.|_fc\."
    elif "conv_stem.weight" in arrays:
        modules, left_out = _of_timm(blocks), r"(conv_head|bn2|classifier)\."
    else:
        modules, left_out = _of_torchvision(blocks), r"(features\.8|classifier)\."
    return renamed(arrays, modules, encoder, left_out)


def _of_pytorch(blocks):
    modules = {"stem_conv": "_conv_stem", "stem_bn": "_bn0"}
    for index, block in enumerate(blocks):
        modules |= _block(block, f"_blocks.{index}.", _PYTORCH)
    return modules


def _of_timm(blocks):
    modules = {"stem_conv": "conv_stem", "stem_bn": "bn1"}
    for block in blocks:
        stage, unit = _place(block)
        modules |= _block(block, f"blocks.{stage}.{unit}.", _TIMM if stage else _TIMM_FIRST)
    return modules


def _of_torchvision(blocks):
    modules = {"stem_conv": "features.0.0", "stem_bn": "features.0.1"}
    for block in blocks:
        stage, unit = _place(block)
        parts = _TORCHVISION if stage else _TORCHVISION_FIRST
        modules |= _block(block, f"features.{stage + 1}.{unit}.block.", parts)
    return modules


def _place(block):
    """Return (stage, unit), both from 0, of Keras's "block2b"."""
    return int(block[len("block"):-1]) - 1, ord(block[-1]) - ord("a")


def _block(block, prefix, parts):
    return {f"{block}_{layer}": f"{prefix}{part}" for layer, part in zip(_LAYERS, parts, strict=True)}
