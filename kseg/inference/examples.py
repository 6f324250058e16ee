"""The images and labels that an evaluation runs over, one by one."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kseg import checks, data
from kseg.data import geometry
from kseg.data.pixel_range import PixelRange
from kseg.labels import LabelSet
from kseg.tasks import Task

Triple = tuple[str, np.ndarray, np.ndarray]  # what an image is called, its pixels [H, W, C], its labels [h, w]


class Examples(NamedTuple):
    """A dataset to measure on."""

    name: str
    examples: Iterator[Triple]
    count: int | None = None  # None if only their end will tell
    label_set: LabelSet | None = None  # the dataset's own
    read: Callable[[int], Triple] | None = None  # an example by its number; None if they only come in their order


def examples_of(dataset: str | Iterable, split: str, data_dir: str | os.PathLike | None, *,
                image_size: Sequence[int] | None, full_resolution: bool, channels: int,
                pixel_range: PixelRange | None, task: Task, options: dict[str, Any]) -> Examples:
    """Return the examples of a dataset, by its name or from pairs of pixels and labels.

    The arguments are those of `kseg.evaluate`, the bands the model takes, its `pixel_range` and its task; ValueError if
    they contradict each other.
    """
    if not full_resolution and image_size is None:
        raise ValueError(checks.sentence("image_size", "must be given with full_resolution=False", None,
                                         "Write for example image_size=(384, 512)."))
    if isinstance(dataset, str):
        size = None if image_size is None else checks.image_size(image_size)
        source = data.source(dataset, split, data_dir=data_dir, image_size=size,
                             **{"channels": channels, "pixel_range": pixel_range, "task": task.name, **options})
        read = functools.partial(_read, source, size, full_resolution)
        return Examples(f"{dataset}/{split}", map(read, range(len(source))), len(source), source.label_set, read)
    if image_size is not None or data_dir is not None or options:
        raise ValueError(checks.sentence(
            "dataset", "must be a name where `image_size`, `data_dir` or `data_options` is given",
            type(dataset).__name__, "Resize the images in the dataset itself."))
    return Examples(type(dataset).__name__, _pairs(dataset, task))


def _read(source, size, full_resolution, index):
    """Return an image of `source`, resized to `size` for the model; labels too, unless at full resolution."""
    pixels, labels = source.read(index)
    if size is not None and pixels.shape[:2] != size:
        resized = geometry.resize(tf.constant(pixels), tf.constant(labels), size)  # as training resizes
        pixels, labels = resized[0].numpy(), labels if full_resolution else resized[1].numpy()
    return source.describe(index), pixels, labels


def _pairs(dataset, task):
    """Yield single images from pairs of arrays or tensors, batched or not."""
    seen = 0
    for example in dataset:
        if not isinstance(example, (tuple, list)) or len(example) < 2:
            raise TypeError(checks.sentence("dataset", "must give pairs (pixels, labels)", type(example).__name__,
                                            "Zip the images with their labels."))
        pixels, labels = (np.asarray(part) for part in example[:2])
        if labels.ndim == pixels.ndim and labels.shape[-1] == 1 and not task.stacked:
            labels = labels[..., 0]  # [(B,) h, w]
        if pixels.ndim not in (3, 4) or labels.ndim != pixels.ndim - (not task.stacked):
            wanted, advice = ("[(B,) h, w, classes]", "Labels are 0, 1 or 255 for each class.") if task.stacked else (
                "[(B,) h, w]", "Labels are class ids, not one-hot.")
            raise ValueError(checks.sentence(
                "dataset", f"must give pixels [(B,) H, W, channels] and labels {wanted}",
                (pixels.shape, labels.shape), advice))
        for one, own in zip(pixels, labels) if pixels.ndim == 4 else [(pixels, labels)]:
            yield f"image {seen}", one, own
            seen += 1
