"""ConvNeXt under the names of torchvision and of timm."""

import keras
import numpy as np

from kseg.encoders.torch_names.renaming import blocks_of, renamed

_TORCHVISION = {"depthwise_conv": "block.0", "layernorm": "block.2", "pointwise_conv_1": "block.3",
                "pointwise_conv_2": "block.5", "layer_scale": "layer_scale"}
_TIMM = {"depthwise_conv": "conv_dw", "layernorm": "norm", "pointwise_conv_1": "mlp.fc1",
         "pointwise_conv_2": "mlp.fc2", "layer_scale": "gamma"}


def names(arrays: dict[str, np.ndarray], encoder: keras.Model) -> dict[str, np.ndarray]:
    """Return `arrays` by Keras's paths; the last normalisation, behind c5, and the classifier are left out."""
    of_timm = "stem.0.weight" in arrays
    network, = blocks_of(encoder, r"(convnext_[a-z]+)_stem")
    stem = "stem" if of_timm else "features.0"
    modules = {f"{network}_stem_conv": f"{stem}.0", f"{network}_stem_layernorm": f"{stem}.1"}
    for index in range(3):
        module = f"stages.{index + 1}.downsample" if of_timm else f"features.{2 * index + 2}"
        modules |= {f"{network}_downsampling_layernorm_{index}": f"{module}.0",
                    f"{network}_downsampling_conv_{index}": f"{module}.1"}
    for block in blocks_of(encoder, rf"({network}_stage_\d_block_\d+)_"):
        stage, unit = int(block.split("_")[-3]), block.split("_")[-1]
        module = f"stages.{stage}.blocks.{unit}" if of_timm else f"features.{2 * stage + 1}.{unit}"
        modules |= {f"{block}_{part}": f"{module}.{name}"
                    for part, name in (_TIMM if of_timm else _TORCHVISION).items()}
    return renamed(arrays, modules, encoder, r"(head|classifier)\.")
