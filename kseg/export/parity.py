"""The proof that a deployed model answers as its original: both are run as users run them, and compared."""

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from kseg import checks, tasks
from kseg.inference.results import label_map
from kseg.inference.runners import Runner
from kseg.labels import IGNORE_CLASS
from kseg.metrics.confusion import confusion_matrix, iou_from_confusion, mean_of_present

Run = Callable[[np.ndarray], np.ndarray]  # pixels [B, H, W, C] → logits [B, H, W, classes] or labels
Decide = Callable[[np.ndarray], np.ndarray]  # what a `Run` answers → labels

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
    measured = compare(original, exported, batches, original.labels, exported.labels, exported.labels_only)
    measured["latency"] = {name: time_runs(run, batches[0][:1]) for name, run in timed.items()}
    if evaluate_on is not None:
        task = original.task.name
        for name, run in (("miou_original", original), ("miou_exported", exported)):
            measured[name] = mean_iou(run, evaluate_on, exported.classes, run.labels, task)
    return measured


def most_likely(answer: np.ndarray) -> np.ndarray:
    """Return what a multi-class `Run` answers as ids `[B, H, W]`: logits `[B, H, W, classes]`, or ids already."""
    return label_map(answer) if answer.ndim == 4 else answer


def compare(original: Run, exported: Run, batches: list[np.ndarray], decide: Decide = most_likely,
            decide_exported: Decide = most_likely, labels_only: bool = False) -> dict[str, Any]:
    """Compare two functions image by image, uint8 pixels `[1, H, W, C]`; return the fields of `ParityReport`.

    Args:
        original, exported: pixels to logits `[1, H, W, classes]`; `exported` may instead give labels.
        batches: list of uint8 `[count, H, W, C]`.
        decide, decide_exported: what they answer to labels.
        labels_only: whether `exported` gives labels also where its answer has the axes of logits.
    """
    largest, total, entries, same, pixels, scale, has_logits = 0.0, 0.0, 0, 0, 0, 0.0, True
    for batch in batches:
        for image in batch:
            wanted, found = np.asarray(original(image[None])), np.asarray(exported(image[None]))
            has_logits = found.ndim == 4 and not labels_only
            labels = decide_exported(found)
            same += int((decide(wanted) == labels).sum())
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


def mean_iou(run: Run, dataset: Iterable, classes: int, decide: Decide = most_likely,
             task: str = "multiclass") -> float:
    """Return the mean IoU over `dataset` of `run`, pixels `[1, H, W, C]` to what `decide` makes labels of."""
    matrix = np.zeros(tasks.of(task).confusion_shape(classes), np.int64)
    for pixels, labels in dataset:
        for image, truth in zip(np.asarray(pixels), np.asarray(labels)):
            found = decide(np.asarray(run(image[None])))[0]
            matrix += confusion_matrix(truth, found, classes, IGNORE_CLASS, task)
    return mean_of_present(iou_from_confusion(matrix, task))


def time_runs(run: Run, image: np.ndarray, runs: int = 5) -> dict[str, float]:
    """Return the time of `run(image)` in ms over `runs` calls after one that does not count."""
    run(image)
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        run(image)
        taken.append(1000 * (time.perf_counter() - start))
    return {"median_ms": statistics.median(taken), "least_ms": min(taken), "most_ms": max(taken), "runs": runs}
