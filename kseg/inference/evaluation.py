"""Evaluation at the labels' full resolution: the dataset's scores, each image's, and the worst images.

Logits are resized to the label, never the label to the logits.
"""

import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kseg import checks, metrics, pictures
from kseg.inference.examples import examples_of
from kseg.inference.images import resize
from kseg.inference.metadata import known_labels
from kseg.inference.predict import Model, Predictor, label_map
from kseg.inference.progress import progress_bar
from kseg.inference.report.outcome import Evaluation, Example
from kseg.inference.results import softmax, votes
from kseg.inference.runners import runner_for
from kseg.labels import LabelSet


def evaluate(model: Model, dataset: str | Iterable, split: str = "validation", *,
             data_dir: str | os.PathLike | None = None, image_size: Sequence[int] | None = None,
             full_resolution: bool = True, label_set: LabelSet | None = None, boundaries: bool = True,
             keep_worst: int = 10, batch_size: int = 4, window: int | Sequence[int] | None = None,
             overlap: float = 0.5, blend: str = "hann", scales: float | Sequence[float] = (1.0,), flip: bool = False,
             progress: bool = False, data_options: dict[str, Any] | None = None) -> Evaluation:
    """Measure a model on a dataset.

    Args:
        model: a `keras.Model`, or the path of a `.keras`, `.tflite` or `.onnx` file or a SavedModel folder.
        dataset: a name as in `kseg.data.load`, or an iterable of `(pixels, labels)`, single or in batches, such as a
            `tf.data.Dataset`; pixels `[(B,) H, W, channels]` 0–255 (as `kseg.data.load` gives them, also for a model
            with a `pixel_range`), labels integers `[(B,) h, w]`.
        split: "train", "validation" or "test", of a named dataset.
        data_dir: str or None, where the files of a named dataset are.
        image_size: (height, width) in pixels the images of a named dataset are resized to for the model, or None.
        full_resolution: bool; True measures at the size of the stored labels, to which the logits are enlarged; False
            at `image_size`, to which the labels are reduced: the score that validation during training reports.
        label_set: `LabelSet` or None (the dataset's, else the model's, else numbered classes).
        boundaries: bool, whether boundary IoU and F1 are measured (they take longer than the rest).
        keep_worst: int, how many of the images of lowest mean IoU are kept with their pictures. Default 10.
        batch_size, window, overlap, blend, scales, flip: as in `kseg.predict`.
        progress: bool, whether a bar is drawn in the terminal.
        data_options: dict or None, further arguments of `kseg.data.source`, for a named dataset.
    Returns:
        `Evaluation`: scores as attributes, `table()`, `to_dict()`, `write(folder)`. The calibration error and the
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
                        channels=run.in_channels, pixel_range=run.pixel_range, options=data_options or {})
    label_set = known_labels(label_set or found.label_set or run.label_set, run.classes)
    options = {"batch_size": batch_size, "window": window, "overlap": overlap, "blend": blend,
               "scales": tuple(np.atleast_1d(scales).tolist()), "flip": flip}
    predictor = Predictor(run, "labels" if run.labels_only else "logits", scaled=True, **options)
    counts = _Counts(run.classes, label_set.ignore_class, boundaries, keep_worst)
    with progress_bar(progress, found.count) as advance:
        for title, pixels, labels in found.examples:
            counts.add(title, pixels, labels, predictor(pixels))
            advance(1)
    if not counts.images:
        raise ValueError(checks.sentence("dataset", "must hold at least one image", found.name, "Check the split."))
    settings = {**options, "image_size": image_size, "full_resolution": full_resolution}
    return Evaluation(
        found.name, getattr(model, "name", None) or str(model), label_set, counts.confusion, counts.boundary,
        counts.calibration, counts.images, counts.worst, settings, time.perf_counter() - began)


class _Counts:
    """What is counted image by image."""

    def __init__(self, classes, ignore_class, boundaries, keep):
        self.classes, self.ignore_class, self.keep = classes, ignore_class, keep
        self.confusion = np.zeros((classes, classes), np.int64)
        self.boundary = np.zeros((3, classes), np.int64) if boundaries else None
        self.calibration = metrics.Calibration(ignore_class=ignore_class)
        self.images, self.worst = [], []  # of the worst the lowest first

    def add(self, title, pixels, labels, answer):
        """Count one image: `answer`, logits `[h, w, classes]` or ids `[h, w]`, is resized to the labels `[H, W]`."""
        confident = answer.ndim == 3  # ids say nothing of their confidence
        logits = resize((answer if confident else votes(answer, self.classes))[None], labels.shape)[0]
        probabilities = softmax(logits) if confident else np.full_like(logits, np.nan)
        predictions = label_map(logits)
        matrix = metrics.confusion_matrix(labels, predictions, self.classes, self.ignore_class)
        self.confusion += matrix
        if confident:
            self.calibration.update(labels, probabilities)
        own = metrics.scores_from_confusion(matrix)
        row = {"name": title, "mean_iou": own["mean_iou"], "pixel_accuracy": own["pixel_accuracy"]}
        if self.boundary is not None:
            self.boundary += metrics.boundary_counts(labels, predictions, self.classes, ignore_class=self.ignore_class)
            row["boundary_f1"] = metrics.image_boundary_f1(labels, predictions, self.classes,
                                                           ignore_class=self.ignore_class)
        self.images.append(row)
        score, full = row["mean_iou"], len(self.worst) == self.keep
        if self.keep and not np.isnan(score) and (not full or score < self.worst[-1].mean_iou):
            example = Example(title, score, *_thumbnails(pixels, labels, predictions, probabilities))
            self.worst = sorted([*self.worst, example], key=lambda one: one.mean_iou)[:self.keep]


def _thumbnails(pixels, labels, predictions, probabilities, most=512):
    """Return pixels, labels, predictions and entropy, thinned out to at most about `most` pixels per side."""
    step = max(1, -(-max(labels.shape) // most))
    pixels = resize(np.asarray(pixels, np.float32)[None], labels.shape)[0][::step, ::step]
    labels, predictions, probabilities = (part[::step, ::step] for part in (labels, predictions, probabilities))
    return pictures.as_rgb(pixels), labels.astype(np.int32), predictions, metrics.entropy_map(probabilities)
