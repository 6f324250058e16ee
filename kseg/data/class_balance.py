"""Class weights from one pass over the labels, for every loss that takes `class_weights`."""

import logging
import typing
from collections.abc import Iterable

import numpy as np

from kseg import checks
from kseg.data import sources
from kseg.data.sources.base import failure_sentence
from kseg.labels import IGNORE_CLASS

_LOG = logging.getLogger("kseg")
METHODS = ("median_frequency", "inverse_log", "effective_number")


def class_counts(labels: Iterable[np.ndarray], classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how often each class occurs in label maps, integers `[H, W]` or `[H, W, classes]` (255 = ignore).

    Returns:
        int64 `[classes]` each: pixels of each class; all pixels, ignored ones too, of the images that contain the
        class; number of these images.
    """
    pixels, present, images = (np.zeros(classes, np.int64) for _ in range(3))
    for label_map in labels:
        label_map = np.asarray(label_map)
        several = label_map.ndim == 3
        counts, legal = np.bincount(label_map.ravel(), minlength=256), 2 if several else classes
        if counts[legal:IGNORE_CLASS].any() or len(counts) > 256:
            raise ValueError(checks.sentence(
                "labels", f"must hold class ids 0..{legal - 1} or {IGNORE_CLASS}", int(np.max(label_map)),
                "Raise `classes`, or run kseg.data.check on the dataset."))
        counts = pixels_of_classes(label_map, classes)
        pixels += counts
        present += (counts > 0) * (label_map.shape[0] * label_map.shape[1] if several else label_map.size)
        images += counts > 0
    return pixels, present, images


def pixels_of_classes(label_map: np.ndarray, classes: int) -> np.ndarray:
    """Return the number of pixels of each class, int64 `[classes]`, of labels `[H, W]` or `[H, W, classes]`."""
    if label_map.ndim == 3:
        return (label_map == 1).sum((0, 1))
    return np.bincount(label_map.ravel(), minlength=256)[:classes]


def weights_from_counts(pixels: typing.Sequence[int], present: typing.Sequence[int], method: str = "median_frequency",
                        *, offset: float = 1.02, beta: float | None = None) -> np.ndarray:
    """Return class weights, float32 `[classes]`, from the result of `class_counts`.

    - "median_frequency": median(f) / f_c, f_c = pixels of c / all pixels of the images that contain c.
      Reference: Eigen & Fergus, ICCV 2015, arXiv:1411.4734, §6.3.2; used by SegNet, arXiv:1511.00561, §3.2. SegNet's
      published CamVid weights are these with void as a twelfth class in the median (a common factor of 0.92), but for
      "sign": 9.64, where its labels give 3.53.
    - "inverse_log": 1 / ln(offset + p_c), p_c = pixels of c / all pixels. Reference: Paszke et al., ENet,
      arXiv:1606.02147, §5.1 (offset 1.02).
    - "effective_number": (1 - beta) / (1 - beta^n_c), scaled to mean 1 over the classes that occur, n_c = pixels of c.
      Reference: Cui et al., arXiv:1901.05555, Eq. 2. Default beta = 1 - 1 / (all pixels): between no weighting and
      inverse frequency.

    Classes that do not occur get weight 0.
    """
    checks.one_of("method", method, METHODS)
    pixels, present = np.asarray(pixels, np.float64), np.asarray(present, np.float64)
    occurs = pixels > 0
    weights = np.zeros(len(pixels))
    if not occurs.any():
        raise ValueError(checks.sentence("labels", "must hold at least one pixel of a class", 0,
                                         "Every pixel is ignored: check the label files with kseg.data.check."))
    if method == "median_frequency":
        frequency = pixels[occurs] / present[occurs]
        weights[occurs] = np.median(frequency) / frequency
    elif method == "inverse_log":
        weights[occurs] = 1 / np.log(offset + pixels[occurs] / pixels.sum())
    else:
        log_beta = np.log1p(-1 / pixels.sum()) if beta is None else np.log(checks.number_between("beta", beta, 0, 1))
        effective = np.expm1(pixels[occurs] * log_beta) / np.expm1(log_beta)
        weights[occurs] = 1 / effective
        weights[occurs] /= weights[occurs].mean()
    return weights.astype(np.float32)


def class_weights(name: str | sources.Source | Iterable[np.ndarray], split: str | None = None, *,
                  method: str = "median_frequency", offset: float = 1.02, beta: float | None = None,
                  on_error: str = "raise", **options: typing.Any) -> np.ndarray:
    """Return class weights of a dataset from a pass over its label files.

    Args:
        name: as `kseg.data.load`, or a source, or an iterable of label maps together with `classes` in `options`.
        split: "train", "validation", "test", or None ("train"; of a source: its own).
        method: one of `METHODS`, see `weights_from_counts`.
        offset, beta: see `weights_from_counts`.
        on_error: "raise", or "skip" to leave unreadable label files out (logged with their count).
        options: further arguments of `kseg.data.source` (`data_dir`, `classes`, …).
    Returns:
        float32 `[classes]`; 0 for a class that does not occur.
    """
    checks.one_of("method", method, METHODS)
    checks.one_of("on_error", on_error, ("raise", "skip"))
    if isinstance(name, (str, sources.Source)):
        source = sources.opened(name, split, **options)
        pixels, present, _ = class_counts(_label_maps(source, on_error), len(source.label_set))
    else:
        pixels, present, _ = class_counts(name, options["classes"])
    return weights_from_counts(pixels, present, method, offset=offset, beta=beta)


def _label_maps(source, on_error):
    """Yield the labels of each pair that can be read."""
    skipped = 0
    for index in range(len(source)):
        try:
            yield source.read_labels(index)
        except source.failures as failure:
            if on_error == "raise":
                raise
            skipped, last = skipped + 1, failure_sentence(failure) or failure
    if skipped:
        _LOG.warning("left the labels of %d of %d pairs of %s out; last: %s", skipped, len(source), source.name, last)
