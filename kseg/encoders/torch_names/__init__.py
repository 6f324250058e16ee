"""PyTorch's names and layouts of an encoder's arrays, turned into Keras's: one file per family."""

import keras
import numpy as np

from kseg.encoders.row import Encoder
from kseg.encoders.torch_names.schemes import bare, scheme_of


def keras_names(arrays: dict[str, np.ndarray], encoder: keras.Model, row: Encoder) -> dict[str, np.ndarray]:
    """Return `arrays` by Keras's variable paths and in its layouts; those of a kind not known here as they are.

    Raises:
        ValueError: if arrays under PyTorch's names are not those of `encoder`.
    """
    found = bare(arrays)
    if row.names is None or scheme_of(found) is None:
        return arrays
    return row.names(found, encoder)
