"""VGG16 and VGG19, with and without batch normalisation, under the names of torchvision (and of smp)."""

import keras
import numpy as np

from kseg.encoders.torch_names.renaming import blocks_of, renamed


def names(arrays: dict[str, np.ndarray], encoder: keras.Model) -> dict[str, np.ndarray]:
    """Return `arrays` by Keras's paths, and "bgr" = 0; the classifier is left out."""
    convolutions = blocks_of(encoder, r"(block\d_conv\d)/")
    normalized = any("_bn/" in variable.path for variable in encoder.variables)
    modules, index, stage = {}, 0, "1"
    for convolution in convolutions:
        number = convolution[len("block")]
        index += number != stage  # a pooling lies between
        stage = number
        modules[convolution] = f"features.{index}"
        if normalized:
            modules[f"{convolution}_bn"] = f"features.{index + 1}"
        index += 3 if normalized else 2  # with its normalisation and its ReLU
    return {**renamed(arrays, modules, encoder, r"classifier\."), "bgr": np.uint8(0)}
