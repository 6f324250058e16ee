"""The kinds of file that predicted labels go into, by the file that was segmented: picture, GeoTIFF or volume."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kseg import pictures
from kseg.data.formats import nifti
from kseg.inference import scenes
from kseg.inference.images import open_image
from kseg.labels import LabelSet

Predict = Callable[..., np.ndarray]  # an opened image, and `out`, to its labels


class LabelFile(NamedTuple):
    """A kind of file: its suffix, and the function that segments an image into it.

    `write(predict, path, target, label_set, channels, pixel_range)` reads the image at `path`, writes its labels to
    `target` and returns (pixels, labels) to be looked at, `[H, W, channels]` and `[H, W]`, read by slices.
    """

    suffix: str
    write: Callable[..., tuple[Any, Any]]


def kind_for(path: str, channels: int) -> LabelFile:
    """Return the kind of file that the labels of the image at `path` go into."""
    if nifti.is_volume(path):
        return VOLUME
    return GEOTIFF if scenes.is_georeferenced(path, channels) else PICTURE


def stem(path: str) -> str:
    """Return a path without its suffix, `.nii.gz` being one."""
    return path[:-len(".nii.gz")] if path.lower().endswith(".nii.gz") else os.path.splitext(path)[0]


def _into_picture(predict: Predict, path: str, target: str, label_set: LabelSet, channels: int, pixel_range: Any):
    pixels = open_image(path, channels, "inputs", pixel_range=pixel_range)
    labels = predict(pixels)
    pictures.write_labels(target, labels, label_set)
    return pixels, labels


def _into_geotiff(predict: Predict, path: str, target: str, label_set: LabelSet, channels: int, pixel_range: Any):
    pixels = open_image(path, channels, "inputs", pixel_range=pixel_range)
    with scenes.label_raster(target, pixels.scene, label_set) as out:
        predict(pixels, out=out)
    return pixels, scenes.WrittenLabels(target)


def _into_volume(predict: Predict, path: str, target: str, label_set: LabelSet, channels: int, pixel_range: Any):
    """The slice in the middle is what is looked at."""
    del label_set
    volume = open_image(path, channels, "inputs", batches=True, pixel_range=pixel_range)
    labels = predict(volume)  # [slices, H, W]
    nifti.write_labels(target, labels, path)
    middle = len(volume) // 2
    return open_image(volume[middle], channels, "inputs", pixel_range=pixel_range), labels[middle]


PICTURE = LabelFile(".png", _into_picture)
GEOTIFF = LabelFile(".tif", _into_geotiff)
VOLUME = LabelFile(".nii.gz", _into_volume)
