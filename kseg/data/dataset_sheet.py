"""A sheet to look at before training: images, their labels, both together, and what augmentation makes of them."""

import os
import typing
from collections.abc import Callable

import numpy as np

from kseg import checks, pictures
from kseg.data import augment as augmentation
from kseg.data import sources, split_comparison
from kseg.data.class_balance import pixels_of_classes
from kseg.data.pipeline import load
from kseg.data.sources.base import Source
from kseg.data.sources.file_pairs import spread
from kseg.labels import IGNORE_CLASS, LabelSet

TILE = (180, 240)  # greatest height and width of a picture in pixels
_COUNTED = 256  # label maps by which the shares of the classes are measured
_COLUMNS = ("image", "labels", "overlay", "augmented", "its overlay")


def show(name: str | Source, split: str | None = None, *, data_dir: str | None = None, count: int = 6,
         augment: bool | str | dict | augmentation.Recipe | Callable = True, image_size: tuple[int, int] | None = None,
         seed: int = 0, output: str | os.PathLike | None = None, **options: typing.Any) -> np.ndarray:
    """Return a picture of some pairs of a dataset, and write it to `output`.

    A row is an image, its labels, the labels over the image, and image and overlay as the pipeline augments them;
    above it stand its name, shape, type and largest classes. The legend gives each class's share of the labelled
    pixels, over all label maps or 256 of them spread evenly.

    Args:
        name: as `kseg.data.load`, or a source.
        split: "train", "validation", "test", or None ("train"; of a source: its own).
        data_dir: str or None, where the files are.
        count: int, pairs shown, spread evenly over the split.
        augment: as `kseg.data.load`; False for no such columns. Mixing, which takes a batch, is left out.
        image_size: (height, width) in pixels of the augmented images, or None for each image's own.
        seed: int, of the augmentation.
        output: str or path of a `.png`, which appears whole or not at all; or None.
        options: further arguments of `kseg.data.source` (`classes`, `label_map`, …).
    Returns:
        uint8 `[H, W, 3]` RGB.
    Raises:
        ValueError, FileNotFoundError: as `kseg.data.load`.
    """
    checks.positive_integer("count", count)
    source = sources.opened(name, split, data_dir=data_dir, image_size=image_size, **options)
    source.probe()
    others = [] if source is name else split_comparison.other_splits(
        source, name, data_dir=data_dir, image_size=image_size, **options)
    chosen = _Chosen(source, spread(len(source), count))
    examples = None
    if augment is not None and augment is not False:
        examples = load(chosen, image_size=image_size, batch_size=None, augment=augment, seed=seed, shuffle=False,
                        cache=False, epoch=0).as_numpy_iterator()
    shares, void, counted = _shares(source)
    rows, titles = [], []
    for place in range(len(chosen)):
        pixels, labels = chosen.read(place)
        rows.append(_pictures(pixels, labels, source.label_set) + (
            [] if examples is None else _pictures(*next(examples), source.label_set)[::2]))
        titles.append(_title(chosen.describe(place), pixels, labels, source.label_set))
    named = LabelSet(tuple(f"{class_name} {_percent(share)}" for class_name, share in zip(
        source.label_set.names, shares)), source.label_set.palette, ignore_color=source.label_set.ignore_color)
    sheet = pictures.sheet(rows, named, _COLUMNS[:len(rows[0])], titles, TILE)
    lengths = ", ".join(f"{one.split} {len(one):,}" for one in (source, *others))
    heading = pictures.lines([
        f"{source.name}: {lengths} pairs; {len(source.label_set)} classes; shown: {len(rows)} of {source.split}",
        f"shares of classes below: of the labelled pixels of {counted} of {len(source):,} label maps; "
        f"{_percent(void)} of all pixels are ignored"], sheet.shape[1])
    sheet = np.concatenate([heading, sheet])
    if output is not None:
        pictures.write_picture(output, sheet)
    return sheet


class _Chosen(Source):
    """Some pairs of a source."""

    def __init__(self, source, indices):
        self.source, self.indices = source, indices
        self.name, self.split, self.channels, self.label_set = (
            source.name, source.split, source.channels, source.label_set)
        self.failures, self.task, self.pixel_range = source.failures, source.task, source.pixel_range

    def __len__(self):
        return len(self.indices)

    def read(self, index):
        return self.source.read(self.indices[int(index)])

    def describe(self, index):
        return self.source.describe(self.indices[index])


def _shares(source):
    """Return each class's share of the labelled pixels, the share of ignored pixels, and how many maps were read."""
    indices = spread(len(source), _COUNTED)
    classes, ignored, labels = 0, 0, 0
    for index in indices:
        ids = source.read_labels(index)
        classes = classes + pixels_of_classes(ids, len(source.label_set))
        ignored, labels = ignored + (ids == IGNORE_CLASS).sum(), labels + ids.size
    return classes / max(classes.sum(), 1), ignored / max(labels, 1), len(indices)


def _pictures(pixels, labels, label_set):
    """Return the image, its labels, and the labels over the image."""
    shown = labels.astype(np.int32) if labels.ndim == 2 else pictures.painted(labels, label_set)[0]
    return [pictures.as_rgb(pixels), shown, pictures.overlay(pixels, labels, label_set)]


def _title(path, pixels, labels, label_set, most=4):
    """Return the line over a row: name, shape, type and largest classes."""
    ignored = (labels == IGNORE_CLASS).mean(dtype=np.float64)
    counts = np.append(pixels_of_classes(labels, len(label_set)) / (labels.shape[0] * labels.shape[1]), ignored)
    names = (*label_set.names, "ignored")
    largest = [index for index in np.argsort(-counts, kind="stable")[:most] if counts[index]]
    shares = ", ".join(f"{names[index]} {_percent(counts[index])}" for index in largest)
    shape, rest = "x".join(map(str, pixels.shape)), ", …" if (counts > 0).sum() > most else ""
    return f"{path} · {shape} {pixels.dtype} · {shares}{rest}"


def _percent(share):
    return f"{share:.0%}" if share >= 0.1 or share == 0 else f"{share:.1%}" if share >= 0.001 else "<0.1%"
