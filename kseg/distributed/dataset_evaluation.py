"""`kseg evaluate --ray` as a function: a dataset measured by several workers, the counts of all added up."""

import dataclasses
import math
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kseg import checks, tasks
from kseg.distributed.cluster import Workers, connected
from kseg.distributed.sent_model import SentModel
from kseg.distributed.streaming import in_pieces, on_one_worker, quiet_data, stream
from kseg.inference.progress import progress_bar
from kseg.inference.report.outcome import Evaluation
from kseg.labels import LabelSet

if TYPE_CHECKING:
    import keras

    from kseg.inference.counts import Counts

_ROWS = 8  # images a worker is given at once


def evaluate(model: "keras.Model | str | os.PathLike", dataset: str, split: str = "validation", *,
             address: str = "local", workers: int | None = None, cpus_per_worker: float = 1,
             gpus_per_worker: float | None = None, data_dir: str | os.PathLike | None = None,
             image_size: Sequence[int] | None = None, full_resolution: bool = True, label_set: LabelSet | None = None,
             boundaries: bool = True, keep_worst: int = 10, batch_size: int = 4,
             window: int | Sequence[int] | None = None, overlap: float = 0.5, blend: str = "hann",
             scales: float | Sequence[float] = (1.0,), flip: bool = False, threshold: tasks.Threshold = None,
             progress: bool = False, data_options: dict[str, Any] | None = None) -> Evaluation:
    """Measure a model on a dataset with several workers on a Ray cluster; the scores equal those of `kseg.evaluate`.

    Every worker reads the images of its share itself, and counts them: one confusion matrix, int64, is the sum of all.
    Workers compute with `cpus_per_worker` threads. On some processors the number of threads changes the last digit of
    a logit, and with it the calibration error and the entropy by as little.

    Args:
        model: path or name as in `kseg.predict`, opened once by each worker, or a `keras.Model`, which is sent to them.
        dataset: a name as in `kseg.data.load`.
        address, workers, cpus_per_worker, gpus_per_worker: as in `kseg.distributed.predict`.
        split, data_dir, image_size, full_resolution, label_set, boundaries, keep_worst, batch_size, window, overlap,
            blend, scales, flip, threshold, progress, data_options: as in `kseg.evaluate`.
    Returns:
        `Evaluation`, as `kseg.evaluate`.
    Raises:
        ImportError: if Ray is not installed.
        ConnectionError: if no cluster answers at `address`.
        TypeError: if `dataset` is no name.
        ValueError, FileNotFoundError: as `kseg.evaluate`; also of a worker.
        ChildProcessError: if workers keep dying, or have too little memory.
    """
    began = time.perf_counter()
    if not isinstance(dataset, str):
        raise TypeError(checks.sentence("dataset", "must be the name of a dataset, which every worker opens itself",
                                        type(dataset).__name__, "Measure pairs of arrays with kseg.evaluate."))
    if workers is not None:
        checks.positive_integer("workers", workers)
    sent = SentModel(model)
    arguments = {
        "dataset": dataset, "split": split, "data_dir": None if data_dir is None else os.path.abspath(data_dir),
        "image_size": image_size, "full_resolution": full_resolution, "label_set": label_set, "boundaries": boundaries,
        "keep_worst": keep_worst, "batch_size": batch_size, "window": window, "overlap": overlap, "blend": blend,
        "scales": scales, "flip": flip, "threshold": threshold, "data_options": data_options}
    with connected(address, cpus=None if workers is None else math.ceil(workers * cpus_per_worker)), quiet_data():
        crew = Workers.of(workers, cpus_per_worker, gpus_per_worker)
        outcome, counts, images = on_one_worker(nothing_yet, sent, arguments)
        if not images:
            raise ValueError(checks.sentence("dataset", "must hold at least one image", outcome.dataset,
                                             "Check the split."))
        with progress_bar(progress, images) as advance:
            numbers = in_pieces([{"number": number} for number in range(images)], crew.count)
            for share in stream(numbers, Counter, {"sent": sent, "arguments": arguments}, crew, _ROWS):
                counts.merge(share)
                advance(len(share))
    return dataclasses.replace(
        outcome, model=sent.name, confusion=counts.confusion, boundary=counts.boundary, calibration=counts.calibration,
        curve=counts.curve, images=counts.images, worst=counts.worst,
        worst_of_class=counts.worst_of_class, seconds=time.perf_counter() - began)


class Counter:
    """What a worker does: counts images of a dataset, which it opens once."""

    def __init__(self, sent: SentModel, arguments: dict[str, Any]):
        self._measurement = _measurement(sent, arguments)
        self._worst = self._measurement.new_counts()

    def __call__(self, rows: list[dict[str, int]]) -> "Counts":
        """Return what is counted of images by their numbers, with pictures of those that are its worst so far."""
        counts = self._measurement.new_counts()
        for row in rows:
            self._measurement.add(counts, row["number"], *self._measurement.found.read(row["number"]))
        counts.without_pictures_but(self._worst)
        return counts


def nothing_yet(sent: SentModel, arguments: dict[str, Any]) -> tuple[Evaluation, "Counts", int]:
    """Return an evaluation and counts of no image, and how many images there are; raise what is wrong, in a worker."""
    measurement = _measurement(sent, arguments)
    counts = measurement.new_counts()
    return measurement.evaluation(counts, 0.0), counts, measurement.found.count


def _measurement(sent, arguments):
    from kseg.inference.measurement import Measurement

    return Measurement(sent.opened(), **arguments)
