"""How a model is measured on a dataset, image by image; `kseg.evaluate` and Ray's workers count with it."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kseg import checks, metrics, pictures, tasks
from kseg.inference.counts import Counts
from kseg.inference.examples import examples_of
from kseg.inference.images import resize
from kseg.inference.metadata import known_labels
from kseg.inference.predict import Model, Predictor
from kseg.inference.report.outcome import Evaluation, Example
from kseg.inference.results import as_two_classes, probabilities, votes
from kseg.inference.runners import runner_for
from kseg.labels import LabelSet


class Measurement:
    """A model, a dataset, and how the one is measured on the other, checked once.

    Args:
        as `kseg.evaluate`, which has the defaults too.
    Attributes:
        found: the `Examples` of the dataset.
        label_set: `LabelSet`.
    Raises:
        ValueError, TypeError, FileNotFoundError: as `kseg.evaluate`.
    """

    def __init__(self, model: Model, dataset: str | Iterable, split: str, *, data_dir: str | os.PathLike | None,
                 image_size: Sequence[int] | None, full_resolution: bool, label_set: LabelSet | None, boundaries: bool,
                 keep_worst: int, batch_size: int, window: int | Sequence[int] | None, overlap: float, blend: str,
                 scales: float | Sequence[float], flip: bool, threshold: tasks.Threshold,
                 data_options: dict[str, Any] | None):
        self._run = run = runner_for(model)
        self._name = getattr(model, "name", None) or str(model)
        self._keep, self._boundaries = checks.positive_integer("keep_worst", keep_worst, minimum=0), boundaries
        self.found = found = examples_of(
            dataset, split, data_dir, image_size=image_size, full_resolution=full_resolution, channels=run.in_channels,
            pixel_range=run.pixel_range, task=run.task, options=data_options or {})
        self.label_set = known_labels(label_set or found.label_set or run.label_set, run.classes, run.task)
        self._names = run.task.class_names(self.label_set)
        self._ignored = {"ignore_class": self.label_set.ignore_class}
        options = {"batch_size": batch_size, "window": window, "overlap": overlap, "blend": blend,
                   "scales": tuple(np.atleast_1d(scales).tolist()), "flip": flip}
        if threshold is not None:
            options["threshold"] = threshold
        self._predictor = Predictor(run, "labels" if run.labels_only else "logits", scaled=True, **options)
        self._cut = run.cut(self._predictor.threshold)
        self._settings = {**options, "image_size": image_size, "full_resolution": full_resolution}

    def new_counts(self) -> Counts:
        """Return counts of no image yet."""
        task, curved = self._run.task, not self._run.task.exclusive and not self._run.labels_only
        return Counts(self._run.classes, task, self._names, **self._ignored, boundaries=self._boundaries, curved=curved,
                      keep=self._keep)

    def evaluation(self, counts: Counts, seconds: float) -> Evaluation:
        """Return the outcome of `counts`, which took so many seconds."""
        return Evaluation(self.found.name, self._name, self.label_set, counts.confusion, counts.boundary,
                          counts.calibration, counts.images, counts.worst, self._settings, seconds,
                          self._run.task.name, self._predictor.threshold, counts.curve, counts.worst_of_class)

    def add(self, counts: Counts, number: int, title: str, pixels: np.ndarray, labels: np.ndarray) -> None:
        """Segment image `number`, `[H, W, channels]`, and add to `counts` what its labels `[h, w]` say of it.

        Of two images the one with the higher number must be added later.
        """
        run, task, answer = self._run, self._run.task, self._predictor(pixels)
        scores = votes(answer, run.classes, task) if run.labels_only else answer
        scores = resize(scores[None], labels.shape[:2])[0]
        predictions = task.decide(scores, self._cut)
        matrix = metrics.confusion_matrix(labels, predictions, run.classes, task=task.name, **self._ignored)
        counts.confusion += matrix
        own = metrics.scores_from_confusion(matrix, task.name)
        row = {"name": title, "mean_iou": own["mean_iou"], "pixel_accuracy": own["pixel_accuracy"]}
        if counts.boundary is not None:
            counts.boundary += self._by_map(metrics.boundary_counts, labels, predictions)
            row["boundary_f1"] = metrics.mean_of_present(task.of_classes(
                self._by_map(metrics.boundary_f1, labels, predictions)))
        row["per_class"] = {self._names[index]: {"iou": float(iou), "share": float(share)} for index, (iou, share) in
                            enumerate(zip(metrics.iou_from_confusion(matrix, task.name),
                                          metrics.share_from_confusion(matrix, task.name))) if not np.isnan(iou)}
        entropy = self._entropy(counts, labels, scores)
        counts.add_row(number, row, lambda: Example(
            title, row["mean_iou"], *_thumbnails(pixels, labels, predictions, entropy)))

    def _by_map(self, measure, labels, predictions):
        """Return what `measure` gives for the labels, or for those of each class on the axis before the last."""
        ids = self._run.task.ids(self._run.classes)
        if not self._run.task.stacked:
            return measure(labels, predictions, ids, **self._ignored)
        return np.stack([measure(labels[..., index], predictions[..., index], ids, **self._ignored)
                         for index in range(self._run.classes)], axis=-2)

    def _entropy(self, counts, labels, logits):
        """Count calibration and thresholds; return the entropy, `[H, W]`, NaN of a model that gives labels alone."""
        run = self._run
        if run.labels_only:
            return np.full(labels.shape[:2], np.nan)
        found = probabilities(logits, run.task)
        if run.task.exclusive:
            counts.calibration.update(labels, found)
            return metrics.entropy_map(found)
        counts.curve.update(labels, found)
        two = as_two_classes(found)  # [H, W, classes, 2]
        counts.calibration.update(labels if run.task.stacked else labels[..., None], two)
        return metrics.entropy_map(two).mean(-1)


def _thumbnails(pixels, labels, predictions, entropy, most=512):
    """Return pixels, labels, predictions and entropy, thinned out to at most about `most` pixels per side."""
    step = max(1, -(-max(labels.shape[:2]) // most))
    pixels = resize(np.asarray(pixels, np.float32)[None], labels.shape[:2])[0][::step, ::step]
    labels, predictions, entropy = (part[::step, ::step] for part in (labels, predictions, entropy))
    return pictures.as_rgb(pixels), labels.astype(np.int32), predictions, entropy
