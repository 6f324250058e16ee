"""Evaluation at the labels' full resolution: the dataset's scores, each image's, and the worst images.

Logits are resized to the label, never the label to the logits.
"""

import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

from kseg import checks, tasks
from kseg.inference.measurement import Measurement
from kseg.inference.predict import Model
from kseg.inference.progress import progress_bar
from kseg.inference.report.outcome import Evaluation
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
    began = time.perf_counter()
    measurement = Measurement(
        model, dataset, split, data_dir=data_dir, image_size=image_size, full_resolution=full_resolution,
        label_set=label_set, boundaries=boundaries, keep_worst=keep_worst, batch_size=batch_size, window=window,
        overlap=overlap, blend=blend, scales=scales, flip=flip, threshold=threshold, data_options=data_options)
    counts = measurement.new_counts()
    with progress_bar(progress, measurement.found.count) as advance:
        for number, example in enumerate(measurement.found.examples):
            measurement.add(counts, number, *example)
            advance(1)
    if not counts:
        raise ValueError(checks.sentence("dataset", "must hold at least one image", measurement.found.name,
                                         "Check the split."))
    return measurement.evaluation(counts, time.perf_counter() - began)
