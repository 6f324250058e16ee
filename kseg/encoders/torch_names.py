"""PyTorch's names and layouts of an encoder's arrays, turned into Keras's."""

import re

import keras
import numpy as np

# The stem of three convolutions under timm's names, by mmsegmentation's (or semseg's PSPNet's) and by semseg's.
_STEM = {"0": "conv1.0", "1": "conv1.1", "3": "conv1.3", "4": "conv1.4", "6": "conv1.6", "7": "bn1"}
_STEM_OF_SEMSEG = {"conv1": "conv1.0", "bn1": "conv1.1", "conv2": "conv1.3", "bn2": "conv1.4", "conv3": "conv1.6",
                   "bn3": "bn1"}
_TORCH_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def keras_names(arrays: dict[str, np.ndarray], encoder: keras.Model) -> dict[str, np.ndarray]:
    """Return `arrays` by Keras's variable paths and in its layouts; those of a kind not known here as they are."""
    if any(key.startswith("_blocks.") for key in arrays):
        return _from_efficientnet_pytorch(arrays, encoder)
    if "layer1.0.conv1.weight" in arrays:
        return _from_torch_resnet(arrays)
    return arrays


def _from_torch_resnet(arrays):
    """Rename and transpose ResNet arrays of torchvision, timm, mmsegmentation or semseg; the classifier is left out.

    "layer1.0.conv1.weight" becomes "layer1_0_conv1/kernel", and OIHW becomes HWIO.
    """
    semseg = "conv3.weight" in arrays
    renamed = {}
    for key, value in arrays.items():
        module, _, kind = key.rpartition(".")
        if module == "fc" or kind == "num_batches_tracked":
            continue
        if module.startswith(("stem.", "layer0.")):
            module = _STEM.get(module.partition(".")[2], module)
        elif semseg:
            module = _STEM_OF_SEMSEG.get(module, module)
        layer = module.replace(".", "_")
        if value.ndim == 4:
            renamed[f"{layer}/kernel"] = value.transpose(2, 3, 1, 0)
        else:
            renamed[f"{layer}/{_TORCH_NORM.get(kind, kind)}"] = value
    return renamed


def _from_efficientnet_pytorch(arrays, encoder):
    """Rename and transpose EfficientNet-Lite arrays of efficientnet-pytorch to Keras's paths and layouts.

    Kernels OIHW become HWIO, depthwise (C, 1, H, W) become (H, W, C, 1).
    """
    blocks = []
    for variable in encoder.variables:
        match = re.match(r"(block\d+[a-z]+)_", variable.path)
        if match and match.group(1) not in blocks:
            blocks.append(match.group(1))
    renamed = {}
    for key, value in arrays.items():
        layer, _, kind = key.rpartition(".")
        path = _lite_layer(layer, blocks)
        if path is None or kind == "num_batches_tracked":
            continue
        if value.ndim == 4:
            depthwise = path.endswith("dwconv")
            renamed[f"{path}/kernel"] = value.transpose(2, 3, 0, 1) if depthwise else value.transpose(2, 3, 1, 0)
        else:
            renamed[f"{path}/{_TORCH_NORM.get(kind, kind)}"] = value
    return renamed


def _lite_layer(layer, blocks):
    """Return the Keras layer name of a PyTorch module name, or None for the classifier."""
    if layer in ("_conv_stem", "_bn0", "_conv_head", "_bn1"):
        return {"_conv_stem": "stem_conv", "_bn0": "stem_bn", "_conv_head": "top_conv", "_bn1": "top_bn"}[layer]
    match = re.match(r"_blocks\.(\d+)\.(\w+)$", layer)
    if not match or int(match.group(1)) >= len(blocks):
        return None
    parts = {"_expand_conv": "expand_conv", "_bn0": "expand_bn", "_depthwise_conv": "dwconv", "_bn1": "bn",
             "_project_conv": "project_conv", "_bn2": "project_bn"}
    part = parts.get(match.group(2))
    return f"{blocks[int(match.group(1))]}_{part}" if part else None
