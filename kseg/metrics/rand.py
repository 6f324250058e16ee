"""The Rand error of the ISBI 2012 challenge: are the cells apart that should be apart? NumPy and SciPy."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from kseg import checks


def rand_pairs(cells: npt.ArrayLike, found: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Count pairs of pixels that lie in one cell, to be added over the images of a dataset.

    Cells are the 4-connected regions of a mask. Only pixels inside the true cells are looked at (the challenge's
    restriction to the foreground); where no cell is found, a pixel is together with no other.

    Args:
        cells: bool `[H, W]`, True inside the true cells, False on membranes.
        found: bool `[H, W]`, the same of a prediction.
    Returns:
        int64 `[3]`: pairs together in truth and prediction, in the truth, in the prediction.
    Raises:
        ValueError: if the shapes differ.
    """
    cells, found = np.asarray(cells, bool), np.asarray(found, bool)
    if cells.ndim != 2 or cells.shape != found.shape:
        raise ValueError(checks.sentence("found", f"must be a mask [H, W] of the truth's shape {cells.shape}",
                                         found.shape, "Measure images one by one, at the size of their labels."))
    truth, true_count = ndimage.label(cells)
    prediction, found_count = ndimage.label(found)
    truth, prediction = truth[cells].astype(np.int64) - 1, prediction[cells]
    table = np.bincount(truth * (found_count + 1) + prediction, minlength=true_count * (found_count + 1))
    table = table.reshape(true_count, found_count + 1)  # [true cell, found cell; 0 is none]
    return np.array([_pairs(table[:, 1:]), _pairs(table.sum(1)), _pairs(table[:, 1:].sum(0))], np.int64)


def rand_f_score(pairs: npt.ArrayLike) -> float:
    """Return the F-score of summed `rand_pairs`, a float in [0, 1]: pairs found together against truly together.

    NaN if neither truth nor prediction puts two pixels together.
    """
    both, truly, found = np.asarray(pairs, np.float64)
    return float(2 * both / (truly + found)) if truly + found else float("nan")


def rand_error(cells: Sequence[npt.ArrayLike], probabilities: Sequence[npt.ArrayLike],
               thresholds: npt.ArrayLike = np.linspace(0.05, 0.95, 19)) -> tuple[float, float]:
    """Return the foreground-restricted Rand error of images and the threshold it is reached at.

    1 minus the largest F-score over the thresholds of the probability of a cell; pairs are added over the images.
    Reference: ISBI 2012 challenge (Arganda-Carreras et al., Crowdsourcing the creation of image segmentation
    algorithms for connectomics, Frontiers in Neuroanatomy 2015, §2.3), the measure of 2012, without thinning.

    Args:
        cells: sequence of bool `[H, W]`, True inside the true cells, False on membranes.
        probabilities: sequence of float `[H, W]`, of a pixel being inside a cell.
        thresholds: sequence of floats; pixels above one are cells. Default 0.05 to 0.95.
    Returns:
        (error, threshold): floats. NaN, and the first threshold, where no two pixels are together.
    Raises:
        ValueError: if the numbers of images or their shapes differ, or there is no threshold.
    """
    if len(cells) != len(probabilities) or len(cells) == 0:
        raise ValueError(checks.sentence("probabilities", f"must hold one map for each of {len(cells)} images",
                                         len(probabilities), "Predict each image once."))
    thresholds = [float(one) for one in thresholds]
    if not thresholds:
        raise ValueError(checks.sentence("thresholds", "must hold at least one number", thresholds,
                                         "Write for example thresholds=(0.5,)."))
    scores = [rand_f_score(sum(rand_pairs(mask, np.asarray(probability) > threshold)
                               for mask, probability in zip(cells, probabilities))) for threshold in thresholds]
    if np.isnan(scores).all():
        return float("nan"), thresholds[0]
    best = int(np.nanargmax(scores))
    return 1 - scores[best], thresholds[best]


def _pairs(counts):
    """Return the sum of n (n - 1) / 2 over groups of n pixels."""
    counts = counts.astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())
