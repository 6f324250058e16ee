"""U-Net's weight map: pixels between close cells count most.

w(x) = w_c(x) + w0 · exp(-(d1(x) + d2(x))² / (2 σ²)), d1 and d2 the distances to the nearest and second nearest cell.
Reference: Ronneberger et al., U-Net, MICCAI 2015, arXiv:1505.04597, Eq. 2 (w0 = 10, σ = 5 px).
"""

import typing

import numpy as np
from scipy import ndimage

from kseg import checks
from kseg.labels import IGNORE_CLASS


def border_weights(labels: np.ndarray, w0: float = 10.0, sigma: float = 5.0, cell_classes: typing.Sequence[int] = (1,),
                   class_weights: typing.Sequence[float] | None = None) -> np.ndarray:
    """Return U-Net's pixel weights, which Keras takes as sample weights.

    A cell is a 4-connected region of one of `cell_classes`; the border term is added outside the cells only. Distances
    are exact as far as they matter: a cell's are computed where the term is above 1e-7 of w0.

    Args:
        labels: integers `[H, W]` or `[B, H, W]`, class ids, 255 = ignore.
        w0: float, weight of the border term.
        sigma: float, pixels.
        cell_classes: sequence of int, the classes whose regions are cells (0 in ISBI 2012, where 1 is membrane).
        class_weights: float `[classes]` or None (all 1), w_c of each class.
    Returns:
        float32 of the shape of `labels`; 0 where ignored.
    Raises:
        ValueError: if `labels` has neither two nor three axes.
    """
    labels = np.asarray(labels)
    if labels.ndim == 3:
        return np.stack([border_weights(one, w0, sigma, cell_classes, class_weights) for one in labels]) if len(
            labels) else np.zeros(labels.shape, np.float32)
    if labels.ndim != 2:
        raise ValueError(checks.sentence("labels", "must have shape [H, W] or [B, H, W]", labels.shape,
                                         "Pass class ids without a channel axis."))
    table = np.ones(256, np.float32)
    if class_weights is not None:
        table[:len(class_weights)] = class_weights
    table[IGNORE_CLASS] = 0
    weights = table[labels]
    nearest, second, cells = _two_distances(labels, cell_classes, reach=int(np.ceil(6 * sigma)))
    border = w0 * np.exp(-np.square(nearest + second) / (2 * sigma ** 2))
    outside = (cells == 0) & (labels != IGNORE_CLASS)
    weights[outside] += border[outside]
    return weights


def _two_distances(labels, cell_classes, reach):
    """Return (d1, d2, cell numbers), float32, float32 and int32 `[H, W]`; distances beyond `reach` are infinite."""
    cells, count = np.zeros(labels.shape, np.int32), 0
    for class_id in cell_classes:
        numbers, found = ndimage.label(labels == class_id)
        cells[numbers > 0] = numbers[numbers > 0] + count
        count += found
    nearest = np.full(labels.shape, np.inf, np.float32)
    second = nearest.copy()
    for number, box in enumerate(ndimage.find_objects(cells, count), start=1):
        window = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in box)
        distance = ndimage.distance_transform_edt(cells[window] != number).astype(np.float32)
        closer = distance < nearest[window]
        second[window] = np.where(closer, nearest[window], np.minimum(second[window], distance))
        nearest[window] = np.where(closer, distance, nearest[window])
    return nearest, second, cells
