"""Types that public signatures share. Loads neither TensorFlow nor Keras."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

if TYPE_CHECKING:
    import keras

ImageSize: TypeAlias = tuple[int | None, int | None]  # (height, width) in pixels; None for any
Shape: TypeAlias = tuple[int | None, ...]  # None where a length is known only at run time
Path: TypeAlias = str | os.PathLike[str]
Tensor: TypeAlias = Any  # what `keras.ops` takes: a tensor of the backend, a `KerasTensor` or a NumPy array
Config: TypeAlias = dict[str, Any]  # what `get_config` returns
Weights: TypeAlias = Sequence[float] | None  # one number per class; None for 1
EncoderName: TypeAlias = Union[str, "keras.Model"]  # of `kseg.encoders.names()`, or a keras_cv / KerasHub backbone
EncoderWeights: TypeAlias = Path | None  # None, "imagenet" or a file
