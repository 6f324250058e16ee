"""Slices of NIfTI volumes ("nifti", extra `medical`): every image of a volume with that of its label volume."""

import dataclasses
import os
import typing

import numpy as np

from kseg import checks
from kseg.data import decode, filesystems, formats, label_ids
from kseg.data.formats import nifti
from kseg.data.pixel_range import PixelRange, as_pixels
from kseg.data.sources.base import Source
from kseg.data.sources.class_options import class_options
from kseg.data.sources.patterns import find_pairs
from kseg.labels import LabelSet


@dataclasses.dataclass(frozen=True, eq=False)
class NiftiSource(Source):
    """Slices along the third axis (see `kseg.data.formats.nifti`), volume by volume.

    A slice of a `.nii` file is read alone; a `.nii.gz` is unpacked up to it each time, so that large sets of those are
    better written as records first.
    """

    name: str
    split: str
    pairs: list[tuple[str, str]]  # paths of a volume and of its labels
    slices: list[tuple[int, int]]  # of every example, which pair and which slice
    label_set: LabelSet
    table: np.ndarray  # int16 `[256]`, stored value → class id
    channels: int = 3
    pixel_range: PixelRange | None = None

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             classes: label_ids.Classes | None = None, label_map: dict[label_ids.Key, int] | None = None,
             image_pattern: str | None = None, label_pattern: str | None = None,
             problems: list | None = None) -> typing.Self:
        """Return the source of the volumes below `data_dir`; arguments as `kseg.data.source`.

        Raises:
            ValueError: if nothing says which classes there are, or a volume and its labels differ in shape.
        """
        checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
        said = class_options(classes, label_map, None, os.path.join(data_dir, "classes.txt"))
        if said is None:
            raise ValueError(checks.sentence("classes", f"must be given for {name!r} without a classes.txt", None,
                                             "Pass their number, names or a LabelSet, or a label_map."))
        pairs = find_pairs(data_dir, split, image_pattern, label_pattern, problems)
        slices = [(pair, one) for pair, paths in enumerate(pairs) for one in range(_slices(*paths))]
        return cls(name, split, pairs, slices, said.label_set, said.table, channels)

    def __len__(self) -> int:
        return len(self.slices)

    def describe(self, index: int) -> str:
        """Return the path of the volume and the number of the slice."""
        pair, one = self.slices[index]
        return f"{self.pairs[pair][0]}[:, :, {one}]"

    def identity(self) -> list:
        """Return the table of ids, and path, size and time of every file."""
        return [self.table.tolist(), [[filesystems.stamp(path) for path in pair] for pair in self.pairs]]

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return as_pixels(self.read_stored(index), self.pixel_range, self.describe(index)), self.read_labels(index)

    def scaled_by(self, pixel_range: PixelRange) -> typing.Self:
        return dataclasses.replace(self, pixel_range=pixel_range)

    def read_stored(self, index: int) -> np.ndarray:
        pair, one = self.slices[index]
        return formats.in_bands(_read(self.pairs[pair][0], one), self.channels, self.pairs[pair][0])

    def read_labels(self, index: int) -> np.ndarray:
        pair, one = self.slices[index]
        stored = _read(self.pairs[pair][1], one, "labels")[..., 0]
        whole = np.rint(stored)
        if not np.array_equal(whole, stored):
            raise ValueError(checks.sentence("labels", "must hold class ids, whole numbers", self.pairs[pair][1],
                                             "Save them again without interpolation."))
        return label_ids.to_class_ids(whole.astype(np.int64), self.table, self.pairs[pair][1], len(self.label_set))


def _read(path, one, name="image"):
    """Return the numbers of one slice, `[H, W, bands]`."""
    try:
        return nifti.read(path, one)[0]
    except formats.BrokenFile as failure:
        raise ValueError(decode.unreadable(name, path, failure)) from failure


def _slices(volume, labels):
    """Return the number of slices of a pair."""
    shapes = []
    for name, path in (("image", volume), ("labels", labels)):
        try:
            shapes.append(nifti.shape_of(path))
        except formats.BrokenFile as failure:
            raise ValueError(decode.unreadable(name, path, failure)) from failure
    if shapes[0][:3] != shapes[1][:3]:
        raise ValueError(checks.sentence(
            "labels", f"must have the shape of their volume {volume!r}, {shapes[0][:3]}; {labels!r} differs",
            shapes[1][:3], "Pair the right files."))
    return shapes[0][2]
