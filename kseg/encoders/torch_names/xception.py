"""Xception under the names of smp and of timm's legacy_xception."""

import re

import keras
import numpy as np

from kseg.encoders.torch_names.renaming import blocks_of, renamed

_SHORTCUTS = (1, 2, 3, 12)  # the blocks whose shortcut is a convolution, in the order in which Keras counts them


def names(arrays: dict[str, np.ndarray], encoder: keras.Model) -> dict[str, np.ndarray]:
    """Return `arrays` by Keras's paths; the classifier is left out."""
    modules = {}
    for index in (1, 2):
        modules |= {f"block1_conv{index}": f"conv{index}", f"block1_conv{index}_bn": f"bn{index}",
                    f"block14_sepconv{index}": f"conv{index + 2}", f"block14_sepconv{index}_bn": f"bn{index + 2}"}
    for layer in blocks_of(encoder, r"(block\d+_sepconv\d)/"):
        block, place = (int(number) for number in re.findall(r"\d+", layer))
        if block < 14:
            first = 3 * (place - 1) + (block > 2)  # all but the first block begin with a ReLU
            modules |= {layer: f"block{block - 1}.rep.{first}", f"{layer}_bn": f"block{block - 1}.rep.{first + 1}"}
    for form, module in ((r"(conv2d(?:_\d+)?)/", "skip"), (r"(batch_normalization(?:_\d+)?)/", "skipbn")):
        counted = sorted(blocks_of(encoder, form), key=lambda layer: int((re.findall(r"_(\d+)$", layer) or [0])[0]))
        modules |= {layer: f"block{block}.{module}" for layer, block in zip(counted, _SHORTCUTS,
                                                                               strict="c5" in encoder.output)}
    return renamed(arrays, modules, encoder, r"fc\.")
