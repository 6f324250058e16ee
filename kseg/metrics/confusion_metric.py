"""The Keras metric behind all scores: one int64 confusion matrix over the whole dataset."""

import keras
import numpy as np
from keras import ops

from kseg import checks
from kseg.labels import IGNORE_CLASS
from kseg.metrics.confusion import unknown_ids_sentence
from kseg.types import Config, Tensor


class ConfusionMetric(keras.metrics.Metric):
    """A metric computed from the confusion matrix of every pixel seen since the last reset.

    `update_state(labels, predictions, sample_weight=None)`: labels are integers `[B, H, W]` (or `[B, H, W, 1]`),
    predictions logits or probabilities `[B, H, W, classes]`, or integer ids `[B, H, W]`. Pixels labelled
    `ignore_class` are not counted, nor are those of weight 0; other weights count as 1.

    An id outside `[0, classes)` other than `ignore_class` raises: `ValueError` eagerly, `InvalidArgumentError` in a
    TensorFlow graph (`fit`). Where a compiled graph cannot raise (XLA, other backends) every result is NaN.

    Args:
        classes: int, the number of classes, without the ignored one.
        ignore_class: int. Default 255.
        name: str or None.
    """

    _direction = "up"  # read by Keras: ModelCheckpoint and EarlyStopping look for the largest value

    def __init__(self, classes: int, ignore_class: int = IGNORE_CLASS, name: str | None = None,
                 dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.classes = checks.positive_integer("classes", classes, "Count the classes without the ignore class.")
        self.ignore_class = ignore_class
        self.matrix = self.add_variable((self.classes, self.classes), "zeros", dtype="int64", name="matrix")
        self.outside = self.add_variable((), "zeros", dtype="int64", name="outside")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        labels = _without_channel(ops.cast(ops.convert_to_tensor(y_true), "int32"))
        predictions = self._ids(ops.convert_to_tensor(y_pred))
        _check_shapes(labels, predictions)
        counted = ops.not_equal(labels, self.ignore_class)
        if sample_weight is not None:
            counted = ops.logical_and(counted, _has_weight(sample_weight))
        counts = self._pair_counts(labels, predictions, counted)
        cells = self.classes ** 2
        _refuse_unknown_ids(labels, predictions, counted, counts[cells + 1:], classes=self.classes,
                            ignore_class=self.ignore_class)
        self.matrix.assign_add(ops.reshape(counts[:cells], (self.classes, self.classes)))
        self.outside.assign_add(ops.sum(counts[cells + 1:]))

    def confusion(self) -> np.ndarray:
        """Return the matrix so far, NumPy int64 `[classes, classes]`, `matrix[label, prediction]`."""
        return np.asarray(ops.convert_to_numpy(self.matrix), np.int64)

    def get_config(self) -> Config:
        return {"classes": self.classes, "ignore_class": self.ignore_class, "name": self.name, "dtype": self.dtype}

    def _ids(self, predictions):
        if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(predictions.dtype)):
            return _without_channel(ops.cast(predictions, "int32"))
        if len(predictions.shape) != 4 or predictions.shape[-1] != self.classes:
            raise ValueError(checks.sentence(
                "predictions", f"must be logits [B, H, W, {self.classes}] or integer ids [B, H, W]",
                tuple(predictions.shape), "Make `classes` of the metric that of the model."))
        return most_likely_class(predictions)

    def _pair_counts(self, labels, predictions, counted):
        """Count the pairs: classes² cells, then pixels left out, unknown label ids, unknown predicted ids."""
        cells = self.classes ** 2
        bins = labels * self.classes + predictions
        bins = ops.where((predictions >= 0) & (predictions < self.classes), bins, cells + 2)
        bins = ops.where((labels >= 0) & (labels < self.classes), bins, cells + 1)
        return _bin_counts(ops.reshape(ops.where(counted, bins, cells), (-1,)), cells + 3)

    def _known(self, value):
        """Return `value`, or NaN if an unknown id was seen."""
        return ops.where(self.outside > 0, float("nan"), value)

    def _parts(self):
        """Return hits, labelled and predicted pixels of each class, float `[classes]`; summed as integers."""
        hit = ops.diagonal(self.matrix)
        parts = hit, ops.sum(self.matrix, axis=1), ops.sum(self.matrix, axis=0)
        return tuple(ops.cast(part, self.dtype) for part in parts)


def most_likely_class(logits: Tensor) -> Tensor:
    """Return the argmax over the last axis, int32 `[B, H, W]`; the first of equal classes wins."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.argmax(logits, axis=-1, output_type=tf.int32)
    return ops.cast(ops.argmax(logits, axis=-1), "int32")


def _without_channel(ids):
    return ops.squeeze(ids, -1) if len(ids.shape) == 4 and ids.shape[-1] == 1 else ids  # [B, H, W]


def _has_weight(sample_weight):
    """Return where the weight is not 0, bool that broadcasts against `[B, H, W]`."""
    weights = ops.convert_to_tensor(sample_weight)
    an_image = len(weights.shape) == 1 or (len(weights.shape) == 2 and weights.shape[-1] == 1)
    weights = ops.reshape(weights, (-1, 1, 1)) if an_image else _without_channel(weights)
    return ops.not_equal(weights, 0)


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
    return ops.cast(ops.bincount(bins, minlength=count)[:count], "int64")


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
