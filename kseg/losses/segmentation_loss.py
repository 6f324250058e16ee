"""What every loss of this package shares: integer labels, ignored pixels, weights, float32, sums of losses."""

import numbers
from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from kseg import checks, replicas, tasks
from kseg.labels import IGNORE_CLASS
from kseg.types import Config, Tensor


class SegmentationLoss(keras.losses.Loss):
    """A loss between integer labels and logits that does not see pixels labelled `ignore_class`.

    Called as `loss(labels, logits, sample_weight=None)`: labels are integers `[B, H, W]` (or `[B, H, W, 1]`), logits
    `[B, H, W, classes]` of any float dtype, weights `[B]`, `[B, H, W]` or `[B, H, W, 1]`. The result is one float32
    number, computed in float32 under every dtype policy. A batch in which every pixel is ignored costs 0, with zero
    gradients. Ignored pixels get a gradient of exactly 0, whatever their logits are, NaN included.

    Where each logit is decided by itself (tasks "binary" and "multilabel"), labels are 0, 1 or `ignore_class`: as
    above for one class, `[B, H, W, classes]` for any number, each class with ignored pixels of its own; weights may
    have the shape of such labels too.

    An id outside `[0, classes)` other than `ignore_class` raises (`ValueError` eagerly, `InvalidArgumentError` in a
    TensorFlow graph; XLA and other backends cannot raise on values, there such a pixel makes the loss NaN).

    In a `tf.distribute` strategy the loss is that of the batch of all replicas (`kseg.replicas`), each of which takes
    an equal part of it, as Keras expects.

    Args:
        ignore_class: int, the id that is not counted. Default 255.
        name: str or None.
        task: "multiclass", "binary" or "multilabel", what the labels are.
    """

    def __init__(self, ignore_class: int = IGNORE_CLASS, name: str | None = None, task: str = "multiclass"):
        super().__init__(name=name, dtype="float32")
        self.ignore_class = ignore_class
        self.task = tasks.of(task)

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        with keras.name_scope(self.name):
            return _shared_by_replicas(self._measured(y_true, y_pred, sample_weight))

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the unweighted loss of a batch, float32 `[]`."""
        return self._measured(y_true, y_pred, None)

    def measure(self, labels: Tensor, logits: Tensor, valid: Tensor, weights: Tensor | None) -> Tensor:
        """Return the loss, float32 `[]`; subclasses compute it here, from sums over all replicas (`kseg.replicas`).

        Args:
            labels: int32 `[B, H, W]` in `[0, classes)`; ignored pixels hold 0. Where each logit is decided by itself,
                0 or 1 `[B, H, W, classes]`.
            logits: float32 `[B, H, W, classes]`.
            valid: bool of the shape of `labels`, False where ignored.
            weights: float32, broadcasts against `labels`, or None for 1 at every pixel.
        """
        raise NotImplementedError

    def _measured(self, y_true, y_pred, sample_weight):
        logits = ops.cast(ops.convert_to_tensor(y_pred), "float32")
        labels = _label_map(y_true, logits, self.task)
        valid = ops.not_equal(labels, self.ignore_class)
        labels = ops.where(valid, labels, 0)
        labels, poison = _refuse_unknown_ids(labels, self.task.ids(logits.shape[-1]), self.ignore_class)
        loss = self.measure(labels, logits, valid, _pixel_weights(sample_weight, self.task))
        return loss if poison is None else loss + poison

    def get_config(self) -> Config:
        return {"ignore_class": self.ignore_class, "name": self.name}

    def __add__(self, other: keras.losses.Loss) -> "WeightedSum":
        return WeightedSum(_terms(self) + _terms(other))

    def __radd__(self, other: Any) -> "SegmentationLoss":
        return self if other == 0 else NotImplemented  # so that the built-in sum() works

    def __mul__(self, weight: float) -> "WeightedSum":
        if not isinstance(weight, numbers.Real):
            return NotImplemented
        return WeightedSum([(loss, own * weight) for loss, own in _terms(self)])

    __rmul__ = __mul__


@keras.saving.register_keras_serializable(package="kseg")
class WeightedSum(SegmentationLoss):
    """The sum of losses, each times its weight; `Dice() + 0.5 * CrossEntropy()` makes one too.

    Args:
        terms: sequence of `(loss, weight)`; any `keras.losses.Loss` on the same labels and logits may stand in it.
        name: str or None.
    Raises:
        TypeError: if a term is not a pair of a loss and a number.
    """

    def __init__(self, terms: Iterable[tuple[keras.losses.Loss, float]], name: str = "weighted_sum"):
        super().__init__(name=name)
        self.terms = tuple((_deserialized(loss), float(weight)) for loss, weight in map(_pair, terms))

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        return sum(weight * loss(y_true, y_pred, sample_weight=sample_weight) for loss, weight in self.terms)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self(y_true, y_pred)

    def get_config(self) -> Config:
        terms = [[keras.saving.serialize_keras_object(loss), weight] for loss, weight in self.terms]
        return {"terms": terms, "name": self.name}


def _pair(term):
    legal = isinstance(term, (tuple, list)) and len(term) == 2 and isinstance(term[1], numbers.Real)
    if not legal or not isinstance(term[0], (keras.losses.Loss, dict)):
        raise TypeError(checks.sentence(
            "terms", "must be pairs of a keras.losses.Loss and a number", term,
            "Write for example WeightedSum([(Dice(), 1.0), (CrossEntropy(), 0.5)])."))
    return term


def _deserialized(loss):
    return keras.saving.deserialize_keras_object(loss) if isinstance(loss, dict) else loss


def _terms(loss):
    return list(loss.terms) if isinstance(loss, WeightedSum) else [(loss, 1.0)]


def _label_map(y_true, logits, task):
    """Return the labels as int32 `[B, H, W]`, refusing shapes that cannot belong to the logits.

    Where each logit is decided by itself, they are `[B, H, W, classes]`.
    """
    labels = ops.cast(ops.convert_to_tensor(y_true), "int32")
    wanted = tuple(logits.shape)
    if not task.exclusive:
        return _labels_per_logit(labels, wanted, task)
    if len(labels.shape) == 4 and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, -1)  # [B, H, W]
    fits = len(wanted) == 4 and len(labels.shape) == 3 and all(
        one is None or other is None or one == other for one, other in zip(labels.shape, wanted))
    if not fits:
        raise ValueError(checks.sentence(
            "labels", f"must be integer ids [B, H, W] for logits of shape {wanted}", tuple(labels.shape),
            "Pass class ids, not one-hot maps, at the size of the logits." if len(labels.shape) != 3 else
            "Resize the logits to the labels; crop the labels of a network of valid convolutions."))
    return labels


def _labels_per_logit(labels, wanted, task):
    if len(labels.shape) == 3 and wanted[-1] == 1:
        labels = ops.expand_dims(labels, -1)  # [B, H, W, 1]
    legal = len(wanted) == 4 and (task.most is None or wanted[-1] <= task.most)
    fits = legal and len(labels.shape) == 4 and all(
        one is None or other is None or one == other for one, other in zip(labels.shape, wanted))
    if not fits:
        shape = "[B, H, W] and logits [B, H, W, 1]" if task.background else "of the shape of the logits"
        raise ValueError(checks.sentence(
            "labels", f"must be 0, 1 or 255, {shape} for task={task.name!r}, where the logits are {wanted}",
            tuple(labels.shape), "Pass one map per class, at the size of the logits."))
    return labels


def _pixel_weights(sample_weight, task):
    """Return weights that broadcast against the labels, float32, or None."""
    if sample_weight is None:
        return None
    weights = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    rank = len(weights.shape)
    if not task.exclusive:
        if rank == 4:
            return weights
        weights = _pixel_weights(weights, tasks.of("multiclass"))
        return ops.expand_dims(weights, -1) if len(weights.shape) == 3 else weights  # [B, H, W, 1]
    if rank == 1 or (rank == 2 and weights.shape[-1] == 1):
        return ops.reshape(weights, (-1, 1, 1))  # [B, 1, 1]
    if rank == 4 and weights.shape[-1] == 1:
        return ops.squeeze(weights, -1)  # [B, H, W]
    if rank in (0, 3):
        return weights
    raise ValueError(checks.sentence(
        "sample_weight", "must have shape [B], [B, H, W] or [B, H, W, 1]", tuple(weights.shape),
        "Give one weight per image or one per pixel."))


def _refuse_unknown_ids(labels, classes, ignore_class):
    """Return `(labels, poison)`: raise where the backend can, else poison is 0 or, with an unknown id, NaN."""
    lowest, highest = ops.min(labels), ops.max(labels)
    rule = f"must hold ids between 0 and {classes - 1}, or {ignore_class} for pixels to ignore"
    advice = "Map the ids of the dataset to the classes of the model, or raise `classes`."
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        legal = (lowest >= 0) & (highest < classes)
        if not tf.executing_eagerly():
            text = checks.sentence("labels", rule, "the lowest and highest id below", advice)
            with tf.control_dependencies([tf.debugging.Assert(legal, [text, lowest, highest])]):
                labels = tf.clip_by_value(labels, 0, classes - 1)
            return labels, tf.where(legal, 0.0, float("nan"))  # XLA drops the assertion
        if not legal:
            found = (int(lowest), int(highest))
            raise ValueError(checks.sentence("labels", rule, found, advice + " Shown are the lowest and highest."))
        return labels, None
    legal = ops.logical_and(lowest >= 0, highest < classes)
    return ops.clip(labels, 0, classes - 1), ops.where(legal, 0.0, float("nan"))


def _shared_by_replicas(loss):
    """Return a replica's part of the loss, which each of them has computed for the whole batch."""
    several = replicas.count()
    return loss / several if several > 1 else loss
