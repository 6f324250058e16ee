"""Keras metrics of one int64 confusion matrix over the whole dataset. Arguments of all: `ConfusionMetric`."""

from collections.abc import Sequence

import keras
from keras import ops

from kseg import checks, tasks
from kseg.labels import IGNORE_CLASS
from kseg.metrics.confusion_metric import ConfusionMetric
from kseg.types import Config, Tensor


class _ScoreMetric(ConfusionMetric):
    """A ConfusionMetric with one number as its result: `key` is its name in logs, `score` computes it."""

    key = None
    of_ids = False  # whether `score` is of every id, a background too

    def __init__(self, classes: int, ignore_class: int = IGNORE_CLASS, name: str | None = None,
                 dtype: str | None = None, task: str = "multiclass", threshold: tasks.Threshold = None):
        super().__init__(classes, ignore_class, name or self.key, dtype, task, threshold)

    def result(self) -> Tensor:
        return self._known(self.score(*self._parts(self.of_ids)))

    @staticmethod
    def score(hit: Tensor, labelled: Tensor, predicted: Tensor) -> Tensor:
        """Return the score from the pixels of each class, float `[classes]`: right, labelled, predicted."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="kseg")
class MeanIoU(_ScoreMetric):
    """Mean intersection over union, over the classes that are labelled or predicted."""

    key = "mean_iou"

    @staticmethod
    def score(hit: Tensor, labelled: Tensor, predicted: Tensor) -> Tensor:
        return _mean_ratio(hit, labelled + predicted - hit)


@keras.saving.register_keras_serializable(package="kseg")
class MeanDice(_ScoreMetric):
    """Mean Dice coefficient, over the classes that are labelled or predicted."""

    key = "mean_dice"

    @staticmethod
    def score(hit: Tensor, labelled: Tensor, predicted: Tensor) -> Tensor:
        return _mean_ratio(2 * hit, labelled + predicted)


@keras.saving.register_keras_serializable(package="kseg")
class PixelAccuracy(_ScoreMetric):
    """Share of the counted pixels whose class is right ("global accuracy")."""

    key = "pixel_accuracy"
    of_ids = True

    @staticmethod
    def score(hit: Tensor, labelled: Tensor, predicted: Tensor) -> Tensor:
        return ops.sum(hit) / ops.sum(labelled)


@keras.saving.register_keras_serializable(package="kseg")
class MeanClassAccuracy(_ScoreMetric):
    """Mean recall, over the classes that are labelled ("class average accuracy")."""

    key = "mean_class_accuracy"

    @staticmethod
    def score(hit: Tensor, labelled: Tensor, predicted: Tensor) -> Tensor:
        return _mean_ratio(hit, labelled)


@keras.saving.register_keras_serializable(package="kseg")
class FrequencyWeightedIoU(_ScoreMetric):
    """Intersection over union weighted by the labelled pixels of a class."""

    key = "frequency_weighted_iou"

    @staticmethod
    def score(hit: Tensor, labelled: Tensor, predicted: Tensor) -> Tensor:
        return ops.sum(labelled * hit / ops.maximum(labelled + predicted - hit, 1)) / ops.sum(labelled)


@keras.saving.register_keras_serializable(package="kseg")
class PerClassIoU(ConfusionMetric):
    """Intersection over union of every class: `result()` is a dict `iou_<class name>` -> float, NaN where absent.

    In the logs of `fit` each class has its own entry.

    Args:
        classes: int, the number of classes.
        class_names: sequence of str, or None for the ids.
        ignore_class: int. Default 255.
        name: str.
    """

    def __init__(self, classes: int, class_names: Sequence[str] | None = None, ignore_class: int = IGNORE_CLASS,
                 name: str = "per_class_iou", dtype: str | None = None, task: str = "multiclass",
                 threshold: tasks.Threshold = None):
        super().__init__(classes, ignore_class, name, dtype, task, threshold)
        self.class_names = [str(one) for one in (range(classes) if class_names is None else class_names)]
        if len(self.class_names) != classes:
            raise ValueError(checks.sentence(
                "class_names", f"must hold {classes} names", self.class_names, "Name each class once."))

    def result(self) -> dict[str, Tensor]:
        hit, labelled, predicted = self._parts()
        union = labelled + predicted - hit
        iou = self._known(ops.where(union > 0, hit / ops.maximum(union, 1), float("nan")))
        return {f"iou_{name}": iou[index] for index, name in enumerate(self.class_names)}

    def get_config(self) -> Config:
        return {**super().get_config(), "class_names": self.class_names}


@keras.saving.register_keras_serializable(package="kseg")
class SegmentationScores(ConfusionMetric):
    """All mean scores from one matrix: `result()` is a dict, each entry a log of its own in `fit`.

    Keys: `mean_iou`, `pixel_accuracy`, `mean_class_accuracy`, `frequency_weighted_iou`, `mean_dice`. Monitoring one
    in a callback takes `mode="max"`, for Keras looks for metrics by the name of the object.
    """

    def __init__(self, classes: int, ignore_class: int = IGNORE_CLASS, name: str = "segmentation_scores",
                 dtype: str | None = None, task: str = "multiclass", threshold: tasks.Threshold = None):
        super().__init__(classes, ignore_class, name, dtype, task, threshold)

    def result(self) -> dict[str, Tensor]:
        return {metric.key: self._known(metric.score(*self._parts(metric.of_ids))) for metric in (
            MeanIoU, PixelAccuracy, MeanClassAccuracy, FrequencyWeightedIoU, MeanDice)}


def _mean_ratio(above, below):
    """Return the mean of above / below over the classes where below is not 0; NaN if there is none."""
    present = ops.cast(below > 0, below.dtype)
    return ops.sum(above / ops.maximum(below, 1)) / ops.sum(present)
