"""The proof that a deployed model answers as its original: both are run as users run them, and compared."""

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from kseg import checks
from kseg.inference.predict import label_map
from kseg.inference.runners import Runner
from kseg.labels import IGNORE_CLASS
from kseg.metrics.confusion import confusion_matrix, iou_from_confusion, mean_of_present

Run = Callable[[np.ndarray], np.ndarray]  # pixels [B, H, W, C] → logits [B, H, W, classes] or ids [B, H, W]

# quantize -> (least label agreement, largest difference of logits as a share of the largest logit or None)
LIMITS = {None: (0.999, 1e-3), "float16": (0.995, None), "dynamic": (0.95, None), "int8": (0.90, None),
          "int8_float_io": (0.90, None)}


def limits_for(quantize: str | None, minimum_agreement: float | None,
               maximum_miou_drop: float) -> dict[str, float | None]:
    """Return the limits of a report: the defaults for `quantize` unless the caller gave others."""
    agreement, difference = LIMITS[quantize]
    if minimum_agreement is not None:
        agreement = checks.number_between("minimum_agreement", minimum_agreement, 0, 1)
    drop = checks.number_between("maximum_miou_drop", maximum_miou_drop, 0, 1)
    return {"label_agreement": agreement, "relative_difference": difference, "miou_drop": drop}


def measure(original: Runner, exported: Runner, batches: list[np.ndarray], evaluate_on: Iterable | None,
            timed: dict[str, Runner]) -> dict[str, Any]:
    """Run a model and its export on the same images; return the fields of `ParityReport` that follow.

    Args:
        original, exported: the Keras model, and the file or folder.
        batches: list of uint8 `[count, H, W, C]`.
        evaluate_on: batches of `(pixels, labels)` on which mean IoU is compared, or None.
        timed: name -> what is timed on one image.
    """
    measured = compare(original, exported, batches)
    measured["latency"] = {name: time_runs(run, batches[0][:1]) for name, run in timed.items()}
    if evaluate_on is not None:
        measured["miou_original"] = mean_iou(original, evaluate_on, exported.classes)
        measured["miou_exported"] = mean_iou(exported, evaluate_on, exported.classes)
    return measured


def compare(original: Run, exported: Run, batches: list[np.ndarray]) -> dict[str, Any]:
    """Compare two functions image by image, uint8 pixels `[1, H, W, C]`; return the fields of `ParityReport`.

    Either gives logits `[1, H, W, classes]`; `exported` may instead give labels, integers `[1, H, W]`.
    """
    largest, total, entries, same, pixels, scale, has_logits = 0.0, 0.0, 0, 0, 0, 0.0, True
    for batch in batches:
        for image in batch:
            wanted, found = np.asarray(original(image[None])), np.asarray(exported(image[None]))
            has_logits = found.ndim == 4
            labels = label_map(found) if has_logits else found
            same += int((label_map(wanted) == labels).sum())
            pixels += labels.size
            scale = max(scale, float(np.abs(wanted).max()))
            if has_logits:
                difference = np.abs(wanted.astype(np.float64) - found)
                largest = max(largest, float(difference.max()))
                total, entries = total + float(difference.sum()), entries + difference.size
    return {
        "images": [list(np.shape(batch)[:3]) for batch in batches],
        "max_abs_difference": largest if has_logits else None,
        "mean_abs_difference": total / entries if has_logits else None,
        "largest_logit": scale,
        "label_agreement": same / pixels,
    }


def mean_iou(run: Run, dataset: Iterable, classes: int) -> float:
    """Return the mean IoU of `run` (pixels `[1, H, W, C]` to logits or labels) over `dataset`."""
    matrix = np.zeros((classes, classes), np.int64)
    for pixels, labels in dataset:
        for image, truth in zip(np.asarray(pixels), np.asarray(labels)):
            found = np.asarray(run(image[None]))[0]
            matrix += confusion_matrix(truth, label_map(found) if found.ndim == 3 else found, classes, IGNORE_CLASS)
    return mean_of_present(iou_from_confusion(matrix))


def time_runs(run: Run, image: np.ndarray, runs: int = 5) -> dict[str, float]:
    """Return the time of `run(image)` in ms over `runs` calls after one that does not count."""
    run(image)
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        run(image)
        taken.append(1000 * (time.perf_counter() - start))
    return {"median_ms": statistics.median(taken), "least_ms": min(taken), "most_ms": max(taken), "runs": runs}
