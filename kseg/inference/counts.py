"""What an evaluation counts: sums that are the same in whatever order, and on however many machines, they are made."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kseg import metrics
from kseg.inference.report.outcome import Example
from kseg.tasks import Task

_PICTURED_CLASSES = 40  # of more, the worst images are not kept
_NO_TRUTH = {"share": 0.0}
_NONE = (np.inf,)
Kept = tuple[float, int, Example]  # a score, the number of the image; the lowest is the worst, of equals the earlier


class Counts:
    """Sums over images, and what is kept of each.

    Args:
        classes, task: of the model, `task` a row of `kseg.tasks`.
        names: of the classes that scores are of.
        ignore_class: int, the id in labels that counts for nothing.
        boundaries: bool, whether boundaries are measured.
        curved: bool, whether thresholds are measured.
        keep: int, how many of the images of lowest mean IoU are kept with their pictures; unless 0 also the worst image
            of each class.
    Attributes:
        confusion, boundary, calibration, curve: as those of `kseg.inference.report.outcome.Evaluation`.
    """

    def __init__(self, classes: int, task: Task, names: Sequence[str], ignore_class: int, *, boundaries: bool,
                 curved: bool, keep: int):
        shape = task.confusion_shape(classes)
        self.confusion = np.zeros(shape, np.int64)
        self.boundary = np.zeros((3, *shape[:-1]), np.int64) if boundaries else None
        self.calibration = metrics.Calibration(ignore_class=ignore_class)
        self.curve = metrics.ThresholdCurve(classes, ignore_class=ignore_class) if curved else None
        self._rows: dict[int, dict[str, Any]] = {}  # the number of an image → its scores
        self._worst: list[Kept] = []
        self._worst_of_class: dict[str, Kept] = {}
        self._keep, self._pictured = keep, tuple(names)[:_PICTURED_CLASSES] if keep else ()

    def __len__(self) -> int:
        return len(self._rows)

    def merge(self, other: "Counts") -> None:
        """Add what `other` has counted, of other images."""
        self.confusion += other.confusion
        if self.boundary is not None:
            self.boundary += other.boundary
        self.calibration.merge(other.calibration)
        if self.curve is not None:
            self.curve.merge(other.curve)
        self._rows.update(other._rows)
        self._keep_pictures(other._worst, other._worst_of_class)

    def add_row(self, number: int, row: dict[str, Any], example: Callable[[], Example]) -> None:
        """Keep the scores of image `number`, and what `example()` gives if it is one of the worst images."""
        self._rows[number] = row
        score, full = (row["mean_iou"], number), len(self._worst) == self._keep
        worst = self._keep > 0 and not np.isnan(score[0]) and (not full or score < self._worst[-1][:2])
        classes = {name: (row["per_class"][name]["iou"], number) for name in self._pictured
                   if row["per_class"].get(name, _NO_TRUTH)["share"] > 0}
        classes = {name: of for name, of in classes.items() if of < self._worst_of_class.get(name, _NONE)[:2]}
        if worst or classes:
            one = example()
            self._keep_pictures([(*score, one)] if worst else [], {name: (*of, one) for name, of in classes.items()})

    def _keep_pictures(self, worst, of_class):
        self._worst = sorted([*self._worst, *worst], key=lambda one: one[:2])[:self._keep]
        for name, one in of_class.items():
            if one[:2] < self._worst_of_class.get(name, _NONE)[:2]:
                self._worst_of_class[name] = one

    def without_pictures_but(self, worst: "Counts") -> None:
        """Tell `worst` of the pictures, and drop those that it does not keep."""
        worst._keep_pictures(self._worst, self._worst_of_class)
        kept = {number for _, number, _ in worst._worst}
        self._worst = [one for one in self._worst if one[1] in kept]
        self._worst_of_class = {name: one for name, one in self._worst_of_class.items()
                                if worst._worst_of_class[name][1] == one[1]}

    @property
    def images(self) -> list[dict[str, Any]]:
        """The scores of each image, in the order of their numbers."""
        return [self._rows[number] for number in sorted(self._rows)]

    @property
    def worst(self) -> list[Example]:
        """The images of lowest mean IoU, the lowest first."""
        return [example for _, _, example in self._worst]

    @property
    def worst_of_class(self) -> dict[str, Example]:
        """Class name → the image of the class's lowest intersection over union, among those that hold the class."""
        return {name: self._worst_of_class[name][2] for name in self._pictured if name in self._worst_of_class}
