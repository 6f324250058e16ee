"""Whether probabilities mean what they say: expected calibration error and entropy maps. NumPy only."""

import numpy as np
import numpy.typing as npt

from kseg import checks
from kseg.labels import IGNORE_CLASS
from kseg.metrics.confusion import check_ids

_UNIT = 80  # confidences are summed as integers, in units of 2 ** -80: exactly, for none is below 1 / classes


class Calibration:
    """Counts from which the expected calibration error of a dataset follows.

    Pixels are sorted into bins of equal width by the probability of their predicted class; the error is the mean over
    pixels of |accuracy - confidence| of their bin. The sums over images are exact, so that neither the order of the
    images nor how they were shared out among machines changes the result.
    Reference: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv:1706.04599, eq. 3.

    Args:
        bins: int. Default 15 (§5 of the reference).
        ignore_class: int. Default 255.
    """

    def __init__(self, bins: int = 15, ignore_class: int = IGNORE_CLASS):
        self.bins = checks.positive_integer("bins", bins)
        self.ignore_class = ignore_class
        self.pixels = np.zeros(self.bins, np.int64)
        self.right = np.zeros(self.bins, np.int64)
        self._confidence = [0] * self.bins

    def update(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> None:
        """Count the pixels of `labels`, integers `[..., H, W]`, and `probabilities`, float `[..., H, W, classes]`."""
        labels, probabilities = np.asarray(labels), np.asarray(probabilities)
        if labels.shape != probabilities.shape[:-1]:
            raise ValueError(checks.sentence(
                "probabilities", f"must have shape {labels.shape} and one axis of classes", probabilities.shape,
                "Resize the logits to the labels."))
        valid = labels != self.ignore_class
        check_ids("labels", labels[valid], probabilities.shape[-1], self.ignore_class)
        right = (probabilities.argmax(-1) == labels)[valid]
        confidence = probabilities.max(-1)[valid].astype(np.float64)
        bins = np.clip(np.ceil(confidence * self.bins).astype(int) - 1, 0, self.bins - 1)
        self.pixels += np.bincount(bins, minlength=self.bins)
        self.right += np.bincount(bins[right], minlength=self.bins)
        sums = np.bincount(bins, weights=confidence, minlength=self.bins)
        self._confidence = [total + int(np.ldexp(one, _UNIT)) for total, one in zip(self._confidence, sums)]

    def merge(self, other: "Calibration") -> None:
        """Count the pixels that `other`, of as many bins, has counted."""
        self.pixels += other.pixels
        self.right += other.right
        self._confidence = [total + one for total, one in zip(self._confidence, other._confidence, strict=True)]

    @property
    def confidence(self) -> npt.NDArray[np.float64]:
        """The sums of the confidences of each bin, float64 `[bins]`."""
        return np.array([total / 2 ** _UNIT for total in self._confidence], np.float64)

    def error(self) -> float:
        """Return the expected calibration error so far, a float in [0, 1]; NaN without a pixel."""
        total = self.pixels.sum()
        return float(np.abs(self.right - self.confidence).sum() / total) if total else float("nan")

    def curve(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return `(confidence, accuracy)` of each bin, float64 `[bins]`; NaN in empty ones."""
        empty = np.full(self.bins, np.nan)
        filled = self.pixels > 0
        return tuple(np.divide(part, self.pixels, out=empty.copy(), where=filled)
                     for part in (self.confidence, self.right))


def expected_calibration_error(labels: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = 15,
                               ignore_class: int = IGNORE_CLASS) -> float:
    """Return the expected calibration error of one batch, a float in [0, 1]. See `Calibration`."""
    calibration = Calibration(bins, ignore_class)
    calibration.update(labels, probabilities)
    return calibration.error()


def entropy_map(probabilities: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return the entropy of each pixel's distribution over its largest, log(classes): float32 `[..., H, W]`, 0 to 1.

    Args:
        probabilities: float `[..., H, W, classes]`, summing to 1.
    """
    probabilities = np.asarray(probabilities, np.float32)
    logarithms = np.log(np.maximum(probabilities, 1e-30))
    return -(probabilities * logarithms).sum(-1) / np.float32(np.log(max(probabilities.shape[-1], 2)))
