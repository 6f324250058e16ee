"""How well outlines are found: boundary IoU and boundary F1. NumPy only; all classes at once."""

import math

import numpy as np
import numpy.typing as npt

from kseg import checks
from kseg.labels import IGNORE_CLASS
from kseg.metrics.confusion import check_ids, mean_of_present


def boundary_region(label_map: npt.ArrayLike, distance: int,
                    ignore_class: int = IGNORE_CLASS) -> npt.NDArray[np.bool_]:
    """Return the pixels at most `distance` from a pixel of another class or from beyond the image, bool `[H, W]`.

    Distances are Chebyshev's (3×3 erosions repeated, as in the reference's code). Ignored pixels are no other class.

    Args:
        label_map: integers `[H, W]`.
        distance: int of at least 1, pixels.
        ignore_class: int. Default 255.
    """
    ids = np.asarray(label_map).astype(np.int16)
    ignored = ids == ignore_class
    beyond = np.iinfo(np.int16).max
    lowest = _smallest_around(np.where(ignored, beyond, ids), distance, beyond)
    highest = -_smallest_around(np.where(ignored, beyond, -ids), distance, beyond)
    region = (lowest != ids) | (highest != ids)
    region[:distance] = region[-distance:] = True
    region[:, :distance] = region[:, -distance:] = True
    return region & ~ignored


def boundary_counts(labels: npt.ArrayLike, predictions: npt.ArrayLike, classes: int, dilation_ratio: float = 0.02,
                    ignore_class: int = IGNORE_CLASS) -> npt.NDArray[np.int64]:
    """Count the pixels of boundary regions, to be added over the images of a dataset.

    Reference: Cheng et al., Boundary IoU, CVPR 2021, arXiv:2103.16562, §4 (2 % of the diagonal: §4.2). Ignored pixels
    belong to no region.

    Args:
        labels: integers `[H, W]`.
        predictions: integers `[H, W]` in `[0, classes)`.
        classes: int.
        dilation_ratio: float, the distance as a share of the image's diagonal; at least one pixel. Default 0.02.
        ignore_class: int. Default 255.
    Returns:
        int64 `[3, classes]`: pixels in both regions of a class, in the label's, in the prediction's.
    """
    labels, predictions = _one_pair(labels, predictions, classes, ignore_class)
    distance = max(1, round(dilation_ratio * math.hypot(*labels.shape)))
    in_label = boundary_region(labels, distance, ignore_class)
    in_prediction = boundary_region(predictions, distance, ignore_class)
    both = labels[in_label & in_prediction & (labels == predictions)]
    return np.stack([np.bincount(ids, minlength=classes)[:classes]
                     for ids in (both, labels[in_label], predictions[in_prediction])]).astype(np.int64)


def boundary_iou(counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the boundary IoU of each class from summed `boundary_counts`, float64 `[classes]`; NaN where absent."""
    both, labelled, predicted = np.asarray(counts, np.float64)
    union = labelled + predicted - both
    return np.divide(both, union, out=np.full(both.shape, np.nan), where=union > 0)


def boundary_f1(labels: npt.ArrayLike, predictions: npt.ArrayLike, classes: int, tolerance: float = 0.0075,
                ignore_class: int = IGNORE_CLASS) -> npt.NDArray[np.float64]:
    """Return the boundary F1 of each class in one image, float64 `[classes]`; NaN for classes not labelled in it.

    The outline of a class are its pixels with a neighbour above, below, left or right of another class; neither the
    image's border nor ignored pixels make one. Precision is the share of the predicted outline at most the tolerance
    away (Euclidean) from the labelled one of the same class, recall the reverse. A class whose outline is empty in
    both is NaN too. The score of an image is the mean over its classes, that of a dataset the mean over its images.
    Reference: Badrinarayanan et al., SegNet, PAMI 2017, §4.1; Csurka et al., What is a good evaluation measure for
    semantic segmentation?, BMVC 2013.

    Args:
        labels: integers `[H, W]`.
        predictions: integers `[H, W]` in `[0, classes)`.
        classes: int.
        tolerance: float, share of the image's diagonal. Default 0.0075 (SegNet).
        ignore_class: int. Default 255.
    """
    labels, predictions = _one_pair(labels, predictions, classes, ignore_class)
    present = np.bincount(labels[labels != ignore_class], minlength=classes)[:classes] > 0
    outlines = [_outline(ids, ignore_class) for ids in (labels, predictions)]
    radius = tolerance * math.hypot(*labels.shape)
    counts = []
    for outline, other in (outlines, outlines[::-1]):
        found = _near_same_class(outline, other, radius)
        ids = outline[outline >= 0]
        total = np.bincount(ids, minlength=classes)[:classes]
        counts.append((np.bincount(ids[found], minlength=classes)[:classes], total))
    (recalled, labelled), (right, predicted) = counts
    recall = recalled / np.maximum(labelled, 1)
    precision = right / np.maximum(predicted, 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return np.where(present & (labelled + predicted > 0), f1, np.nan)


def image_boundary_f1(labels: npt.ArrayLike, predictions: npt.ArrayLike, classes: int, tolerance: float = 0.0075,
                      ignore_class: int = IGNORE_CLASS) -> float:
    """Return the mean of `boundary_f1` over the classes labelled in an image as a float; NaN if there is none."""
    return mean_of_present(boundary_f1(labels, predictions, classes, tolerance, ignore_class))


def _one_pair(labels, predictions, classes, ignore_class):
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.ndim != 2 or labels.shape != predictions.shape:
        raise ValueError(checks.sentence(
            "predictions", f"must be a map [H, W] of the labels' shape {labels.shape}", predictions.shape,
            "Measure images one by one, at the size of their labels."))
    labels = labels.astype(np.int32)
    valid = labels != ignore_class
    check_ids("labels", labels[valid], classes, ignore_class)
    check_ids("predictions", predictions[valid], classes, ignore_class)
    return labels, np.where(valid, predictions.astype(np.int32), ignore_class)


def _smallest_around(values, distance, beyond):
    """Return the smallest value in the square of `2 * distance + 1` pixels around each, by doubling steps."""
    for _ in range(2):  # along the rows, then, turned over, along the columns
        padded = np.pad(values, ((distance, distance), (0, 0)), constant_values=beyond)
        length, wanted = 1, 2 * distance + 1
        while length < wanted:
            step = min(length, wanted - length)
            padded = np.minimum(padded[:-step], padded[step:])
            length += step
        values = np.ascontiguousarray(padded.T)
    return values


def _outline(ids, ignore_class):
    """Return the class id on outline pixels and -1 elsewhere, int32 `[H, W]`."""
    edge = np.zeros(ids.shape, bool)
    for first, second in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        differs = (ids[first] != ids[second]) & (ids[first] != ignore_class) & (ids[second] != ignore_class)
        edge[first] |= differs
        edge[second] |= differs
    return np.where(edge, ids, -1)


def _near_same_class(outline, other, radius):
    """Return for each outline pixel whether `other` has one of its class within `radius`; nearest offsets first."""
    reach = int(radius)
    offsets = [(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1) if math.hypot(y, x) <= radius]
    offsets.sort(key=lambda offset: offset[0] ** 2 + offset[1] ** 2)
    padded = np.pad(other, reach, constant_values=-1).ravel()
    width = other.shape[1] + 2 * reach
    rows, columns = np.nonzero(outline >= 0)
    ids = outline[rows, columns]
    places = (rows + reach) * width + columns + reach
    found = np.zeros(len(ids), bool)
    open_ones = np.arange(len(ids))
    for y, x in offsets:
        hit = padded[places[open_ones] + y * width + x] == ids[open_ones]
        found[open_ones[hit]] = True
        open_ones = open_ones[~hit]
    return found
