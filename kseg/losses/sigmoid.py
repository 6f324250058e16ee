"""Losses of logits that are decided one by one: binary cross-entropy and binary focal loss, a mean over pixels.

For the tasks "binary" (one class) and "multilabel": each logit's sigmoid is the probability of its class.
"""

import numbers
from collections.abc import Sequence

import keras
from keras import ops

from kseg import checks
from kseg.labels import IGNORE_CLASS
from kseg.losses.pixel import check_mining, class_factors, hard_pixels, mean_of_valid
from kseg.losses.segmentation_loss import SegmentationLoss
from kseg.types import Config, Tensor, Weights


@keras.saving.register_keras_serializable(package="kseg")
class BinaryCrossEntropy(SegmentationLoss):
    """Sigmoid cross-entropy of every logit, the mean over the labels 0 and 1; 255 is not counted, class by class.

    With label smoothing the target is `(1 - s) * label + s / 2`. Online hard example mining as in `CrossEntropy`, over
    the labels of all classes.

    Args:
        positive_weights: float, or a sequence with one per class: what pixels labelled 1 count, where those labelled 0
            count 1. None for 1.
        class_weights: sequence of floats, one per class, or None.
        label_smoothing: float in [0, 1). Default 0.
        ohem_fraction: float in (0, 1] or None.
        ohem_threshold: float in (0, 1), a probability, or None.
        ignore_class: int. Default 255.
        name: str.
    Raises:
        ValueError: if a number is outside its range, or the count of weights is not that of the logits.
    """

    def __init__(self, positive_weights: float | Weights = None, class_weights: Weights = None,
                 label_smoothing: float = 0.0, ohem_fraction: float | None = None, ohem_threshold: float | None = None,
                 ignore_class: int = IGNORE_CLASS, name: str = "binary_cross_entropy"):
        super().__init__(ignore_class, name, "multilabel")
        self.positive_weights = checks.weights_of_classes("positive_weights", _listed(positive_weights))
        self.class_weights = checks.weights_of_classes("class_weights", class_weights)
        self.label_smoothing = checks.number_between("label_smoothing", label_smoothing, 0, 1, exclude=(1,))
        self.ohem_fraction = ohem_fraction
        self.ohem_threshold = ohem_threshold
        check_mining(self)

    def measure(self, labels: Tensor, logits: Tensor, valid: Tensor, weights: Tensor | None) -> Tensor:
        logits, truth = ops.where(valid, logits, 0.0), ops.cast(labels, "float32")
        of_one, of_zero = ops.softplus(-logits), ops.softplus(logits)  # what the labels 1 and 0 cost
        plain = truth * of_one + (1 - truth) * of_zero
        if self.positive_weights is not None:
            of_one = of_one * _spread("positive_weights", self.positive_weights, logits)
        target = (1 - self.label_smoothing) * truth + self.label_smoothing / 2
        values = target * of_one + (1 - target) * of_zero
        if self.class_weights is not None:
            values = values * class_factors("class_weights", self.class_weights, logits.shape[-1])
        return mean_of_valid(values, hard_pixels(self, plain, valid), weights)

    def get_config(self) -> Config:
        return {**super().get_config(), "positive_weights": self.positive_weights, "class_weights": self.class_weights,
                "label_smoothing": self.label_smoothing, "ohem_fraction": self.ohem_fraction,
                "ohem_threshold": self.ohem_threshold}


@keras.saving.register_keras_serializable(package="kseg")
class BinaryFocal(SegmentationLoss):
    """Focal loss `-alpha_y * (1 - p_y)^gamma * log p_y` of the sigmoid, the mean over the labels 0 and 1.

    alpha_1 is `alpha` and alpha_0 is `1 - alpha`.
    Reference: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, arXiv:1708.02002, §3.2; its best are
    gamma 2 and alpha 0.25 (Table 1b).

    Args:
        gamma: float of at least 0. Default 2; 0 gives cross-entropy.
        alpha: float in [0, 1], or None: 1 for both labels.
        class_weights: sequence of floats, one per class, or None.
        ignore_class: int. Default 255.
        name: str.
    Raises:
        ValueError: if a number is outside its range, or the count of weights is not that of the logits.
    """

    def __init__(self, gamma: float = 2.0, alpha: float | None = None, class_weights: Weights = None,
                 ignore_class: int = IGNORE_CLASS, name: str = "binary_focal"):
        super().__init__(ignore_class, name, "multilabel")
        self.gamma = checks.number_between("gamma", gamma, 0, 100)
        self.alpha = None if alpha is None else checks.number_between("alpha", alpha, 0, 1)
        self.class_weights = checks.weights_of_classes("class_weights", class_weights)

    def measure(self, labels: Tensor, logits: Tensor, valid: Tensor, weights: Tensor | None) -> Tensor:
        logits, truth = ops.where(valid, logits, 0.0), ops.cast(labels, "float32")
        towards = logits * (2 * truth - 1)  # large where the label is right
        values = ops.softplus(-towards)
        if self.gamma:
            values = ops.exp(-self.gamma * ops.softplus(towards)) * values  # (1 - p) is sigmoid(-towards)
        if self.alpha is not None:
            values = values * (self.alpha * truth + (1 - self.alpha) * (1 - truth))
        if self.class_weights is not None:
            values = values * class_factors("class_weights", self.class_weights, logits.shape[-1])
        return mean_of_valid(values, valid, weights)

    def get_config(self) -> Config:
        return {**super().get_config(), "gamma": self.gamma, "alpha": self.alpha, "class_weights": self.class_weights}


def _listed(weights: float | Sequence[float] | None):
    """Return one number as the list that it stands for."""
    return [float(weights)] if isinstance(weights, numbers.Real) and not isinstance(weights, bool) else weights


def _spread(name, weights, logits):
    """Return weights as float32 `[classes]`; one stands for all."""
    classes = logits.shape[-1]
    return class_factors(name, weights * classes if len(weights) == 1 else weights, classes)
