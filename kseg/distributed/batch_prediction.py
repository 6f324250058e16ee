"""`kseg predict --ray` as a function: any number of images, segmented by several workers, each image once."""

import math
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kseg import checks, tasks
from kseg.distributed.cluster import Workers, connected
from kseg.distributed.image_sets import image_set
from kseg.distributed.manifest import Manifest
from kseg.distributed.sent_model import SentModel
from kseg.distributed.streaming import on_one_worker, quiet_data, stream
from kseg.inference.progress import job_progress
from kseg.labels import LabelSet

if TYPE_CHECKING:
    import keras

_ROWS = {"png": 8, "parquet": 64}  # images a worker is given at once; as many come into a Parquet file


class PredictionJob(NamedTuple):
    """What `kseg.distributed.predict` has done.

    Attributes:
        written: int, images that this call segmented.
        kept: int, images whose labels were there.
        errors: dict, image → what is wrong with it, of those without labels.
        errors_file: str, path of the same as `errors.csv`, or None without any.
        seconds: float, the time it took.
    """

    written: int
    kept: int
    errors: dict[str, str]
    errors_file: str | None
    seconds: float


def predict(model: "keras.Model | str | os.PathLike", images: str | os.PathLike, output: str | os.PathLike, *,
            address: str = "local", workers: int | None = None, cpus_per_worker: float = 1,
            gpus_per_worker: float | None = None, format: str = "png", label_set: LabelSet | None = None,
            image_column: str | None = None, key_column: str | None = None, overwrite: bool = False,
            batch_size: int = 4, window: int | Sequence[int] | None = None, overlap: float = 0.5, blend: str = "hann",
            scales: float | Sequence[float] = (1.0,), flip: bool = False, threshold: tasks.Threshold = None,
            progress: bool = False) -> PredictionJob:
    """Segment any number of images with several workers on a Ray cluster; the labels are those of `kseg.predict`.

        kseg.distributed.predict("street.keras", "photographs", "labelled", workers=4, progress=True)
        kseg.distributed.predict("street.tflite", "s3://bucket/photographs.parquet", "labelled",
                                 address="192.168.1.10:6379", format="parquet")

    Below `output`: `labels/NAME.png` (of GeoTIFFs `.tif`, of volumes `.nii.gz`), as `kseg.inference.predict_files`
    writes them, subfolders kept; or `parquet/part-….parquet` with the columns "key", "class" (of a multi-label model,
    which has a row per class), "height", "width" and "labels", the PNG file. Images that cannot be read are listed in
    `errors.csv` and tried again when the job is. `manifest/` knows what is done: however the job was killed, the same
    call goes on with it, and no image whose labels are there is segmented again.

    Images are not gathered anywhere: workers read the files themselves, or take records in turns from Ray Data. The
    machines must share the paths of images and output; the model may also be passed as `keras.Model`.

    Args:
        model: path or name as in `kseg.predict`, opened once by each worker, or a `keras.Model`, which is sent to them.
        images: a folder, with its subfolders; a `.txt` file with a path per line, from its folder (results are named
            after the lines); or encoded images in records: a `.parquet`, `.tar` (WebDataset) or `.tfrecord` file, a
            folder of such, or the address of one that Ray Data reads. Results of records are named after their keys.
        output: folder, new or of the same job.
        address: as `kseg.distributed.cluster.connected`.
        workers: int, processes; None: as many as the cluster has room for.
        cpus_per_worker: float, what Ray reserves.
        gpus_per_worker: float; None: 1 where the cluster has one for each worker, else 0.
        format: "png" or "parquet".
        label_set: `LabelSet` or None (the model's own, else numbered classes).
        image_column, key_column: str, of records, the columns of the encoded image and of its key; None: the first with
            a usual name ("image", "jpg", "png" …; "key", "__key__", "path" …).
        overwrite: bool, whether the results of an earlier job in `output` are deleted first.
        batch_size: int, windows of an image run at once.
        window, overlap, blend, scales, flip, threshold: as in `kseg.predict`.
        progress: bool, whether images done, their number per second and errors are shown.
    Returns:
        `PredictionJob`.
    Raises:
        ImportError: if Ray is not installed.
        ConnectionError: if no cluster answers at `address`.
        FileExistsError: if `output` holds something else, or is worked on by another program.
        FileNotFoundError: if there are no images, or a worker does not see the model.
        ValueError: if an argument is out of range, or two records have one key.
        ChildProcessError: if workers keep dying, or have too little memory.
        OSError: if `output` cannot be written to.
    """
    began = time.monotonic()
    checks.one_of("format", format, tuple(_ROWS))
    if workers is not None:
        checks.positive_integer("workers", workers)
    sent, found = SentModel(model), image_set(images, image_column, key_column)
    options = {"batch_size": batch_size, "window": window, "overlap": overlap, "blend": blend,
               "scales": tuple(np.atleast_1d(scales).tolist()), "flip": flip,
               "threshold": None if threshold is None else np.asarray(threshold).tolist()}
    output = os.path.abspath(os.fspath(output))
    job = {"images": found.place, "model": sent.digest, "format": format, "columns": found.columns, **options,
           "label_set": label_set and label_set.to_dict()}
    manifest = Manifest(output, job, overwrite)
    with connected(address, cpus=None if workers is None else math.ceil(workers * cpus_per_worker)), quiet_data():
        crew = Workers.of(workers, cpus_per_worker, gpus_per_worker)
        on_one_worker(check_model, sent, options, label_set)
        with manifest.held():
            done = {key for key, error in manifest.outcomes().items() if error is None}
            arguments = {"model": sent, "options": options, "label_set": label_set, "output": output,
                         "columns": found.columns, "into_parquet": format == "parquet",
                         "done": done if found.kind != "files" else frozenset()}
            written, kept = _run(found, done, crew, arguments, _ROWS[format], progress)
            outcomes = manifest.outcomes()
            errors = {key: error for key, error in outcomes.items() if error is not None}
            return PredictionJob(written, kept, errors, manifest.write_errors(outcomes), time.monotonic() - began)


def check_model(sent: SentModel, options: dict, label_set: LabelSet | None) -> None:
    """Raise what is wrong with the model or the options; in a worker, so that the program loads no model."""
    from kseg.inference.metadata import known_labels
    from kseg.inference.predict import Predictor

    run = Predictor(sent.opened(), **options).run
    known_labels(label_set or run.label_set, run.classes, run.task)


def _run(found, done, crew, arguments, rows, progress):
    """Segment the images of a set that are not done; return how many now were, and how many before."""
    from kseg.distributed.label_writing import LabelWriter

    files = found.kind == "files"
    kept = found.count - found.left(done) if files else 0
    if files and kept == found.count:
        return 0, kept
    written, keys, twice = 0, set(), None
    with job_progress(progress, found.count, kept) as advance:
        for outcomes in stream(found.dataset(done, crew.count), LabelWriter, arguments, crew, rows):
            for key, error, new in outcomes:
                written += new and error is None
                kept += not new
                twice = twice or (key if key in keys else None)
                if not files:
                    keys.add(key)
                advance(1, error is not None, new)
    if twice is not None:
        raise ValueError(checks.sentence("images", "must have a key of its own for every image", twice,
                                         "Name a key_column whose values differ."))
    return written, kept
