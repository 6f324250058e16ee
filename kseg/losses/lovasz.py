"""The Lovász extension of the Jaccard index as a loss: on softmax errors, or on the hinge of each logit.

The slope of the extension is written out instead of being a difference of neighbours: adding a labelled pixel of
weight w to the misses raises the Jaccard loss by w / union, adding another by intersection * w / (union * (union
before)). Weights make the Jaccard index one of weighted pixels; ignored pixels weigh 0.
"""

import keras
from keras import ops

from kseg import checks, replicas
from kseg.labels import IGNORE_CLASS
from kseg.losses.region import class_probabilities, mean_over_classes, region_weights
from kseg.losses.segmentation_loss import SegmentationLoss
from kseg.types import Config, Tensor, Weights


@keras.saving.register_keras_serializable(package="kseg")
class LovaszSoftmax(SegmentationLoss):
    """The Lovász extension of the Jaccard index on softmax errors, the mean over the classes present.

    Reference: Berman et al., The Lovász-Softmax loss, CVPR 2018, arXiv:1705.08790, §3 and Algorithm 1.

    Args:
        per_image: bool, whether images are measured one by one. Default False (all pixels of the batch together).
        class_weights: sequence of floats, one per class (`kseg.data.class_weights`), of the mean over classes, or None.
        ignore_class: int. Default 255.
        name: str.
    """

    def __init__(self, per_image: bool = False, class_weights: Weights = None, ignore_class: int = IGNORE_CLASS,
                 name: str = "lovasz_softmax"):
        super().__init__(ignore_class, name)
        self.per_image = bool(per_image)
        self.class_weights = checks.weights_of_classes("class_weights", class_weights)

    def measure(self, labels: Tensor, logits: Tensor, valid: Tensor, weights: Tensor | None) -> Tensor:
        truth = ops.one_hot(labels, logits.shape[-1], dtype="float32")
        weights = ops.expand_dims(region_weights(valid, weights), -1)  # [B, H, W, 1]
        errors = ops.abs(truth - class_probabilities(logits, valid))
        loss, labelled, _ = _extension(errors, truth, weights, self.per_image)
        return mean_over_classes(loss, labelled > 0, self.class_weights)

    def get_config(self) -> Config:
        return {**super().get_config(), "per_image": self.per_image, "class_weights": self.class_weights}


@keras.saving.register_keras_serializable(package="kseg")
class LovaszHinge(SegmentationLoss):
    """The Lovász extension of the Jaccard index on the hinge of every logit, `max(0, 1 - logit)` where the label is 1.

    For the tasks "binary" and "multilabel". The mean over the classes; one without a labelled pixel costs the hinge of
    its largest logit. It wants logits, not probabilities, and gives none: thresholds other than 0.5 mean little after
    training with it alone.
    Reference: Berman et al., The Lovász-Softmax loss, CVPR 2018, arXiv:1705.08790, §2, which takes images one by one.

    Args:
        per_image: bool, whether images are measured one by one. Default False (all pixels of the batch together).
        class_weights: sequence of floats, one per class (`kseg.data.class_weights`), of the mean over classes, or None.
        ignore_class: int. Default 255.
        name: str.
    """

    def __init__(self, per_image: bool = False, class_weights: Weights = None, ignore_class: int = IGNORE_CLASS,
                 name: str = "lovasz_hinge"):
        super().__init__(ignore_class, name, "multilabel")
        self.per_image = bool(per_image)
        self.class_weights = checks.weights_of_classes("class_weights", class_weights)

    def measure(self, labels: Tensor, logits: Tensor, valid: Tensor, weights: Tensor | None) -> Tensor:
        truth = ops.cast(labels, "float32")
        weights = ops.broadcast_to(region_weights(valid, weights), ops.shape(truth))
        errors = 1 - ops.where(valid, logits, 0.0) * (2 * truth - 1)
        loss, _, counted = _extension(errors, truth, weights, self.per_image)
        return mean_over_classes(loss, counted > 0, self.class_weights)

    def get_config(self) -> Config:
        return {**super().get_config(), "per_image": self.per_image, "class_weights": self.class_weights}


def _extension(errors, truth, weights, per_image):
    """Return the loss of each class, and its weights labelled and in all, float32 `[groups, classes]`.

    Args:
        errors, truth: float32 `[B, H, W, classes]`; errors below 0 count 0.
        weights: float32 `[B, H, W, classes]` or `[B, H, W, 1]`.
        per_image: bool, whether every image is a group of its own; else there is one.
    """
    if not per_image:
        errors, truth, weights = map(replicas.joined, (errors, truth, weights))
    groups = ops.shape(errors)[0] if per_image else 1
    errors, truth, weights = (
        ops.transpose(ops.reshape(part, (groups, -1, part.shape[-1])), (0, 2, 1))  # [groups, classes, pixels]
        for part in (errors, truth, weights))
    order = ops.argsort(-ops.stop_gradient(errors), axis=-1)
    weights = ops.broadcast_to(weights, ops.shape(errors))
    truth, weights, errors = (ops.take_along_axis(part, order, axis=-1) for part in (truth, weights, errors))
    labelled = ops.sum(weights * truth, axis=-1, keepdims=True)
    missed = weights * truth
    intruding = weights * (1 - truth)
    intersection = labelled - ops.cumsum(missed, axis=-1)
    union = ops.maximum(labelled + ops.cumsum(intruding, axis=-1), 1e-12)
    before = union - intruding
    share = ops.where(before > 1e-12, intersection / ops.maximum(before, 1e-12), 1.0)  # 1: the first, none labelled
    slope = missed / union + share * intruding / union
    loss = ops.sum(ops.relu(errors) * ops.stop_gradient(slope), axis=-1)
    return loss, labelled[..., 0], ops.sum(weights, axis=-1)
