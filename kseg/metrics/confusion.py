"""Confusion matrices and the scores that follow from one. NumPy only; rows are the truth, columns the prediction.

The confusion of a multi-label task is one matrix of two ids per class, `[classes, 2, 2]`; that of a binary task has the
ids background and foreground. The classes that scores are of are the model's: of a binary task the foreground alone.
"""

import math

import numpy as np
import numpy.typing as npt

from kseg import checks, tasks
from kseg.labels import IGNORE_CLASS


def confusion_matrix(labels: npt.ArrayLike, predictions: npt.ArrayLike, classes: int,
                     ignore_class: int = IGNORE_CLASS, task: str = "multiclass") -> npt.NDArray[np.int64]:
    """Count label and prediction pairs, int64 `[classes, classes]`, `matrix[label, prediction]`.

    Args:
        labels: integers of any shape; `ignore_class` is not counted.
        predictions: integers of the same shape in `[0, classes)`; not looked at where the label is ignored.
        classes: int, the number of classes.
        ignore_class: int. Default 255.
        task: "multiclass"; "binary": ids 0 and 1; or "multilabel": 0 and 1, `[..., classes]`.
    Returns:
        int64 `[classes, classes]`; "binary": `[2, 2]`; "multilabel": `[classes, 2, 2]`.
    Raises:
        ValueError: if the shapes differ or an id lies outside `[0, classes)`.
    """
    kind = tasks.of(task)
    ids = kind.ids(classes)
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape:
        raise ValueError(checks.sentence(
            "predictions", f"must have the shape of the labels, {labels.shape}", predictions.shape,
            "Resize the logits to the labels, then take the argmax."))
    valid = labels != ignore_class
    rows = np.broadcast_to(np.arange(labels.shape[-1]), labels.shape)[valid] if kind.stacked else 0  # the class of each
    labels, predictions = labels[valid].astype(np.int64), predictions[valid].astype(np.int64)
    check_ids("labels", labels, ids, ignore_class)
    check_ids("predictions", predictions, ids, ignore_class)
    shape = kind.confusion_shape(classes)
    return np.bincount((rows * ids + labels) * ids + predictions, minlength=math.prod(shape)).reshape(shape)


def check_ids(name: str, ids: np.ndarray, classes: int, ignore_class: int) -> None:
    """Raise ValueError if one of `ids`, integers, lies outside `[0, classes)`."""
    outside = ids[(ids < 0) | (ids >= classes)]
    if outside.size:
        raise ValueError(unknown_ids_sentence(name, classes, ignore_class, int(outside[0])))


def unknown_ids_sentence(name: str, classes: int, ignore_class: int, found: int | str) -> str:
    """Return the sentence about an id that is no class."""
    also = f", or {ignore_class} for pixels to ignore" if name == "labels" else ""
    return checks.sentence(name, f"must hold ids between 0 and {classes - 1}{also}", found,
                           "Map the ids of the dataset to the classes of the model, or raise `classes`.")


def iou_from_confusion(matrix: npt.ArrayLike, task: str = "multiclass") -> npt.NDArray[np.float64]:
    """Return the intersection over union of each class, float64 `[classes]`; NaN if neither labelled nor predicted."""
    hit, labelled, predicted = _parts(matrix, task)
    return _ratio(hit, labelled + predicted - hit)


def dice_from_confusion(matrix: npt.ArrayLike, task: str = "multiclass") -> npt.NDArray[np.float64]:
    """Return the Dice coefficient (F1) of each class, float64 `[classes]`; NaN if neither labelled nor predicted."""
    hit, labelled, predicted = _parts(matrix, task)
    return _ratio(2 * hit, labelled + predicted)


def class_accuracy_from_confusion(matrix: npt.ArrayLike, task: str = "multiclass") -> npt.NDArray[np.float64]:
    """Return the recall of each class, float64 `[classes]`; NaN where no pixel is labelled so."""
    hit, labelled, _ = _parts(matrix, task)
    return _ratio(hit, labelled)


def share_from_confusion(matrix: npt.ArrayLike, task: str = "multiclass") -> npt.NDArray[np.float64]:
    """Return the share of each class in the counted pixels, float64 `[classes]`; 0 if there are none."""
    labelled = np.asarray(matrix, np.float64).sum(-1)
    share = np.divide(labelled, labelled.sum(-1, keepdims=True), out=np.zeros(labelled.shape), where=labelled > 0)
    return tasks.of(task).of_classes(share)


def scores_from_confusion(matrix: npt.ArrayLike, task: str = "multiclass") -> dict[str, float]:
    """Return the scores of a dataset from its confusion matrix.

    A class absent from labels and predictions is left out of the means; without any counted pixel all are NaN.

    Returns:
        dict of floats: `mean_iou`, `pixel_accuracy`, `mean_class_accuracy`, `frequency_weighted_iou`, `mean_dice`.
    """
    matrix = np.asarray(matrix, np.float64)
    iou, labelled = iou_from_confusion(matrix, task), _parts(matrix, task)[1]
    total, right = matrix.sum(), np.diagonal(matrix, axis1=-2, axis2=-1).sum()
    return {
        "mean_iou": mean_of_present(iou),
        "pixel_accuracy": float(right / total) if total else float("nan"),
        "mean_class_accuracy": mean_of_present(class_accuracy_from_confusion(matrix, task)),
        "frequency_weighted_iou": float(np.nansum(labelled * iou) / labelled.sum()) if labelled.any() else float("nan"),
        "mean_dice": mean_of_present(dice_from_confusion(matrix, task)),
    }


def mean_of_present(values: npt.ArrayLike) -> float:
    """Return the mean of the values that are not NaN as a float; NaN if there is none."""
    values = np.asarray(values, np.float64)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _parts(matrix, task):
    """Return the right, labelled and predicted pixels of each class, float64 `[classes]`."""
    matrix = np.asarray(matrix, np.float64)
    parts = np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(-1), matrix.sum(-2)
    return tuple(tasks.of(task).of_classes(part) for part in parts)


def _ratio(above, below):
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
