"""Losses on regions: one minus an overlap of the predicted and the true region of each class."""

import keras
from keras import ops

from kseg import checks, replicas, tasks
from kseg.labels import IGNORE_CLASS
from kseg.losses.pixel import class_factors
from kseg.losses.segmentation_loss import SegmentationLoss
from kseg.types import Config, Tensor, Weights


def class_probabilities(logits: Tensor, valid: Tensor) -> Tensor:
    """Return softmax probabilities, float32 `[B, H, W, classes]`; uniform, without gradient, where not `valid`."""
    return ops.softmax(ops.where(ops.expand_dims(valid, -1), logits, 0.0), axis=-1)


def region_weights(valid: Tensor, weights: Tensor | None) -> Tensor:
    """Return the pixels' weights, float32 of the shape of `valid`, 0 where that is False."""
    counted = ops.cast(valid, "float32")
    return counted if weights is None else counted * weights


def regions(labels: Tensor, logits: Tensor, valid: Tensor, weights: Tensor | None,
            task: tasks.Task) -> tuple[Tensor, Tensor, Tensor]:
    """Return truth (0 or 1), probabilities and weights of every class, float32 `[B, H, W, classes]`.

    The arguments are those of `SegmentationLoss.measure`. The weights, 0 where not `valid`, are `[B, H, W, 1]` where a
    pixel has one class. Probabilities have no gradient where not `valid`.
    """
    weights = region_weights(valid, weights)
    if not task.exclusive:
        return ops.cast(labels, "float32"), ops.sigmoid(ops.where(valid, logits, 0.0)), weights
    truth = ops.one_hot(labels, logits.shape[-1], dtype="float32")
    return truth, class_probabilities(logits, valid), ops.expand_dims(weights, -1)


def mean_over_classes(values: Tensor, present: Tensor, class_weights: Weights) -> Tensor:
    """Return the mean of `values`, float32 `[..., classes]`, over those `present`, each as `class_weights` says."""
    counted = ops.cast(present, "float32")
    if class_weights is not None:
        counted = counted * class_factors("class_weights", class_weights, values.shape[-1])
    value, total = replicas.summed([ops.sum(values * counted), ops.sum(counted)])
    return value / ops.where(total > 0, total, 1.0)


@keras.saving.register_keras_serializable(package="kseg")
class Tversky(SegmentationLoss):
    """`(1 - TP / (TP + alpha * FP + beta * FN))^gamma` of the probabilities, the mean over the classes present.

    TP, FP and FN are sums of probabilities over all pixels of the batch that are not ignored (of each image with
    `per_image`). A class without a labelled pixel there is left out of the mean: its false positives already count as
    false negatives of the true classes. Where each logit is decided by itself they do not; there such a class counts
    if `smooth` is above 0, without which its loss is 1 whatever the logits are. Weights multiply the pixels' shares in
    TP, FP and FN.
    Reference: Salehi et al., Tversky loss function for image segmentation using 3D fully convolutional deep networks,
    MLMI 2017, arXiv:1706.05721, §2 (alpha, beta: Table 1); `gamma`: Abraham and Khan, arXiv:1810.07842, there 1/gamma.

    Args:
        alpha: float of at least 0, what a false positive costs. Default 0.3.
        beta: float above 0, what a false negative costs. Default 0.7.
        gamma: float above 0, exponent; above 1 turns to the classes done worst. Default 1.
        smooth: float of at least 0, added above and below the fraction line. Default 0.
        per_image: bool, whether images are measured one by one. Default False.
        class_weights: sequence of floats, one per class (`kseg.data.class_weights`), of the mean over classes, or None.
        ignore_class: int. Default 255.
        name: str.
        task: "multiclass" (softmax), "binary" or "multilabel" (the sigmoid of each logit).
    Raises:
        ValueError: if a number is outside its range.
    """

    def __init__(self, alpha: float = 0.3, beta: float = 0.7, gamma: float = 1.0, smooth: float = 0.0,
                 per_image: bool = False, class_weights: Weights = None, ignore_class: int = IGNORE_CLASS,
                 name: str = "tversky", task: str = "multiclass"):
        super().__init__(ignore_class, name, task)
        self.alpha = checks.number_between("alpha", alpha, 0, 100)
        self.beta = checks.number_between("beta", beta, 1e-6, 100)
        self.gamma = checks.number_between("gamma", gamma, 1e-3, 100)
        self.smooth = checks.number_between("smooth", smooth, 0, 1e9)
        self.per_image = bool(per_image)
        self.class_weights = checks.weights_of_classes("class_weights", class_weights)

    def measure(self, labels: Tensor, logits: Tensor, valid: Tensor, weights: Tensor | None) -> Tensor:
        truth, probabilities, weights = regions(labels, logits, valid, weights, self.task)
        truth, predicted = truth * weights, probabilities * weights
        sums = [ops.sum(part, axis=(1, 2)) for part in (probabilities * truth, predicted, truth)]  # [B, classes]
        hit, predicted, labelled = sums if self.per_image else replicas.summed([ops.sum(part, axis=0) for part in sums])
        below = hit + self.alpha * (predicted - hit) + self.beta * (labelled - hit) + self.smooth
        present = labelled > 0
        if self.smooth and not self.task.exclusive:
            present = ops.logical_or(present, predicted > 0)  # 0 where every pixel is ignored
        below = ops.where(present, below, 1.0)
        distance = 1 - (hit + self.smooth) / below
        if self.gamma != 1:
            distance = ops.power(ops.maximum(distance, 1e-7), self.gamma)
        return mean_over_classes(ops.where(present, distance, 0.0), present, self.class_weights)

    def get_config(self) -> Config:
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta, "gamma": self.gamma,
                "smooth": self.smooth, "per_image": self.per_image, "class_weights": self.class_weights,
                "task": self.task.name}


@keras.saving.register_keras_serializable(package="kseg")
class Dice(Tversky):
    """One minus the soft Dice coefficient `2 TP / (2 TP + FP + FN)`, the mean over the classes present.

    Reference: Milletari et al., V-Net, 3DV 2016, arXiv:1606.04797, §3 (here without the squares in the denominator).

    Args:
        smooth: float of at least 0, added above and below the fraction line of TP / (TP + FP/2 + FN/2). Default 0.
        per_image: bool, whether images are measured one by one. Default False.
        class_weights: sequence of floats, one per class (`kseg.data.class_weights`), of the mean over classes, or None.
        ignore_class: int. Default 255.
        name: str.
        task: "multiclass" (softmax), "binary" or "multilabel" (the sigmoid of each logit).
    """

    def __init__(self, smooth: float = 0.0, per_image: bool = False, class_weights: Weights = None,
                 ignore_class: int = IGNORE_CLASS, name: str = "dice", task: str = "multiclass"):
        super().__init__(0.5, 0.5, smooth=smooth, per_image=per_image, class_weights=class_weights,
                         ignore_class=ignore_class, name=name, task=task)

    def get_config(self) -> Config:
        return _without_exponents(super().get_config())


@keras.saving.register_keras_serializable(package="kseg")
class Jaccard(Tversky):
    """One minus the soft intersection over union `TP / (TP + FP + FN)`, the mean over the classes present.

    Reference: Rahman and Wang, Optimizing Intersection-Over-Union in Deep Neural Networks, ISVC 2016, eq. 3.

    Args:
        smooth: float of at least 0, added above and below the fraction line. Default 0.
        per_image: bool, whether images are measured one by one. Default False.
        class_weights: sequence of floats, one per class (`kseg.data.class_weights`), of the mean over classes, or None.
        ignore_class: int. Default 255.
        name: str.
        task: "multiclass" (softmax), "binary" or "multilabel" (the sigmoid of each logit).
    """

    def __init__(self, smooth: float = 0.0, per_image: bool = False, class_weights: Weights = None,
                 ignore_class: int = IGNORE_CLASS, name: str = "jaccard", task: str = "multiclass"):
        super().__init__(1.0, 1.0, smooth=smooth, per_image=per_image, class_weights=class_weights,
                         ignore_class=ignore_class, name=name, task=task)

    def get_config(self) -> Config:
        return _without_exponents(super().get_config())


def _without_exponents(config):
    return {key: value for key, value in config.items() if key not in ("alpha", "beta", "gamma")}
