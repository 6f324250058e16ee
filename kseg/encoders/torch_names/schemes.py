"""Whose names a file's arrays have."""

import re
from collections.abc import Mapping

import numpy as np

_PREFIXES = ("module.", "encoder.", "backbone.", "model.")
_FIRST = {  # the first array of a network under each scheme of names
    "resnet": ("layer1.0.conv1.weight",),  # before timm's: mmsegmentation's ResNet-v1c has a "stem.0.weight" too
    "efficientnet_pytorch": ("_conv_stem.weight",),
    "timm": ("conv_stem.weight", "stem.0.weight"),
    "torchvision_bn": ("features.1.running_mean",),  # VGG with batch normalisation
    "cadene": ("block1.skip.weight",),  # Xception, in smp and timm
    "mit": ("patch_embed1.proj.weight",),
    "torchvision": ("features.0.0.weight", "features.0.weight", "features.conv0.weight"),
}


def scheme_of(arrays: Mapping[str, np.ndarray]) -> str | None:
    """Return a key of `_FIRST`, or None for other names, Keras's among them."""
    return next((scheme for scheme, firsts in _FIRST.items() if any(first in arrays for first in firsts)), None)


def bare(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the encoder's arrays without the prefix that a segmentation model or a wrapper put before their names.

    With a prefix, arrays that do not have it are another part's. torchvision's segmentation models leave `features.`
    out, and timm's pyramids write `stages_0` for `stages.0`.
    """
    while scheme_of(arrays) is None:
        if "stem_0.weight" in arrays:
            arrays = {re.sub(r"^(stem|stages)_(\d+)\.", r"\1.\2.", name): value for name, value in arrays.items()}
        elif "0.0.weight" in arrays:
            arrays = {f"features.{name}": value for name, value in arrays.items()}
        else:
            prefix = next((prefix for prefix in _PREFIXES if any(name.startswith(prefix) for name in arrays)), None)
            if prefix is None:
                break
            arrays = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
    return arrays
