"""Evaluation at the labels' full resolution: the dataset's scores, each image's, and the worst images.

Logits are resized to the label, never the label to the logits.
"""

import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kseg import checks, metrics, pictures, tasks
from kseg.inference.examples import examples_of
from kseg.inference.images import resize
from kseg.inference.metadata import known_labels
from kseg.inference.predict import Model, Predictor
from kseg.inference.progress import progress_bar
from kseg.inference.report.outcome import Evaluation, Example
from kseg.inference.results import as_two_classes, probabilities, votes
from kseg.inference.runners import runner_for
from kseg.labels import LabelSet


def evaluate(model: Model, dataset: str | Iterable, split: str = "validation", *,
             data_dir: str | os.PathLike | None = None, image_size: Sequence[int] | None = None,
             full_resolution: bool = True, label_set: LabelSet | None = None, boundaries: bool = True,
             keep_worst: int = 10, batch_size: int = 4, window: int | Sequence[int] | None = None,
             overlap: float = 0.5, blend: str = "hann", scales: float | Sequence[float] = (1.0,), flip: bool = False,
             threshold: tasks.Threshold = None, progress: bool = False,
             data_options: dict[str, Any] | None = None) -> Evaluation:
    """Measure a model on a dataset.

    Args:
        model: a `keras.Model`, or the path of a `.keras`, `.tflite` or `.onnx` file or a SavedModel folder.
        dataset: a name as in `kseg.data.load`, or an iterable of `(pixels, labels)`, single or in batches, such as a
            `tf.data.Dataset`; pixels `[(B,) H, W, channels]` 0–255 (as `kseg.data.load` gives them, also for a model
            with a `pixel_range`), labels integers `[(B,) h, w]`, of a multi-label model `[(B,) h, w, classes]`.
        split: "train", "validation" or "test", of a named dataset.
        data_dir: str or None, where the files of a named dataset are.
        image_size: (height, width) in pixels the images of a named dataset are resized to for the model, or None.
        full_resolution: bool; True measures at the size of the stored labels, to which the logits are enlarged; False
            at `image_size`, to which the labels are reduced: the score that validation during training reports.
        label_set: `LabelSet` or None (the dataset's, else the model's, else numbered classes).
        boundaries: bool, whether boundary IoU and F1 are measured (they take longer than the rest).
        keep_worst: int, how many of the images of lowest mean IoU are kept with their pictures. Default 10. Unless
            it is 0, the worst image of each class is kept too, of the first 40 classes.
        batch_size, window, overlap, blend, scales, flip, threshold: as in `kseg.predict`.
        progress: bool, whether a bar is drawn in the terminal.
        data_options: dict or None, further arguments of `kseg.data.source`, for a named dataset.
    Returns:
        `Evaluation`: scores as attributes, `table()`, `to_dict()`, `write(folder)`, and for models of task "binary" and
        "multilabel" `best_threshold`, which may be set as `model.threshold`. The calibration error and the
        entropy of a TFLite file exported with `output="labels"` are NaN: it says nothing of its confidence.
    Raises:
        ValueError: if an argument is out of range, the dataset is empty, or a label id is no class of the model.
        TypeError: if an example is no pair of pixels and labels.
        FileNotFoundError: if a file is missing.
    """
    run = runner_for(model)
    began = time.perf_counter()
    checks.positive_integer("keep_worst", keep_worst, minimum=0)
    found = examples_of(dataset, split, data_dir, image_size=image_size, full_resolution=full_resolution,
                        channels=run.in_channels, pixel_range=run.pixel_range, task=run.task,
                        options=data_options or {})
    label_set = known_labels(label_set or found.label_set or run.label_set, run.classes, run.task)
    options = {"batch_size": batch_size, "window": window, "overlap": overlap, "blend": blend,
               "scales": tuple(np.atleast_1d(scales).tolist()), "flip": flip}
    if threshold is not None:
        options["threshold"] = threshold
    predictor = Predictor(run, "labels" if run.labels_only else "logits", scaled=True, **options)
    counts = _Counts(predictor, label_set, boundaries, keep_worst)
    with progress_bar(progress, found.count) as advance:
        for title, pixels, labels in found.examples:
            counts.add(title, pixels, labels, predictor(pixels))
            advance(1)
    if not counts.images:
        raise ValueError(checks.sentence("dataset", "must hold at least one image", found.name, "Check the split."))
    settings = {**options, "image_size": image_size, "full_resolution": full_resolution}
    return Evaluation(
        found.name, getattr(model, "name", None) or str(model), label_set, counts.confusion, counts.boundary,
        counts.calibration, counts.images, counts.worst, settings, time.perf_counter() - began, run.task.name,
        predictor.threshold, counts.curve, {name: one for name, (_, one) in counts.worst_of_class.items()})


_PICTURED_CLASSES = 40  # of more, the worst images are not kept
_NO_TRUTH = {"share": 0.0}


class _Counts:
    """What is counted image by image."""

    def __init__(self, predictor, label_set, boundaries, keep):
        self.run, self.ignore_class, self.keep = predictor.run, label_set.ignore_class, keep
        self.names = self.run.task.class_names(label_set)
        self.cut = self.run.cut(predictor.threshold)
        task, classes = self.run.task, self.run.classes
        shape = task.confusion_shape(classes)
        self.confusion = np.zeros(shape, np.int64)
        self.boundary = np.zeros((3, *shape[:-1]), np.int64) if boundaries else None
        self.calibration = metrics.Calibration(ignore_class=label_set.ignore_class)
        curved = not task.exclusive and not self.run.labels_only
        self.curve = metrics.ThresholdCurve(classes, ignore_class=label_set.ignore_class) if curved else None
        self.images, self.worst = [], []  # of the worst the lowest first
        self.worst_of_class = {}  # class's name → its intersection over union and `Example`, of at most so many:
        self.pictured = self.names[:_PICTURED_CLASSES] if keep else ()

    def add(self, title, pixels, labels, answer):
        """Count one image: `answer`, logits `[h, w, classes]` or labels, is resized to the size of `labels`."""
        run, task = self.run, self.run.task
        scores = votes(answer, run.classes, task) if run.labels_only else answer
        scores = resize(scores[None], labels.shape[:2])[0]
        predictions = task.decide(scores, self.cut)
        matrix = metrics.confusion_matrix(labels, predictions, run.classes, self.ignore_class, task.name)
        self.confusion += matrix
        own = metrics.scores_from_confusion(matrix, task.name)
        row = {"name": title, "mean_iou": own["mean_iou"], "pixel_accuracy": own["pixel_accuracy"]}
        if self.boundary is not None:
            self.boundary += self._by_map(metrics.boundary_counts, labels, predictions)
            row["boundary_f1"] = metrics.mean_of_present(task.of_classes(
                self._by_map(metrics.boundary_f1, labels, predictions)))
        row["per_class"] = {self.names[index]: {"iou": float(iou), "share": float(share)} for index, (iou, share) in
                            enumerate(zip(metrics.iou_from_confusion(matrix, task.name),
                                          metrics.share_from_confusion(matrix, task.name))) if not np.isnan(iou)}
        self.images.append(row)
        entropy = self._entropy(labels, scores)
        self._keep(row, lambda: Example(title, row["mean_iou"], *_thumbnails(pixels, labels, predictions, entropy)))

    def _keep(self, row, example):
        """Keep what `example()` gives if it is one of the worst images, or the worst of one of its classes."""
        score, full = row["mean_iou"], len(self.worst) == self.keep
        worst = self.keep and not np.isnan(score) and (not full or score < self.worst[-1].mean_iou)
        classes = [name for name in self.pictured if row["per_class"].get(name, _NO_TRUTH)["share"] > 0
                   and row["per_class"][name]["iou"] < self.worst_of_class.get(name, (np.inf,))[0]]
        if not worst and not classes:
            return
        one = example()
        if worst:
            self.worst = sorted([*self.worst, one], key=lambda one: one.mean_iou)[:self.keep]
        for name in classes:
            self.worst_of_class[name] = row["per_class"][name]["iou"], one

    def _by_map(self, measure, labels, predictions):
        """Return what `measure` gives for the labels, or for those of each class on the axis before the last."""
        ids, options = self.run.task.ids(self.run.classes), {"ignore_class": self.ignore_class}
        if not self.run.task.stacked:
            return measure(labels, predictions, ids, **options)
        return np.stack([measure(labels[..., index], predictions[..., index], ids, **options)
                         for index in range(self.run.classes)], axis=-2)

    def _entropy(self, labels, logits):
        """Count calibration and thresholds; return the entropy, `[H, W]`, NaN of a model that gives labels alone."""
        if self.run.labels_only:
            return np.full(labels.shape[:2], np.nan)
        found = probabilities(logits, self.run.task)
        if self.run.task.exclusive:
            self.calibration.update(labels, found)
            return metrics.entropy_map(found)
        self.curve.update(labels, found)
        two = as_two_classes(found)  # [H, W, classes, 2]
        self.calibration.update(labels if self.run.task.stacked else labels[..., None], two)
        return metrics.entropy_map(two).mean(-1)


def _thumbnails(pixels, labels, predictions, entropy, most=512):
    """Return pixels, labels, predictions and entropy, thinned out to at most about `most` pixels per side."""
    step = max(1, -(-max(labels.shape[:2]) // most))
    pixels = resize(np.asarray(pixels, np.float32)[None], labels.shape[:2])[0][::step, ::step]
    labels, predictions, entropy = (part[::step, ::step] for part in (labels, predictions, entropy))
    return pictures.as_rgb(pixels), labels.astype(np.int32), predictions, entropy
