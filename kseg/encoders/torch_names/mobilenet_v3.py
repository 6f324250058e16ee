"""MobileNetV3 under the names of torchvision and of timm."""

import keras
import numpy as np

from kseg.encoders.torch_names.renaming import blocks_of, renamed

_UNITS = {15: (1, 2, 3, 4, 2, 3), 11: (1, 2, 3, 2, 3)}  # large and small: units of timm's stages
_TIMM = {"expand": "conv_pw", "expand_bn": "bn1", "depthwise": "conv_dw", "depthwise_bn": "bn2",
         "project": "conv_pwl", "project_bn": "bn3"}
_TIMM_FIRST = {"depthwise": "conv_dw", "depthwise_bn": "bn1", "project": "conv_pw", "project_bn": "bn2"}
_TIMM_SQUEEZE = {"squeeze_excite_conv": "se.conv_reduce", "squeeze_excite_conv_1": "se.conv_expand"}


def names(arrays: dict[str, np.ndarray], encoder: keras.Model) -> dict[str, np.ndarray]:
    """Return `arrays` by Keras's paths; the classifier is left out."""
    blocks = blocks_of(encoder, r"(expanded_conv(?:_\d+)?)_[a-z]")
    if "conv_stem.weight" in arrays:
        return renamed(arrays, _of_timm(blocks, encoder), encoder, r"(conv_head|norm_head|classifier)\.")
    return renamed(arrays, _of_torchvision(blocks, encoder), encoder, r"classifier\.")


def _of_timm(blocks, encoder):
    units = _UNITS[len(blocks) if "c5" in encoder.output else 15]  # up to c3, where some encoders end, both begin alike
    last = f"blocks.{len(units)}.0"
    modules = {"conv": "conv_stem", "conv_bn": "bn1", "conv_1": f"{last}.conv", "conv_1_bn": f"{last}.bn1"}
    places = [(stage, unit) for stage, count in enumerate(units) for unit in range(count)]
    for block, (stage, unit) in zip(blocks, places, strict="c5" in encoder.output):
        parts = {**(_TIMM if stage else _TIMM_FIRST), **_TIMM_SQUEEZE}
        modules |= {f"{block}_{part}": f"blocks.{stage}.{unit}.{module}" for part, module in parts.items()}
    return modules


def _of_torchvision(blocks, encoder):
    layers = {layer.name for layer in encoder.layers}
    last = f"features.{len(blocks) + 1}"
    modules = {"conv": "features.0.0", "conv_bn": "features.0.1", "conv_1": f"{last}.0", "conv_1_bn": f"{last}.1"}
    for number, block in enumerate(blocks, start=1):
        index = 0  # a block is numbered by the parts that it has
        for part in ("expand", "depthwise", "squeeze_excite_conv", "project"):
            if f"{block}_{part}" not in layers:
                continue
            module, squeezes = f"features.{number}.block.{index}", part.startswith("squeeze")
            modules[f"{block}_{part}"] = f"{module}.fc1" if squeezes else f"{module}.0"
            modules[f"{block}_{part}{'_1' if squeezes else '_bn'}"] = f"{module}.fc2" if squeezes else f"{module}.1"
            index += 1
    return modules
