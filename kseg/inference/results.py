"""What a prediction is given as: the array that takes it, and how scores become it."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kseg import checks, tasks
from kseg.labels import IGNORE_CLASS
from kseg.metrics.confusion_metric import above, most_likely_class
from kseg.tasks import Task


def result_array(out: Any, size: Sequence[int], classes: int, labels: bool, task: Task) -> Any:
    """Return the array for labels of `size`, `([B,] H, W)`, or else scores: `out`, or zeros where it is None.

    Raises:
        TypeError: if `out` is no array.
        ValueError: if `out` is of another shape, or of a dtype that the values do not fit into.
    """
    shape = task.label_shape(size, classes) if labels else (*size, classes)
    kind = np.dtype(np.float32 if not labels else np.uint8 if task.ids(classes) <= 255 else np.int32)
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


def label_map(logits: Any, task: str = "multiclass", threshold: tasks.Threshold = None) -> Any:
    """Return the labels that logits stand for, by task: the one owner of the decision in deployment.

    Args:
        logits: float `[..., classes]`, NumPy or a tensor.
        task: "multiclass": the ids of the largest; "binary" and "multilabel": 0 or 1, by threshold.
        threshold: float, a probability, or a sequence with one per class; None for 0.5. Only for the last two.
    Returns:
        `[...]`, "multilabel": `[..., classes]`; NumPy uint8 (int32 beyond 255 classes) for NumPy, an int32 tensor for
        tensors.
    """
    kind = tasks.of(task)
    cut = 0.0 if kind.exclusive else tasks.logit(threshold or tasks.DEFAULT_THRESHOLD)
    if isinstance(logits, np.ndarray):
        return kind.decide(logits, cut)
    if kind.exclusive:
        return most_likely_class(logits)
    labels = above(logits, cut)
    return labels if kind.stacked else labels[..., 0]


def probabilities(logits: Any, task: Task) -> np.ndarray:
    """Return the softmax over the last axis, or the sigmoid of each logit, as the task has it: NumPy float32."""
    values = keras.ops.softmax(logits, axis=-1) if task.exclusive else keras.ops.sigmoid(logits)
    return np.asarray(keras.ops.convert_to_numpy(values))


def one_label(labels: np.ndarray, probabilities: np.ndarray, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as one id per pixel, and the probability of each, both `[…]`.

    Where labels are stacked it is the most probable of the classes that a pixel has, and `IGNORE_CLASS` where it has
    none, with the probability of being without the likeliest.
    """
    if task.exclusive:
        return labels, probabilities.max(axis=-1)
    if not task.stacked:
        return labels, np.where(labels == 1, probabilities[..., 0], 1 - probabilities[..., 0])
    had, any_class = np.where(labels == 1, probabilities, -1), labels.any(axis=-1)
    return (np.where(any_class, had.argmax(axis=-1), IGNORE_CLASS).astype(np.uint8),
            np.where(any_class, had.max(axis=-1), 1 - probabilities.max(axis=-1)))


def logits_of(probabilities: np.ndarray, task: Task) -> np.ndarray:
    """Return float32 logits of these probabilities: their logarithms, or where the task has a sigmoid its inverse."""
    logarithm = np.log(np.maximum(probabilities, 1e-30))
    return logarithm if task.exclusive else logarithm - np.log(np.maximum(1 - probabilities, 1e-30))


def votes(labels: np.ndarray, classes: int, task: Task) -> np.ndarray:
    """Return labels of a task as float32 `[..., classes]`: 1 for the classes of a pixel and 0 for the others."""
    if task.exclusive:
        return np.eye(classes, dtype=np.float32)[labels]
    return np.asarray(labels if task.stacked else labels[..., None], np.float32)


def as_two_classes(probabilities: np.ndarray) -> np.ndarray:
    """Return the probabilities of no and yes, `[..., 2]`, of those of yes."""
    return np.stack([1 - probabilities, probabilities], axis=-1)
