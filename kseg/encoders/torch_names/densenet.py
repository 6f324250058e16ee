"""DenseNet under the names of torchvision (and of timm and smp)."""

import re

import keras
import numpy as np

from kseg.encoders.torch_names.renaming import blocks_of, renamed

_PARTS = {"0_bn": "norm1", "1_conv": "conv1", "1_bn": "norm2", "2_conv": "conv2"}


def names(arrays: dict[str, np.ndarray], encoder: keras.Model) -> dict[str, np.ndarray]:
    """Return `arrays` by Keras's paths; the classifier is left out.

    The files that torchvision offers write "norm.1" for "norm1".
    """
    arrays = {re.sub(r"\.(norm|conv)\.([12])\.", r".\1\2.", name): value for name, value in arrays.items()}
    modules = {"conv1_conv": "features.conv0", "conv1_bn": "features.norm0", "bn": "features.norm5"}
    for transition in (1, 2, 3):
        modules |= {f"pool{transition + 1}_{part}": f"features.transition{transition}.{module}"
                    for part, module in (("bn", "norm"), ("conv", "conv"))}
    for block in blocks_of(encoder, r"(conv\d_block\d+)_"):
        stage, layer = re.findall(r"\d+", block)
        modules |= {f"{block}_{part}": f"features.denseblock{int(stage) - 1}.denselayer{layer}.{module}"
                    for part, module in _PARTS.items()}
    return renamed(arrays, modules, encoder, r"classifier\.")
