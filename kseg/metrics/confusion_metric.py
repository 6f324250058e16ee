"""The Keras metric behind all scores: one int64 confusion matrix over the whole dataset."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from kseg import checks, tasks
from kseg.labels import IGNORE_CLASS
from kseg.metrics.confusion import unknown_ids_sentence
from kseg.types import Config, Tensor


class ConfusionMetric(keras.metrics.Metric):
    """A metric computed from the confusion matrix of every pixel seen since the last reset.

    `update_state(labels, predictions, sample_weight=None)`: labels are integers `[B, H, W]` (or `[B, H, W, 1]`),
    predictions logits or probabilities `[B, H, W, classes]`, or integer ids `[B, H, W]`. Pixels labelled
    `ignore_class` are not counted, nor are those of weight 0; other weights count as 1.

    For the task "multilabel" labels, and predictions that are integers, are 0 or 1, `[B, H, W, classes]`. For it and
    for "binary" predictions that are no integers are logits, and what exceeds the threshold counts as 1. The scores of
    "binary" are those of the foreground.

    An id outside `[0, classes)` other than `ignore_class` raises: `ValueError` eagerly, `InvalidArgumentError` in a
    TensorFlow graph (`fit`). Where a compiled graph cannot raise (XLA, other backends) every result is NaN.

    Args:
        classes: int, the number of classes, without the ignored one.
        ignore_class: int. Default 255.
        name: str or None.
        task: "multiclass", "binary" (one class) or "multilabel".
        threshold: float, a probability, or a sequence with one per class, of the last two; None for 0.5.
    """

    _direction = "up"  # read by Keras: ModelCheckpoint and EarlyStopping look for the largest value

    def __init__(self, classes: int, ignore_class: int = IGNORE_CLASS, name: str | None = None,
                 dtype: str | None = None, task: str = "multiclass", threshold: tasks.Threshold = None):
        super().__init__(name=name, dtype=dtype)
        self.task = tasks.of(task)
        self.classes = self.task.check_classes(classes)
        self.threshold = self.task.checked_threshold(threshold, self.classes)
        self.ignore_class = ignore_class
        shape, integer = self.task.confusion_shape(self.classes), _count_type()
        self.matrix = self.add_variable(shape, "zeros", dtype=integer, name="matrix")
        # How often a cell of 32 bits has begun again at 0; int64 never does.
        self.rounds = None if integer == "int64" else self.add_variable(shape, "zeros", dtype=integer, name="rounds")
        self.outside = self.add_variable((), "zeros", dtype=integer, name="outside")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        labels = _id_map(ops.cast(ops.convert_to_tensor(y_true), "int32"), self.task)
        predictions = self._ids(ops.convert_to_tensor(y_pred))
        _check_shapes(labels, predictions)
        counted = ops.not_equal(labels, self.ignore_class)
        if sample_weight is not None:
            counted = ops.logical_and(counted, _has_weight(sample_weight, self.task))
        counts = self._pair_counts(labels, predictions, counted)
        shape = self.task.confusion_shape(self.classes)
        cells = math.prod(shape)
        _refuse_unknown_ids(labels, predictions, counted, counts[cells + 1:], classes=self.task.ids(self.classes),
                            ignore_class=self.ignore_class)
        added = ops.reshape(counts[:cells], shape)
        self.matrix.assign_add(added)
        if self.rounds is not None:
            self.rounds.assign_add(ops.cast(self.matrix < added, self.rounds.dtype))
        self.outside.assign_add(ops.sum(counts[cells + 1:]))

    def confusion(self) -> np.ndarray:
        """Return the matrix so far, NumPy int64, `matrix[label, prediction]`; see `kseg.metrics.confusion_matrix`."""
        matrix = np.asarray(ops.convert_to_numpy(self.matrix)).astype(np.int64)
        return matrix if self.rounds is None else matrix + (np.asarray(self.rounds).astype(np.int64) << 32)

    def get_config(self) -> Config:
        return {"classes": self.classes, "ignore_class": self.ignore_class, "name": self.name, "dtype": self.dtype,
                "task": self.task.name, "threshold": self.threshold}

    def _ids(self, predictions):
        if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(predictions.dtype)):
            return _id_map(ops.cast(predictions, "int32"), self.task)
        if len(predictions.shape) != 4 or predictions.shape[-1] != self.classes:
            raise ValueError(checks.sentence(
                "predictions", f"must be logits [B, H, W, {self.classes}] or integer ids [B, H, W]",
                tuple(predictions.shape), "Make `classes` of the metric that of the model."))
        if self.task.exclusive:
            return most_likely_class(predictions)
        return above(predictions, tasks.logit(self.threshold or tasks.DEFAULT_THRESHOLD))

    def _pair_counts(self, labels, predictions, counted):
        """Count the pairs: the matrix's cells, then pixels left out, unknown label ids, unknown predicted ids."""
        cells, ids = math.prod(self.matrix.shape), self.task.ids(self.classes)
        bins = labels * ids + predictions
        if self.task.stacked:
            bins = bins + ids * ids * ops.arange(self.classes, dtype="int32")  # `[classes]`, the last axis
        bins = ops.where((predictions >= 0) & (predictions < ids), bins, cells + 2)
        bins = ops.where((labels >= 0) & (labels < ids), bins, cells + 1)
        return _bin_counts(ops.reshape(ops.where(counted, bins, cells), (-1,)), cells + 3)

    def _known(self, value):
        """Return `value`, or NaN if an unknown id was seen."""
        return ops.where(self.outside > 0, float("nan"), value)

    def _parts(self, of_ids=False):
        """Return hits, labelled and predicted pixels of each class, float `[classes]`; int64 is summed as such.

        `of_ids`: of every id instead, the background too, `[ids]` or `[classes, 2]`.
        """
        matrix = ops.convert_to_tensor(self.matrix)
        if self.rounds is not None:
            matrix = ops.cast(matrix, self.dtype) + 2.0 ** 32 * ops.cast(self.rounds, self.dtype)
        hit = ops.diagonal(matrix, axis1=-2, axis2=-1)
        parts = [ops.cast(part, self.dtype) for part in (hit, ops.sum(matrix, -1), ops.sum(matrix, -2))]
        return tuple(parts if of_ids else map(self.task.of_classes, parts))


def most_likely_class(logits: Tensor) -> Tensor:
    """Return the argmax over the last axis, int32 `[B, H, W]`; the first of equal classes wins."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.argmax(logits, axis=-1, output_type=tf.int32)
    return ops.cast(ops.argmax(logits, axis=-1), "int32")


def above(logits: Tensor, cut: Any) -> Tensor:
    """Return where logits `[B, H, W, classes]` exceed `cut`, a float or `[classes]`: int32, 0 or 1."""
    return ops.cast(logits > ops.convert_to_tensor(cut, logits.dtype), "int32")


def _id_map(ids, task):
    """Return ids as `[B, H, W]`, or where each logit is decided by itself as `[B, H, W, classes]`."""
    if not task.exclusive:
        return ops.expand_dims(ids, -1) if len(ids.shape) == 3 and not task.stacked else ids
    return ops.squeeze(ids, -1) if len(ids.shape) == 4 and ids.shape[-1] == 1 else ids


def _has_weight(sample_weight, task):
    """Return where the weight is not 0, bool that broadcasts against the ids."""
    weights = ops.convert_to_tensor(sample_weight)
    an_image = len(weights.shape) == 1 or (len(weights.shape) == 2 and weights.shape[-1] == 1)
    weights = ops.reshape(weights, (-1, 1, 1)) if an_image else weights
    if task.exclusive:
        return ops.not_equal(_id_map(weights, task), 0)
    return ops.not_equal(ops.expand_dims(weights, -1) if len(weights.shape) == 3 else weights, 0)


def _check_shapes(labels, predictions):
    equal = len(labels.shape) == len(predictions.shape) and all(
        one is None or other is None or one == other for one, other in zip(labels.shape, predictions.shape))
    if not equal:
        raise ValueError(checks.sentence(
            "predictions", f"must have the height and width of the labels, {tuple(labels.shape)}",
            tuple(predictions.shape), "Resize the logits to the labels first."))


def _bin_counts(bins, count):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # tf.math.bincount computes the size from the values, which XLA cannot do within a model's training step.
        return tf.raw_ops.DenseBincount(input=bins, size=count, weights=tf.zeros([0], tf.int64), binary_output=False)
    # ops.bincount takes its length from the values too, which JAX cannot do within a compiled step.
    return ops.segment_sum(ops.ones_like(bins, dtype=_count_type()), bins, num_segments=count)


def _count_type():
    """Return the widest integers the backend counts in: JAX has none of 64 bits unless it is told to."""
    if keras.backend.backend() == "jax":
        import jax

        return "int64" if jax.config.jax_enable_x64 else "uint32"
    return "int64"


def _refuse_unknown_ids(labels, predictions, counted, outside, *, classes, ignore_class):
    """Raise if `outside`, the counts of unknown label and prediction ids, is not zero; in a TF graph by an Assert."""
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    if not tf.executing_eagerly():
        for name, count in zip(("labels", "predictions"), (outside[0], outside[1])):
            text = unknown_ids_sentence(name, classes, ignore_class, "the number of such pixels below")
            tf.debugging.Assert(count == 0, [text, count])
        return
    for name, ids, count in zip(("labels", "predictions"), (labels, predictions), np.asarray(outside)):
        if count:
            found = ids.numpy()[np.broadcast_to(counted.numpy(), ids.shape)]
            found = found[(found < 0) | (found >= classes)]
            raise ValueError(unknown_ids_sentence(name, classes, ignore_class, int(found[0])))
