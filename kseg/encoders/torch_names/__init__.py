"""PyTorch's names and layouts of an encoder's arrays, turned into Keras's: one file per family."""

import keras
import numpy as np

from kseg import checks
from kseg.encoders.row import Encoder
from kseg.encoders.torch_names.renaming import WrongArrays
from kseg.encoders.torch_names.schemes import bare, scheme_of


def keras_names(arrays: dict[str, np.ndarray], encoder: keras.Model, row: Encoder,
                argument: str = "encoder_weights") -> dict[str, np.ndarray]:
    """Return `arrays` by Keras's variable paths and in its layouts; those of a kind not known here as they are.

    `argument` is what the user gave the file as, for the error sentence.

    Raises:
        ValueError: if arrays under PyTorch's names are not those of `encoder`.
    """
    found = bare(arrays)
    if row.names is None or scheme_of(found) is None:
        return arrays
    try:
        return row.names(found, encoder)
    except WrongArrays as wrong:
        raise ValueError(checks.sentence(argument, *wrong.args)) from None
