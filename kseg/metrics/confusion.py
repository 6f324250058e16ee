"""Confusion matrices and the scores that follow from one. NumPy only; rows are the truth, columns the prediction."""

import numpy as np
import numpy.typing as npt

from kseg import checks
from kseg.labels import IGNORE_CLASS


def confusion_matrix(labels: npt.ArrayLike, predictions: npt.ArrayLike, classes: int,
                     ignore_class: int = IGNORE_CLASS) -> npt.NDArray[np.int64]:
    """Count label and prediction pairs, int64 `[classes, classes]`, `matrix[label, prediction]`.

    Args:
        labels: integers of any shape; `ignore_class` is not counted.
        predictions: integers of the same shape in `[0, classes)`; not looked at where the label is ignored.
        classes: int, the number of classes.
        ignore_class: int. Default 255.
    Returns:
        int64 `[classes, classes]`.
    Raises:
        ValueError: if the shapes differ or an id lies outside `[0, classes)`.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape:
        raise ValueError(checks.sentence(
            "predictions", f"must have the shape of the labels, {labels.shape}", predictions.shape,
            "Resize the logits to the labels, then take the argmax."))
    valid = labels != ignore_class
    labels, predictions = labels[valid].astype(np.int64), predictions[valid].astype(np.int64)
    check_ids("labels", labels, classes, ignore_class)
    check_ids("predictions", predictions, classes, ignore_class)
    counts = np.bincount(labels * classes + predictions, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


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


def iou_from_confusion(matrix: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the intersection over union of each class, float64 `[classes]`; NaN if neither labelled nor predicted."""
    matrix = np.asarray(matrix, np.float64)
    hit = np.diagonal(matrix)
    return _ratio(hit, matrix.sum(0) + matrix.sum(1) - hit)


def dice_from_confusion(matrix: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the Dice coefficient (F1) of each class, float64 `[classes]`; NaN if neither labelled nor predicted."""
    matrix = np.asarray(matrix, np.float64)
    return _ratio(2 * np.diagonal(matrix), matrix.sum(0) + matrix.sum(1))


def class_accuracy_from_confusion(matrix: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the recall of each class, float64 `[classes]`; NaN where no pixel is labelled so."""
    matrix = np.asarray(matrix, np.float64)
    return _ratio(np.diagonal(matrix), matrix.sum(1))


def scores_from_confusion(matrix: npt.ArrayLike) -> dict[str, float]:
    """Return the scores of a dataset from its confusion matrix.

    A class absent from labels and predictions is left out of the means; without any counted pixel all are NaN.

    Returns:
        dict of floats: `mean_iou`, `pixel_accuracy`, `mean_class_accuracy`, `frequency_weighted_iou`, `mean_dice`.
    """
    matrix = np.asarray(matrix, np.float64)
    iou = iou_from_confusion(matrix)
    total = matrix.sum()
    share = matrix.sum(1) / total if total else matrix.sum(1)
    return {
        "mean_iou": mean_of_present(iou),
        "pixel_accuracy": float(np.trace(matrix) / total) if total else float("nan"),
        "mean_class_accuracy": mean_of_present(class_accuracy_from_confusion(matrix)),
        "frequency_weighted_iou": float(np.nansum(share * iou)) if total else float("nan"),
        "mean_dice": mean_of_present(dice_from_confusion(matrix)),
    }


def mean_of_present(values: npt.ArrayLike) -> float:
    """Return the mean of the values that are not NaN as a float; NaN if there is none."""
    values = np.asarray(values, np.float64)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _ratio(above, below):
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
