"""Arrays in memory to batches, by the same pipeline as files."""

import typing
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from kseg.data import augment as augmentation
from kseg.data import guards
from kseg.data.label_ids import Classes
from kseg.data.pipeline import load
from kseg.data.pixel_range import PixelRange, asks_for_percentiles
from kseg.data.sources import measured
from kseg.data.sources.arrays import ArraysSource
from kseg.data.sources.file_pairs import spread


def from_arrays(pixels: np.ndarray | Sequence[np.ndarray], labels: np.ndarray | Sequence[np.ndarray], *,
                classes: Classes | None = None, label_map: dict[int, int] | None = None, split: str = "train",
                task: str = "multiclass", image_size: tuple[int, int] | None = None, batch_size: int | None = 8,
                augment: bool | str | dict | augmentation.Recipe | Callable = False, seed: int | None = None,
                shuffle: bool | None = None, pixel_range: PixelRange | Sequence | str | None = None,
                **options: typing.Any) -> tf.data.Dataset:
    """Return a dataset of batches (pixels, labels) of arrays, with the options of `kseg.data.load`.

    Args:
        pixels: numbers 0–255 `[N, H, W, channels]`, uint8 or others, which are rounded to it, or, with a
            `pixel_range`, any numbers; or a list of `[H, W, channels]`, whose sizes may differ (then with
            `image_size`, or `batch_size=1`).
        labels: integers or bool `[N, H, W]` or `[N, H, W, 1]`, class ids, 255 = ignore; or a list of such. For
            task="multilabel" `[N, H, W, classes]` of 0, 1 and 255.
        classes: int, sequence of names, `LabelSet`, or None: those of `label_map`, else counted from the labels.
        label_map: dict or None, stored value → class id or 255: {0: 0, 255: 1} for masks of 0 and 255.
        split: "train" (shuffled), "validation" or "test", what the pairs are for.
        task: what the labels are for, as `kseg.data.source`; of "binary" and "multilabel" labels of nothing but 0 and
            255 are read as background and foreground.
        image_size, batch_size, augment, seed, shuffle: as `kseg.data.load`.
        pixel_range: which numbers become pixels 0 and 255: (low, high), one such pair per band, or "percentiles" of
            these arrays, as `kseg.data.load`; pixels are float32 then, with their full resolution. (0, 255) leaves
            floats as they are.
        options: `cache_size`, `drop_remainder`, `epoch`, `shard`, `patches` or `border_weights` of `kseg.data.load`,
            and `cache`, here False by default: the arrays are in memory already.
    Returns:
        `tf.data.Dataset` of pixels 0–255 `[B, H, W, channels]`, uint8 or float32, and labels int32 `[B, H, W]` (255 =
        ignore).
    Raises:
        ValueError: if shapes do not fit, or ids or pixels are out of range.
        TypeError: if they are not numbers, or labels not integers.
    """
    source = ArraysSource.of(pixels, labels, classes=classes, label_map=label_map, split=split, task=task)
    if pixel_range is not None:
        found = measured(source) if asks_for_percentiles(pixel_range) else pixel_range
        source = source.scaled_by(PixelRange.of(found, source.channels))
    else:
        guards.warn(source, guards.of_pixels([source.pixels[index] for index in spread(len(source), 8)]))
    return load(source, image_size=image_size, batch_size=batch_size, augment=augment, seed=seed, shuffle=shuffle,
                **{"cache": False, **options})
