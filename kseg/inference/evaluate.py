"""Evaluation at the labels' full resolution: the dataset's scores, each image's, and the worst images.

Logits are resized to the label, never the label to the logits.
"""

import heapq
import time

import numpy as np

from kseg import checks, data, metrics
from kseg.data import geometry
from kseg.inference import pictures
from kseg.inference.evaluation import Evaluation, Example
from kseg.inference.predict import label_map, predict, resize, softmax
from kseg.inference.progress import bar
from kseg.inference.runners import runner as make_runner


def evaluate(model, dataset, split="validation", *, data_dir=None, image_size=None, full_resolution=True,
             label_set=None, boundaries=True, keep_worst=10, batch_size=4, window=None, overlap=0.5, blend="hann",
             scales=(1.0,), flip=False, progress=False, data_options=None):
    """Measure a model on a dataset.

    Args:
        model: a `keras.Model`, or the path of a `.keras` file, a SavedModel folder or a `.tflite` file.
        dataset: a name as in `kseg.data.load`, or an iterable of `(pixels, labels)`, single or in batches, such as a
            `tf.data.Dataset`; pixels `[(B,) H, W, channels]` 0–255, labels integers `[(B,) h, w]`.
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
    run = make_runner(model)
    began = time.perf_counter()
    checks.positive_integer("keep_worst", keep_worst, minimum=0)
    if not full_resolution and image_size is None:
        raise ValueError(checks.sentence("image_size", "must be given with full_resolution=False", None,
                                         "Write for example image_size=(384, 512)."))
    if isinstance(dataset, str):
        examples, count, known = _named(dataset, split, data_dir, image_size, full_resolution, run.in_channels,
                                        data_options or {})
        name = f"{dataset}/{split}"
    else:
        if image_size is not None or data_dir is not None or data_options:
            raise ValueError(checks.sentence(
                "dataset", "must be a name where `image_size`, `data_dir` or `data_options` is given",
                type(dataset).__name__, "Resize the images in the dataset itself."))
        examples, count, known, name = _pairs(dataset), None, None, type(dataset).__name__
    label_set = pictures.known_labels(label_set or known or run.label_set, run.classes)
    options = {"batch_size": batch_size, "window": window, "overlap": overlap, "blend": blend,
               "scales": tuple(np.atleast_1d(scales).tolist()), "flip": flip}
    scores = _Scores(run.classes, label_set.ignore_class, boundaries, keep_worst, run.labels_only)
    with bar(progress, count) as advance:
        for title, pixels, labels in examples:
            scores.add(title, pixels, labels, _logits(run, pixels, options))
            if advance:
                advance(1)
    if not scores.images:
        raise ValueError(checks.sentence("dataset", "must hold at least one image", name, "Check the split."))
    settings = {**options, "image_size": image_size, "full_resolution": full_resolution}
    return Evaluation(
        name, getattr(model, "name", None) or str(model), label_set, scores.confusion, scores.boundary,
        scores.calibration, scores.images, scores.worst(), settings, time.perf_counter() - began)


def _logits(run, pixels, options):
    """Return the logits of an image, float32 `[h, w, classes]`; 1 and 0 from a file that gives labels alone."""
    if run.labels_only:
        return np.eye(run.classes, dtype=np.float32)[predict(run, pixels, **options)]
    return predict(run, pixels, "logits", **options)


class _Scores:
    """What is counted image by image."""

    def __init__(self, classes, ignore_class, boundaries, keep, labels_only=False):
        self.labels_only = labels_only
        self.classes, self.ignore_class, self.keep = classes, ignore_class, keep
        self.confusion = np.zeros((classes, classes), np.int64)
        self.boundary = np.zeros((3, classes), np.int64) if boundaries else None
        self.calibration = metrics.Calibration(ignore_class=ignore_class)
        self.images, self._heap = [], []

    def add(self, title, pixels, labels, logits):
        """Count one image: logits `[h, w, classes]` are resized to the labels `[H, W]`."""
        logits = resize(logits[None], labels.shape)[0]
        probabilities = np.full_like(logits, np.nan) if self.labels_only else softmax(logits)
        predictions = label_map(logits)
        matrix = metrics.confusion_matrix(labels, predictions, self.classes, self.ignore_class)
        self.confusion += matrix
        if not self.labels_only:
            self.calibration.update(labels, probabilities)
        own = metrics.scores_from_confusion(matrix)
        row = {"name": title, "mean_iou": own["mean_iou"], "pixel_accuracy": own["pixel_accuracy"]}
        if self.boundary is not None:
            self.boundary += metrics.boundary_counts(labels, predictions, self.classes, ignore_class=self.ignore_class)
            row["boundary_f1"] = metrics.image_boundary_f1(labels, predictions, self.classes,
                                                           ignore_class=self.ignore_class)
        self.images.append(row)
        rank = (-row["mean_iou"], -len(self.images))  # the greatest is the worst; of equal ones the earlier
        full = len(self._heap) == self.keep
        if self.keep and not np.isnan(row["mean_iou"]) and (not full or rank > self._heap[0][:2]):
            example = Example(title, row["mean_iou"], *_thumbnails(pixels, labels, predictions, probabilities))
            (heapq.heapreplace if full else heapq.heappush)(self._heap, (*rank, example))

    def worst(self):
        """Return the images of lowest mean IoU, the lowest first."""
        return [example for _, _, example in sorted(self._heap, key=lambda item: item[:2], reverse=True)]


def _thumbnails(pixels, labels, predictions, probabilities, most=512):
    """Return pixels, labels, predictions and entropy, thinned out to at most about `most` pixels a side."""
    step = max(1, -(-max(labels.shape) // most))
    pixels = resize(np.asarray(pixels, np.float32)[None], labels.shape)[0][::step, ::step]
    thin = [part[::step, ::step] for part in (labels, predictions)]
    return pictures.as_rgb(pixels), thin[0].astype(np.int32), thin[1], metrics.entropy_map(
        probabilities[::step, ::step])


def _named(name, split, data_dir, image_size, full_resolution, channels, options):
    """Return `(examples, count, label_set)` of a named dataset; examples are `(title, pixels, labels)`."""
    size = None if image_size is None else checks.image_size(image_size)
    source = data.source(name, split, data_dir=data_dir, image_size=size,
                         **{"channels": channels if channels in (1, 3) else 3, **options})

    def examples():
        for index in range(len(source)):
            pixels, labels = source.read(index)
            if size is not None and pixels.shape[:2] != size:
                pixels, small = _resized(pixels, labels, size)
                labels = labels if full_resolution else small
            yield source.describe(index), pixels, labels

    return examples(), len(source), source.label_set


def _resized(pixels, labels, size):
    """Return the pair at `size` as the training pipeline makes it."""
    import tensorflow as tf

    pixels, labels = geometry.resize(tf.constant(pixels), tf.constant(labels), size)
    return np.asarray(pixels), np.asarray(labels)


def _pairs(dataset):
    """Yield `(title, pixels, labels)` of single images from pairs of arrays or tensors, batched or not."""
    seen = 0
    for example in dataset:
        if not isinstance(example, (tuple, list)) or len(example) < 2:
            raise TypeError(checks.sentence("dataset", "must give pairs (pixels, labels)", type(example).__name__,
                                            "Zip the images with their labels."))
        pixels, labels = (np.asarray(part) for part in example[:2])
        if labels.ndim == pixels.ndim and labels.shape[-1] == 1:
            labels = labels[..., 0]  # [(B,) h, w]
        if pixels.ndim not in (3, 4) or labels.ndim != pixels.ndim - 1:
            raise ValueError(checks.sentence(
                "dataset", "must give pixels [(B,) H, W, channels] and labels [(B,) h, w]",
                (pixels.shape, labels.shape), "Labels are class ids, not one-hot."))
        for one, own in zip(pixels, labels) if pixels.ndim == 4 else [(pixels, labels)]:
            yield f"image {seen}", one, own
            seen += 1
