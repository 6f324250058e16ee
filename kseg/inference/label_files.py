"""The kinds of file that predicted labels go into, by the file that was segmented: picture, GeoTIFF or volume."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kseg import checks, pictures
from kseg.data.formats import nifti
from kseg.inference import scenes
from kseg.inference.images import open_image
from kseg.labels import LabelSet
from kseg.tasks import Task

Predict = Callable[..., np.ndarray]  # an opened image, and `out`, to its labels


class LabelFile(NamedTuple):
    """A kind of file: its suffix, and the function that segments an image into it.

    `write(predict, path, targets, label_set, channels, pixel_range)` reads the image at `path`, writes its labels to
    `targets`, a list of one path or of one per class, and returns (pixels, labels) to be looked at, `[H, W, channels]`
    and `[H, W]`, read by slices.
    """

    suffix: str
    write: Callable[..., tuple[Any, Any]]


def kind_for(path: str, channels: int, task: Task) -> LabelFile:
    """Return the kind of file that the labels of the image at `path` go into.

    Raises:
        ValueError: if labels of several classes per pixel were to go into a volume or a GeoTIFF.
    """
    kind = VOLUME if nifti.is_volume(path) else GEOTIFF if scenes.is_georeferenced(path, channels) else PICTURE
    if not task.stacked:
        return kind
    if kind is not PICTURE:
        raise ValueError(checks.sentence(
            "inputs", f"must be pictures for a model of task={task.name!r}, not volumes and GeoTIFFs", path,
            "Segment it with kseg.predict, which returns [H, W, classes]."))
    return PICTURES


def stem(path: str) -> str:
    """Return a path without its suffix, `.nii.gz` being one."""
    return path[:-len(".nii.gz")] if path.lower().endswith(".nii.gz") else os.path.splitext(path)[0]


def _into_picture(predict: Predict, path: str, targets: list[str], label_set: LabelSet, channels: int,
                  pixel_range: Any):
    pixels = open_image(path, channels, "inputs", pixel_range=pixel_range)
    labels = predict(pixels)
    pictures.write_labels(targets[0], labels, label_set)
    return pixels, labels


def _into_pictures(predict: Predict, path: str, targets: list[str], label_set: LabelSet, channels: int,
                   pixel_range: Any):
    """One per class, of the values 0 and 1: black and the colour of the class."""
    pixels = open_image(path, channels, "inputs", pixel_range=pixel_range)
    labels = predict(pixels)  # [H, W, classes]
    for index, target in enumerate(targets):
        colours = np.stack([np.zeros(3, np.uint8), label_set.palette[index]])
        pictures.write_labels(target, labels[..., index], LabelSet(("none", label_set.names[index]), colours))
    return pixels, labels


def _into_geotiff(predict: Predict, path: str, targets: list[str], label_set: LabelSet, channels: int,
                  pixel_range: Any):
    pixels = open_image(path, channels, "inputs", pixel_range=pixel_range)
    with scenes.label_raster(targets[0], pixels.scene, label_set) as out:
        predict(pixels, out=out)
    return pixels, scenes.WrittenLabels(targets[0])


def _into_volume(predict: Predict, path: str, targets: list[str], label_set: LabelSet, channels: int, pixel_range: Any):
    """The slice in the middle is what is looked at."""
    del label_set
    volume = open_image(path, channels, "inputs", batches=True, pixel_range=pixel_range)
    labels = predict(volume)  # [slices, H, W]
    nifti.write_labels(targets[0], labels, path)
    middle = len(volume) // 2
    return open_image(volume[middle], channels, "inputs", pixel_range=pixel_range), labels[middle]


PICTURE = LabelFile(".png", _into_picture)
PICTURES = LabelFile(".png", _into_pictures)
GEOTIFF = LabelFile(".tif", _into_geotiff)
VOLUME = LabelFile(".nii.gz", _into_volume)
