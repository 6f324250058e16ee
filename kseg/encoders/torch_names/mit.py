"""MiT under the names of smp and of its release."""

import keras
import numpy as np

from kseg.encoders.torch_names.renaming import renamed


def names(arrays: dict[str, np.ndarray], encoder: keras.Model) -> dict[str, np.ndarray]:
    """Return `arrays` by Keras's paths; the classifier is left out."""
    modules = {layer.name: layer.name.replace("_", ".").replace("patch.embed", "patch_embed")
               for layer in encoder.layers}
    return renamed(arrays, modules, encoder, r"head\.")
