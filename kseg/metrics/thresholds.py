"""Which threshold decides best whether a pixel has a class: counts at many thresholds at once. NumPy only."""

import numpy as np
import numpy.typing as npt

from kseg import checks
from kseg.labels import IGNORE_CLASS
from kseg.metrics.confusion import check_ids


class ThresholdCurve:
    """Counts from which the intersection over union at every threshold follows, class by class.

    For the tasks "binary" and "multilabel". The thresholds are 1/steps, 2/steps … up to 1: where a probability exceeds
    one, the pixel is predicted to have the class.

    Args:
        classes: int.
        steps: int. Default 100, thresholds from 0.01 to 0.99.
        ignore_class: int. Default 255.
    Attributes:
        thresholds: float32 `[steps - 1]`.
    """

    def __init__(self, classes: int, steps: int = 100, ignore_class: int = IGNORE_CLASS):
        self.classes = checks.positive_integer("classes", classes)
        self.thresholds = (np.arange(1, checks.positive_integer("steps", steps, minimum=2)) / steps).astype(np.float32)
        self.ignore_class = ignore_class
        # Of the pixels labelled 0 and 1 the number whose probability exceeds so many thresholds.
        self.exceeded = np.zeros((self.classes, 2, steps), np.int64)

    def update(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> None:
        """Count the pixels of labels, 0, 1 or ignored, and of their probabilities.

        Args:
            labels: integers `[..., classes]`, or `[...]` for one class.
            probabilities: float `[..., classes]`.
        """
        labels, probabilities = np.asarray(labels), np.asarray(probabilities, np.float32)
        labels = labels[..., None] if labels.ndim < probabilities.ndim else labels
        if labels.shape != probabilities.shape or probabilities.shape[-1] != self.classes:
            raise ValueError(checks.sentence(
                "probabilities", f"must have the shape of the labels, {labels.shape}, and {self.classes} classes",
                probabilities.shape, "Resize the logits to the labels."))
        for index in range(self.classes):
            ids, values = labels[..., index], probabilities[..., index]
            valid = ids != self.ignore_class
            ids, values = ids[valid], values[valid]
            check_ids("labels", ids, 2, self.ignore_class)
            steps = self.exceeded.shape[-1]
            bins = np.searchsorted(self.thresholds, values) + steps * ids.astype(np.int64)
            self.exceeded[index] += np.bincount(bins, minlength=2 * steps).reshape(2, steps)

    def merge(self, other: "ThresholdCurve") -> None:
        """Count the pixels that `other`, of as many classes and thresholds, has counted."""
        self.exceeded += other.exceeded

    def iou(self) -> npt.NDArray[np.float64]:
        """Return the intersection over union, float64 `[classes, thresholds]`; NaN where a class is absent."""
        predicted = np.cumsum(self.exceeded[..., ::-1], axis=-1)[..., ::-1][..., 1:]  # [classes, 2, thresholds]
        false, hit = predicted[:, 0].astype(np.float64), predicted[:, 1].astype(np.float64)
        union = self.exceeded[:, 1].sum(-1, keepdims=True) + false
        return np.divide(hit, union, out=np.full(hit.shape, np.nan), where=union > 0)

    def best(self) -> list[tuple[float, float]]:
        """Return `(threshold, intersection over union)` of each class where that is largest.

        Of equally good thresholds the middle one; 0.5 and NaN for a class that is labelled nowhere.
        """
        found = []
        for row, positives in zip(self.iou(), self.exceeded[:, 1].sum(-1)):
            if not positives:
                found.append((0.5, float("nan")))
                continue
            best = np.flatnonzero(row == row.max())
            chosen = int(best[len(best) // 2])
            found.append((round(float(self.thresholds[chosen]), 6), float(row[chosen])))
        return found
