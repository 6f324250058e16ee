"""The kinds of task: which classes exclude each other, what labels look like, how scores become labels. NumPy only.

Each kind is a row of `TASKS`; code that differs between them asks the row.
"""

import dataclasses
import typing
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kseg import checks
from kseg.labels import LabelSet, voc_palette

Threshold = float | Sequence[float] | None  # a probability for all classes, or one per class; None: the model's own


@dataclasses.dataclass(frozen=True)
class Task:
    """What a model answers of each pixel.

    Attributes:
        name: str.
        exclusive: bool, whether a pixel has exactly one class: probabilities are the softmax, and the largest logit
            decides. Else each logit is decided by itself: its probability is its sigmoid, a threshold decides.
        stacked: bool, whether labels have an axis of classes, `[H, W, classes]` of 0, 1 or 255 (ignored); else they
            are ids `[H, W]`.
        background: bool, whether id 0 is a background, which has a name and a colour but no logit.
        least, most: int, legal numbers of classes, which are the model's logits; `most` may be None.
        advice: str, what to do where the number is illegal.
    """

    name: str
    exclusive: bool
    stacked: bool
    background: bool
    least: int
    most: int | None
    advice: str

    def check_classes(self, classes: int) -> int:
        """Return `classes` as int if a model of this task may have so many; otherwise raise."""
        checks.positive_integer("classes", classes, self.advice, minimum=self.least)
        if self.most is not None and classes > self.most:
            raise ValueError(checks.sentence("classes", f"must be {self.most} for task={self.name!r}", classes,
                                             self.advice))
        return int(classes)

    def ids(self, classes: int) -> int:
        """Return how many ids a label may have, the ignored one not counted: the side of a confusion matrix."""
        return classes if self.exclusive else 2

    def names(self, classes: int) -> int:
        """Return how many names the label set of a model of so many classes has."""
        return classes + int(self.background)

    def classes_of(self, label_set: LabelSet) -> int:
        """Return how many classes a model of this label set has.

        Raises:
            ValueError: if a model of this task cannot have such a label set.
        """
        if self.most is not None and len(label_set) != self.names(self.most):
            raise ValueError(checks.sentence(
                "task", f"must fit the {len(label_set)} classes of the dataset, {_shown(label_set.names)}", self.name,
                "A binary task takes labels of background and foreground: merge the ids with label_map."))
        return self.check_classes(len(label_set) - int(self.background))

    def class_names(self, label_set: LabelSet) -> tuple[str, ...]:
        """Return the names of the model's classes, one per logit."""
        return label_set.names[int(self.background):]

    def label_set(self, classes: int | Sequence[str]) -> LabelSet:
        """Return the label set of so many numbered classes, or of the classes of these names, in VOC's colours.

        A background is named where it is left out; without one no class is black.
        """
        named = not isinstance(classes, int)
        names = tuple(classes) if named else tuple(f"class {index}" for index in range(classes))
        if self.background and len(names) == 1:
            names = ("background", names[0] if named else "foreground")
        shift = int(self.stacked)
        return LabelSet(names, voc_palette(len(names) + shift)[shift:])

    def label_shape(self, size: Sequence[int | None], classes: int) -> tuple[int | None, ...]:
        """Return the shape of labels of `size`, `(…, height, width)`."""
        return (*size, classes) if self.stacked else tuple(size)

    def confusion_shape(self, classes: int) -> tuple[int, ...]:
        """Return the shape of a confusion: `(ids, ids)`, or `(classes, 2, 2)` where labels are stacked."""
        ids = self.ids(classes)
        return (classes, ids, ids) if self.stacked else (ids, ids)

    def of_classes(self, values: npt.NDArray) -> npt.NDArray:
        """Return `[classes]` of values one per id, `[ids]` or `[classes, 2]` as a confusion's rows."""
        if self.exclusive:
            return values
        return values[..., 1] if self.stacked else values[..., 1:]

    def matrices(self, confusion: npt.NDArray, label_set: LabelSet) -> list[tuple[tuple[str, ...], npt.NDArray]]:
        """Return the matrices of a confusion, each with the names of its rows."""
        if not self.stacked:
            return [(label_set.names, confusion)]
        return [((f"not {name}", name), matrix) for name, matrix in zip(label_set.names, confusion)]

    def checked_threshold(self, value: Threshold, classes: int) -> float | tuple[float, ...] | None:
        """Return a threshold as a float, or a tuple with one per class; None where it is None.

        Raises:
            ValueError: if it is given where the largest logit decides, is outside (0, 1), or not one per class.
            TypeError: if it is no number.
        """
        if value is None:
            return None
        if self.exclusive:
            raise ValueError(checks.sentence("threshold", f"must be None for task={self.name!r}", value,
                                             "The class with the largest logit wins there."))
        advice = "Pass a probability between 0 and 1" + (", or one per class." if self.stacked else ".")
        several = isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) == 1
        if several and len(value) != classes:
            raise ValueError(checks.sentence("threshold", f"must be a number, or {classes}, one per class", value,
                                             advice))
        numbers = tuple(checks.number_between("threshold", one, 0, 1, advice, exclude=(0, 1))
                        for one in (value if several else [value]))
        return numbers if several and classes > 1 else numbers[0]

    def decide(self, scores: npt.NDArray, cut: npt.ArrayLike = 0.0) -> npt.NDArray:
        """Return labels of scores, NumPy: uint8 (int32 beyond 255 classes) `[…]`, or `[…, classes]` where stacked.

        Args:
            scores: float `[…, classes]`, logits or probabilities.
            cut: float or `[classes]`, in the unit of `scores`: what a score must exceed (`logit` of a threshold for
                logits). Not used where classes are exclusive.
        """
        if self.exclusive:
            return np.argmax(scores, axis=-1).astype(np.uint8 if scores.shape[-1] <= 255 else np.int32)
        above = (scores > np.asarray(cut, np.float32)).astype(np.uint8)
        return above if self.stacked else above[..., 0]


TASKS = {task.name: task for task in (
    Task("multiclass", True, False, False, 2, None, "Count the classes without the ignore class; background and one "
         'kind of object are 2, or classes=1 with task="binary".'),
    Task("binary", False, False, True, 1, 1, "The one class is the foreground: pass classes=1."),
    Task("multilabel", False, True, False, 1, None, "Count the classes that a pixel may have."),
)}
DEFAULT_THRESHOLD = 0.5


def of(name: str) -> Task:
    """Return the `Task` of a name; raise ValueError for an unknown one."""
    return TASKS[checks.one_of("task", name, TASKS)]


def known(name: str | None, classes: int) -> Task:
    """Return the `Task` of a name; without one (foreign models) "binary" for one class, "multiclass" for more."""
    return of(name or ("binary" if classes == 1 else "multiclass"))


def of_model(model: typing.Any) -> Task:
    """Return the task of a functional Keras model: the one a `Segmenter` names, else by its number of logits."""
    return known(getattr(model, "task", None), int(model.outputs[0].shape[-1]))


def logit(threshold: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return the logits whose sigmoid is `threshold`, float32."""
    threshold = np.asarray(threshold, np.float64)
    return np.log(threshold / (1 - threshold)).astype(np.float32)


def _shown(names):
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
