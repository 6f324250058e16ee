"""PyTorch's arrays become Keras's: names by a family's list of modules, layouts by the kind of layer."""

import difflib
import re
from collections.abc import Mapping

import keras
import numpy as np


class WrongArrays(Exception):
    """A file whose arrays are not the encoder's: the rule it breaks, what it holds, and what to do."""


_KINDS = {"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
          "moving_variance": "running_var", "depthwise_kernel": "conv1.weight", "pointwise_kernel": "pointwise.weight"}


def renamed(arrays: Mapping[str, np.ndarray], modules: Mapping[str, str], encoder: keras.Model,
            left_out: str) -> dict[str, np.ndarray]:
    """Return `arrays` by the paths of the variables of `encoder`, in Keras's layouts.

    Args:
        arrays: mapping of PyTorch's name to array, the encoder's prefix already taken off.
        modules: mapping of a Keras layer's name to PyTorch's module; to the array itself for a layer scale.
        encoder: the model; of one that ends before c5, arrays of the later stages may or may not be there.
        left_out: str, pattern of the names that the encoder has no layer for: what stands behind its last feature.
    Raises:
        WrongArrays: if the file lacks an array of the encoder, or holds one that belongs neither to it nor to
            `left_out`.
    """
    wanted = {_torch_name(variable, modules): variable for variable in encoder.variables}
    missing = [name for name in wanted if name not in arrays]
    extra = [name for name in arrays if name not in wanted and not name.endswith("num_batches_tracked")
             and not re.match(left_out, name)] if "c5" in encoder.output else []
    if missing or extra:
        _refuse(missing, extra, arrays, wanted)
    return {variable.path: _layout(arrays[name], variable, encoder) for name, variable in wanted.items()}


def _torch_name(variable, modules):
    layer, kind = variable.path.split("/")[-2:]
    module = modules.get(layer, layer)
    return module if module.endswith((".layer_scale", ".gamma")) else f"{module}.{_KINDS[kind]}"


def _refuse(missing, extra, arrays, wanted):
    parts, near = [], []
    for verb, names, others in (("lacks", missing, extra or list(arrays)), ("holds besides", extra, missing or wanted)):
        if names:
            parts.append(f"{verb} {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else ""))
            near += [f"{close[0]} beside {name}" for name in names[:5]
                     if (close := difflib.get_close_matches(name, others, n=1, cutoff=0.8))]
    raise WrongArrays(
        f"must hold the arrays of the encoder, no fewer and no more; the file {'; it '.join(parts)}",
        sorted(arrays)[:3], f"Nearest: {'; '.join(near[:5])}." if near else "Use the file of this encoder.")


def _layout(value, variable, encoder):
    """Return `value` as Keras lays it out: OIHW as HWIO, depthwise (C, 1, H, W) as (H, W, C, 1), a matrix turned."""
    if value.ndim == 4:
        layer, kind = variable.path.split("/")[-2:]
        depthwise = kind == "depthwise_kernel" or isinstance(encoder.get_layer(layer), keras.layers.DepthwiseConv2D)
        return value.transpose(2, 3, 0, 1) if depthwise else value.transpose(2, 3, 1, 0)
    if value.ndim == 2:
        return value.T
    return value.reshape(-1) if value.ndim == 3 else value  # a layer scale of torchvision is (C, 1, 1)


def blocks_of(encoder: keras.Model, pattern: str) -> list[str]:
    """Return the different texts that `pattern`, at the start of a layer's name, matches, in the order of layers."""
    return list(dict.fromkeys(match.group(1) for variable in encoder.variables
                              if (match := re.match(pattern, variable.path))))
