"""Arrays in memory as a source: what users hold themselves, read as files are."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Self

import numpy as np

from kseg import checks, tasks
from kseg.data import label_ids
from kseg.data.pixel_range import PixelRange
from kseg.data.sources.base import SPLITS, Source
from kseg.data.sources.file_pairs import spread
from kseg.labels import IGNORE_CLASS, LabelSet

_PROBED = 32  # pairs that are looked at before a pass


@dataclasses.dataclass(frozen=True, eq=False)
class ArraysSource(Source):
    """Pairs of arrays; `ArraysSource.of` makes and checks it."""

    pixels: Sequence[np.ndarray]
    labels: Sequence[np.ndarray]
    label_set: LabelSet
    table: np.ndarray  # int16 `[256]`, stored value → class id (`kseg.data.label_ids`)
    channels: int
    split: str
    name: str = "arrays"
    pixel_range: PixelRange | None = None
    task: str = "multiclass"

    @classmethod
    def of(cls, pixels: np.ndarray | Sequence[np.ndarray], labels: np.ndarray | Sequence[np.ndarray], *,
           classes: label_ids.Classes | None = None, label_map: dict[int, int] | None = None,
           split: str = "train", task: str = "multiclass") -> Self:
        """Return the source of images and their label maps; they are not copied.

        Args:
            pixels: numbers 0–255 `[N, H, W, channels]`, uint8 or others, which are rounded to it unless `scaled_by` a
                range; or a list of `[H, W, channels]`, whose sizes may differ. A `numpy.memmap` is read image by image.
            labels: integers or bool `[N, H, W]` or `[N, H, W, 1]`, 255 = ignore; or a list of such.
            classes: int, sequence of names, `LabelSet`, or None: those of `label_map`, else counted from the labels.
            label_map: dict or None, stored value → class id or 255.
            split: "train", "validation" or "test", what the pairs are for.
            task: what the labels are for; those of "multilabel" are `[N, H, W, classes]`.
        Raises:
            ValueError: if lengths, sizes or shapes do not fit.
            TypeError: if they are not numbers, or labels not integers.
        """
        checks.one_of("split", split, SPLITS)
        pixels, labels = _listed("pixels", pixels), _listed("labels", labels)
        if len(pixels) != len(labels) or not len(pixels):
            raise ValueError(checks.sentence("labels", f"must be one map for each of {len(pixels)} images", len(labels),
                                             "Pass arrays of equal length, at least 1."))
        kind = tasks.of(task)
        channels = _check_shapes(pixels, labels, kind)
        if not kind.exclusive:
            own = labels[0].shape[-1] if kind.stacked else 1
            classes = own if classes is None else classes
            label_set = classes if isinstance(classes, LabelSet) else kind.label_set(classes)
            label_map = label_map or _foreground_map(labels)
            kind.classes_of(label_set)
        elif classes is not None:
            label_set = label_ids.label_set_of(classes)
        elif label_map is not None:
            label_set = label_ids.label_set_of_map(label_map)
        else:
            label_set = LabelSet.generic(_count_classes(labels))
        table = label_ids.mapped_table(label_map, kind.ids(len(label_set)))
        return cls(pixels, labels, label_set, table, channels, split, task=task)

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def values_are_ids(self) -> bool:
        """Whether the table leaves class ids as they are."""
        return np.array_equal(self.table, label_ids.identity_table(len(self.label_set)))

    def describe(self, index: int) -> str:
        """Return "pixels[3]" for image 3."""
        return f"pixels[{index}]"

    def identity(self) -> list:
        """Return the table of ids, and a digest of every pair."""
        digests = [hashlib.sha1(np.ascontiguousarray(part).tobytes(), usedforsecurity=False).hexdigest()
                   for pair in zip(self.pixels, self.labels) for part in pair]
        return [self.table.tolist(), digests]

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        stored = self.read_stored(index)
        if self.pixel_range is not None:
            return self.pixel_range.scaled(stored), self.read_labels(index)
        return _of_8_bits(stored, self.describe(index)), self.read_labels(index)

    def read_stored(self, index: int) -> np.ndarray:
        return np.asarray(self.pixels[index])

    def scaled_by(self, pixel_range: PixelRange) -> Self:
        return dataclasses.replace(self, pixel_range=pixel_range)

    def read_labels(self, index: int) -> np.ndarray:
        stored = np.asarray(self.labels[index])
        stored = stored[..., 0] if stored.ndim == 3 and not self.label_axes else stored  # [H, W]
        stored = stored.astype(np.uint8) if stored.dtype == bool else stored
        ids = tasks.of(self.task).ids(len(self.label_set))
        return label_ids.to_class_ids(stored, self.table, f"labels[{index}]", ids)

    def probe(self) -> None:
        """Read some pairs; masks of nothing but 0 and 255 raise too, unless a `label_map` says what 255 means."""
        values = {int(value) for index in spread(len(self), _PROBED) for value in np.unique(self.read(index)[1])}
        if values == {0, IGNORE_CLASS} and self.values_are_ids and tasks.of(self.task).exclusive:
            raise ValueError(checks.sentence(
                "labels", "must hold class ids, and 255 only for ignore; those looked at so far hold nothing else than",
                sorted(values), label_ids.likely_cause(values, len(self.label_set))))


def _listed(name, arrays):
    """Return an argument as an array, or as a list of arrays if it is one."""
    arrays = [np.asarray(one) for one in arrays] if isinstance(arrays, (list, tuple)) else np.asarray(arrays)
    kinds, rule, advice = {"pixels": ("uif", "numbers from 0 to 255", "Convert them with NumPy first."), "labels": (
        "uib", "integer class ids", "Round and convert them: ids are whole numbers, not one-hot or scaled.")}[name]
    wrong = [one.dtype for one in (arrays if isinstance(arrays, list) else [arrays]) if one.dtype.kind not in kinds]
    if wrong:
        raise TypeError(checks.sentence(name, f"must be an array of {rule}, or a list of such", str(wrong[0]), advice))
    return arrays


def _foreground_map(labels):
    """Return the label map that reads 255 as 1 if some label maps looked at hold nothing but 0 and 255; else None."""
    values = {int(value) for index in spread(len(labels), _PROBED) for value in np.unique(labels[index])}
    return {0: 0, IGNORE_CLASS: 1} if IGNORE_CLASS in values and values <= {0, IGNORE_CLASS} else None


def _check_shapes(pixels, labels, task):
    """Return the bands of the pixels; raise where shapes do not fit."""
    channels = None
    for index, (image, ids) in enumerate(zip(pixels, labels)):
        if image.ndim != 3:
            raise ValueError(checks.sentence(
                "pixels", "must be [N, H, W, channels], or a list of [H, W, channels]", ("N", *image.shape),
                "Add the axis of channels: pixels[..., None] for grey."))
        fits = ids.shape in (image.shape[:2], (*image.shape[:2], 1))
        if task.stacked:
            fits = ids.ndim == 3 and ids.shape == (*image.shape[:2], labels[0].shape[-1])
        if not fits:
            raise ValueError(checks.sentence(
                "labels", f"must have the height and width of their image {image.shape[:2]}; labels[{index}] differ",
                ids.shape, "Pair the right arrays; labels are 0, 1 and 255 [H, W, classes]." if task.stacked else
                "Pair the right arrays; labels are class ids [H, W], not one-hot."))
        if channels not in (None, image.shape[2]):
            raise ValueError(checks.sentence(
                "pixels", f"must all have {channels} channels, as the first; pixels[{index}] has others",
                image.shape, "Convert them to the same bands."))
        channels = image.shape[2]
    return channels


def _count_classes(labels):
    """Return the number of classes by the highest id."""
    values = np.unique(np.concatenate([np.unique(labels[index]) for index in range(len(labels))]).astype(np.int64))
    ids = values[values != IGNORE_CLASS]
    if not len(ids) or ids[0] < 0 or ids[-1] > IGNORE_CLASS:
        raise ValueError(checks.sentence("labels", "must hold class ids (0, 1, …) and 255 for ignore",
                                         values[:8].tolist(), label_ids.likely_cause(values, 2)))
    return int(ids[-1]) + 1


def _of_8_bits(pixels, shown):
    """Return numbers 0–255 as uint8, rounded."""
    if pixels.dtype == np.uint8:
        return pixels
    least, most = float(pixels.min()), float(pixels.max())
    if not (least > -0.5 and most < 255.5):  # NaN is refused too
        raise ValueError(checks.sentence("pixels", f"must be numbers from 0 to 255; {shown} has others", (least, most),
                                         "Scale them to 0–255: the model normalises by itself."))
    if pixels.dtype.kind == "f":
        pixels = np.rint(pixels)
    return pixels.astype(np.uint8)
