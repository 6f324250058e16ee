"""What an origin says about a checkpoint: the builder that makes its network, and where each array belongs."""

import dataclasses
import difflib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from kseg import checks
from kseg.encoders import row_of

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Plan:
    """How the arrays of a checkpoint become a `Segmenter`.

    Args:
        origin: str, "torchvision", "mmsegmentation", "smp", "semseg" or "kerashub".
        builder: str, a name of `kseg.models`.
        options: dict, its arguments but `classes`, `in_channels` and `encoder_weights`.
        modules: dict, PyTorch module of the decoder to the layer of the builder's model.
        encoder: str, what the names of the encoder's arrays begin with, and what is taken off them but for `kept`.
        classifier: str, the module whose first axis counts the classes.
        moved: dict, layer to the order in which its input channels, in blocks of one size, stand in the
            checkpoint: `(4, 0, 1, 2, 3)` where the checkpoint has the fifth block first.
        ignored: tuple of str, beginnings of names that are left out on purpose.
        normalization: (mean, std), three numbers each, 0-255, if the encoder's weights were trained on other pixels
            than kseg's encoder of that name says; else None.
        kept: str, the end of `encoder` that stays.
    """

    origin: str
    builder: str
    options: dict[str, Any]
    modules: dict[str, str]
    encoder: str
    classifier: str
    moved: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    normalization: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    kept: str = ""


def conv_bn(module: str, layer: str, *, conv: str = "0", bn: str = "1") -> dict[str, str]:
    """Return the modules of a convolution and its batch normalisation: `layer_conv` and `layer_bn`."""
    return {f"{module}.{conv}": f"{layer}_conv", f"{module}.{bn}": f"{layer}_bn"}


def size_of(arrays: Arrays, name: str, axis: int = 0) -> int:
    """Return how long the array `name` is along `axis`; ValueError if the checkpoint lacks it."""
    if name not in arrays:
        near = difflib.get_close_matches(name, arrays, 1)
        raise ValueError(checks.sentence("checkpoint", f"must hold an array {name!r}", f"{len(arrays)} others",
                                         f"Nearest: {near[0]}." if near else "Check that `like` names its network."))
    return arrays[name].shape[axis]


def check_like(like: str | None, found: str) -> None:
    """Raise ValueError unless `like`, a network's name or None, begins with the word `found`, told from the arrays."""
    if like is not None and not re.match(rf"{found}(?![a-z0-9])", like.lower().replace("-d8", "")):
        raise ValueError(checks.sentence("like", f"must name the network that the checkpoint holds, {found!r}", like,
                                         "Leave the part after the slash out to have it told from the arrays."))


def one_grid(encoder_name: str) -> tuple[int, ...] | None:
    """Return DeepLab v3's `multi_grid` that leaves the rates of the last stage alone."""
    return (1, 1, 1) if row_of(encoder_name).multi_grid else None


def resnet_name(arrays: Arrays, prefix: str, stem: str = "") -> str:
    """Return the encoder whose arrays begin with `prefix`: "resnet18" … "resnet152", with `stem` after it.

    Raises:
        ValueError: if they are not those of a ResNet.
    """
    units = tuple(1 + max((int(match.group(1)) for match in (
        re.match(rf"{re.escape(prefix)}layer{stage}\.(\d+)\.", name) for name in arrays) if match), default=-1)
        for stage in (1, 2, 3, 4))
    basic = f"{prefix}layer1.0.conv3.weight" not in arrays
    depth = {((2, 2, 2, 2), True): 18, ((3, 4, 6, 3), True): 34, ((3, 4, 6, 3), False): 50,
             ((3, 4, 23, 3), False): 101, ((3, 8, 36, 3), False): 152}.get((units, basic))
    if depth is None:
        raise ValueError(checks.sentence(
            "checkpoint", f"must have a ResNet of 18, 34, 50, 101 or 152 layers below {prefix!r}",
            f"stages of {units} units", "Name the encoder: for example like='smp/unet/mobilenet_v2'."))
    first = arrays.get(f"{prefix}layer1.0.conv2.weight")
    wide = first is not None and first.shape[1] not in (64, first.shape[0])
    if wide or f"{prefix}layer1.0.se.fc1.weight" in arrays:
        raise ValueError(checks.sentence("checkpoint", "must have a plain ResNet, no ResNeXt or SE-ResNet",
                                         prefix, "kseg has no such encoder."))
    return f"resnet{depth}{stem}"
