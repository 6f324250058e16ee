"""What a prediction is given as: the array that takes it, and how scores become it."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kseg import checks


def result_array(out: Any, size: Sequence[int], classes: int, labels: bool) -> Any:
    """Return the array for class ids `size`, `([B,] H, W)`, or else scores: `out`, or zeros where it is None.

    Raises:
        TypeError: if `out` is no array.
        ValueError: if `out` is of another shape, or of a dtype that the values do not fit into.
    """
    shape = tuple(size) if labels else (*size, classes)
    kind = np.dtype(np.float32 if not labels else np.uint8 if classes <= 255 else np.int32)
    if out is None:
        return np.zeros(shape, kind)
    if getattr(out, "dtype", None) is None or getattr(out, "shape", None) is None:
        raise TypeError(checks.sentence("out", "must be an array", type(out).__name__,
                                        f"Make it with numpy.empty({shape}, {str(kind)!r})."))
    fits = np.can_cast(kind, out.dtype, "safe" if labels else "same_kind")  # float16 may take probabilities
    if tuple(out.shape) != shape or not fits:
        raise ValueError(checks.sentence(
            "out", f"must be an array of shape {shape} that takes {kind}", (tuple(out.shape), str(out.dtype)),
            f"Make it with numpy.empty({shape}, {str(kind)!r})."))
    return out


def softmax(logits: Any) -> np.ndarray:
    """Return the softmax over the last axis, NumPy float32."""
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.softmax(logits, axis=-1)))


def votes(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return ids `[...]` as float32 `[..., classes]`: 1 for the class of a pixel and 0 for the others."""
    return np.eye(classes, dtype=np.float32)[labels]
