"""Losses that are a mean over pixels: cross-entropy (weighted, smoothed, hard-example mining) and focal loss.

Those of the softmax, where a pixel has one class. Those of each logit's own sigmoid are in `sigmoid`.
"""

import math

import keras
from keras import ops

from kseg import checks, replicas
from kseg.labels import IGNORE_CLASS
from kseg.losses.segmentation_loss import SegmentationLoss
from kseg.types import Config, Tensor, Weights


@keras.saving.register_keras_serializable(package="kseg")
class CrossEntropy(SegmentationLoss):
    """Softmax cross-entropy, the mean over the pixels that are not ignored.

    With `class_weights` the loss of a pixel is multiplied by the weight of its class; the divisor stays the number of
    pixels (SegNet, PAMI 2017, §3.1.3: median frequency balancing). With label smoothing the target is
    `(1 - s) * one_hot + s / classes`. Online hard example mining keeps only the hardest pixels of a batch, those whose
    plain cross-entropy is largest, and takes the mean over these: with `ohem_fraction` that share of the valid pixels
    (ties with the last one stay), with `ohem_threshold` the pixels whose true class has a probability below it, with
    both whichever keeps more.

    Args:
        class_weights: sequence of floats, one per class, or None.
        label_smoothing: float in [0, 1). Default 0.
        ohem_fraction: float in (0, 1] or None.
        ohem_threshold: float in (0, 1), a probability, or None.
        ignore_class: int. Default 255.
        name: str.
    Raises:
        ValueError: if a number is outside its range, or the count of `class_weights` is not that of the logits.
    """

    def __init__(self, class_weights: Weights = None, label_smoothing: float = 0.0, ohem_fraction: float | None = None,
                 ohem_threshold: float | None = None, ignore_class: int = IGNORE_CLASS, name: str = "cross_entropy"):
        super().__init__(ignore_class, name)
        self.class_weights = checks.weights_of_classes("class_weights", class_weights)
        self.label_smoothing = checks.number_between("label_smoothing", label_smoothing, 0, 1, exclude=(1,))
        self.ohem_fraction = ohem_fraction
        self.ohem_threshold = ohem_threshold
        check_mining(self)

    def measure(self, labels: Tensor, logits: Tensor, valid: Tensor, weights: Tensor | None) -> Tensor:
        plain = pixel_cross_entropy(labels, logits, valid)
        values = plain
        if self.label_smoothing:
            values = (1 - self.label_smoothing) * plain + self.label_smoothing * _uniform_cross_entropy(logits, valid)
        if self.class_weights is not None:
            values = values * _class_weight_map("class_weights", self.class_weights, labels, logits)
        valid = hard_pixels(self, plain, valid)
        return mean_of_valid(values, valid, weights)

    def get_config(self) -> Config:
        return {**super().get_config(), "class_weights": self.class_weights, "label_smoothing": self.label_smoothing,
                "ohem_fraction": self.ohem_fraction, "ohem_threshold": self.ohem_threshold}


@keras.saving.register_keras_serializable(package="kseg")
class Focal(SegmentationLoss):
    """Focal loss `-alpha[y] * (1 - p_y)^gamma * log p_y` of the softmax, the mean over the pixels not ignored.

    Reference: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, arXiv:1708.02002, §3.2; gamma of Table 1b.

    Args:
        gamma: float of at least 0. Default 2; 0 gives cross-entropy.
        alpha: sequence of floats, one per class, or None for 1.
        ignore_class: int. Default 255.
        name: str.
    Raises:
        ValueError: if `gamma` is negative or the count of `alpha` is not that of the logits.
    """

    def __init__(self, gamma: float = 2.0, alpha: Weights = None, ignore_class: int = IGNORE_CLASS,
                 name: str = "focal"):
        super().__init__(ignore_class, name)
        self.gamma = checks.number_between("gamma", gamma, 0, 100)
        self.alpha = checks.weights_of_classes("alpha", alpha)

    def measure(self, labels: Tensor, logits: Tensor, valid: Tensor, weights: Tensor | None) -> Tensor:
        values = pixel_cross_entropy(labels, logits, valid)
        if self.gamma:
            wrong = ops.maximum(-ops.expm1(-values), 1e-7)  # 1 - p without cancellation; > 0 keeps the power's slope
            values = ops.power(wrong, self.gamma) * values
        if self.alpha is not None:
            values = values * _class_weight_map("alpha", self.alpha, labels, logits)
        return mean_of_valid(values, valid, weights)

    def get_config(self) -> Config:
        return {**super().get_config(), "gamma": self.gamma, "alpha": self.alpha}


def pixel_cross_entropy(labels: Tensor, logits: Tensor, valid: Tensor) -> Tensor:
    """Return `-log softmax(logits)[label]`, float32 `[B, H, W]`, 0 where not `valid`, and no gradient there.

    Args:
        labels: int32 `[B, H, W]`, in range everywhere.
        logits: float32 `[B, H, W, classes]`; anything, NaN included, where not `valid`.
        valid: bool `[B, H, W]`.
    """
    if keras.backend.backend() == "tensorflow":
        return _fused_cross_entropy(labels, logits, valid)
    logits = ops.where(ops.expand_dims(valid, -1), logits, 0.0)
    values = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return ops.where(valid, values, 0.0)


def _fused_cross_entropy(labels, logits, valid):
    """TensorFlow's fused kernel; the mask multiplies its slope, so that no pass over masked logits is needed."""
    import tensorflow as tf

    classes = logits.shape[-1]

    @tf.custom_gradient
    def cross_entropy(values):
        loss, slope = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(
            features=tf.reshape(values, (-1, classes)), labels=tf.reshape(labels, (-1,)))

        def gradient(upstream):
            upstream = tf.reshape(tf.where(valid, upstream, 0.0), (-1, 1))
            return tf.reshape(tf.math.multiply_no_nan(slope, upstream), tf.shape(values))  # [B, H, W, classes]

        return tf.where(valid, tf.reshape(loss, tf.shape(labels)), 0.0), gradient  # [B, H, W]

    return cross_entropy(logits)


def _uniform_cross_entropy(logits, valid):
    """Return the cross-entropy against the uniform distribution, float32 `[B, H, W]`, 0 where not valid."""
    logits = ops.where(ops.expand_dims(valid, -1), logits, 0.0)
    values = ops.logsumexp(logits, axis=-1) - ops.mean(logits, axis=-1)
    return ops.where(valid, values, 0.0)


def class_factors(name: str, values: Weights, classes: int) -> Tensor:
    """Return the argument `name` as float32 `[classes]`; raises if their count is another."""
    if len(values) != classes:
        raise ValueError(checks.sentence(
            name, f"must hold {classes} numbers, one per class of the logits", values,
            "Give each class a weight, 1.0 for no change."))
    return ops.convert_to_tensor(values, "float32")


def _class_weight_map(name, values, labels, logits):
    return ops.take(class_factors(name, values, logits.shape[-1]), labels, axis=0)  # [B, H, W]


def check_mining(loss: SegmentationLoss) -> None:
    """Check the attributes `ohem_fraction` and `ohem_threshold` of a loss."""
    for option, exclude in (("ohem_fraction", (0,)), ("ohem_threshold", (0, 1))):
        if getattr(loss, option) is not None:
            setattr(loss, option, checks.number_between(option, getattr(loss, option), 0, 1, exclude=exclude))


def hard_pixels(loss: SegmentationLoss, plain: Tensor, valid: Tensor) -> Tensor:
    """Return which of the valid pixels hard-example mining keeps, as the attributes of `loss` say; bool.

    Args:
        plain: float32, the cross-entropy of each pixel, unweighted.
        valid: bool of the same shape.
    """
    if loss.ohem_fraction is None and loss.ohem_threshold is None:
        return valid
    plain = ops.stop_gradient(plain)
    bound = float("inf") if loss.ohem_threshold is None else -math.log(max(loss.ohem_threshold, 1e-30))
    if loss.ohem_fraction is not None:
        ascending = ops.sort(replicas.joined(ops.reshape(ops.where(valid, plain, -1.0), (-1,))))
        count, = replicas.summed([ops.sum(ops.cast(valid, "int32"))])
        kept = ops.cast(ops.ceil(loss.ohem_fraction * ops.cast(count, "float32")), "int32")
        first = ops.shape(ascending)[0] - ops.maximum(kept, 1)
        bound = ops.minimum(bound, ops.take(ascending, first))
    return ops.logical_and(valid, plain >= bound)


def mean_of_valid(values: Tensor, valid: Tensor, weights: Tensor | None) -> Tensor:
    """Return the sum of the weighted values over the number of valid pixels; 0 if there is none."""
    values = ops.where(valid, values, 0.0)
    if weights is not None:
        values = values * weights
    total, count = replicas.summed([ops.sum(values), ops.sum(ops.cast(valid, "float32"))])
    return total / ops.maximum(count, 1.0)
