"""PyTorch's names and layouts of an encoder's arrays, turned into Keras's."""

import re

import keras
import numpy as np

_TORCH_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def keras_names(arrays: dict[str, np.ndarray], encoder: keras.Model) -> dict[str, np.ndarray]:
    """Return `arrays` by Keras's variable paths and in its layouts; those of a kind not known here as they are."""
    if any(key.startswith("_blocks.") for key in arrays):
        return _from_efficientnet_pytorch(arrays, encoder)
    return arrays


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
