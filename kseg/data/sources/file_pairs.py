"""Pairs of an image file and a label file."""

import dataclasses
import typing

import numpy as np

from kseg import checks
from kseg.data import decode, filesystems, label_ids
from kseg.data.colours import Colours
from kseg.data.orientation import upright
from kseg.data.pixel_range import PixelRange
from kseg.data.sources.base import Findings, Source
from kseg.labels import LabelSet

PROBED = 8  # pairs that are read before a pass


class AmbiguousOrientation(ValueError):
    """A mask has the size of its image both as it is stored and turned by its EXIF orientation."""


@dataclasses.dataclass(frozen=True, eq=False)
class FileSource(Source):
    """Pairs of an image file and a label file; a format whose label files are no images overrides `read_labels`."""

    name: str
    split: str
    pairs: list[tuple[str, str]]  # paths of image and labels
    label_set: LabelSet
    table: np.ndarray  # int16 `[256]`, stored value → class id (`kseg.data.label_ids`)
    channels: int = 3
    colours: Colours | None = None  # by which RGB masks are read
    exif: str | None = None  # "apply" or "ignore" orientations of images; None: the mask's size says which
    pixel_range: PixelRange | None = None
    task: str = "multiclass"

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def values_are_ids(self) -> bool:
        """Whether the table leaves class ids as they are."""
        return np.array_equal(self.table, label_ids.identity_table(len(self.label_set)))

    def describe(self, index: int) -> str:
        """Return the path of the image of pair `index`."""
        return self.pairs[index][0]

    def identity(self) -> list:
        """Return the table of ids, how masks are read, and path, size and time of every file."""
        return [self.table.tolist(), self.colours and self.colours.to_list(), self.exif,
                [[filesystems.stamp(path) for path in pair] for pair in self.pairs]]

    def image(self, index: int) -> str | bytes:
        """Return the path of the image of pair `index`; a format that holds images in other files, its content."""
        return self.pairs[index][0]

    def stored_image(self, index: int) -> bytes:
        """Return the image of pair `index` as it is encoded."""
        image = self.image(index)
        return image if isinstance(image, bytes) else filesystems.read_bytes(image)

    def read(self, index: int, strict: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return pair `index`; `strict` as in `decode.read_pixels`, all else as `Source.read`."""
        pixels, orientation = decode.read_photograph(self.image(index), self.channels, strict, self.describe(index),
                                                     self.pixel_range)
        labels = self.read_labels(index)
        return np.ascontiguousarray(self._as_the_mask(index, pixels, orientation, labels.shape[:2])), labels

    def read_stored(self, index: int) -> np.ndarray:
        return decode.read_stored(self.image(index), self.channels, shown=self.describe(index))

    def scaled_by(self, pixel_range: PixelRange) -> typing.Self:
        return dataclasses.replace(self, pixel_range=pixel_range)

    def read_labels(self, index: int) -> np.ndarray:
        return decode.read_labels(self.pairs[index][1], self.table, len(self.label_set), self.colours)

    def _as_the_mask(self, index, pixels, orientation, size):
        """Return stored pixels as they are or upright, whichever has the mask's size, if `exif` does not say.

        Raises:
            AmbiguousOrientation: if both have.
            ValueError: if neither has.
        """
        turned = upright(pixels, orientation)
        if orientation in (None, 1) or self.exif == "ignore":
            turned = pixels
        elif self.exif is None and pixels.shape[:2] == turned.shape[:2] == size:
            raise AmbiguousOrientation(checks.sentence(
                "exif", f"must say whether {self.pairs[index][0]!r} is to be turned: its EXIF orientation is "
                f"{orientation}, and its mask has the size of both", None, 'Pass exif="apply" if masks were drawn on '
                'images as viewers show them, exif="ignore" if on pixels as they are stored.'))
        elif self.exif is None and pixels.shape[:2] == size:
            turned = pixels
        if turned.shape[:2] != size:
            raise ValueError(self._sizes_differ(index, turned.shape[:2], size))
        return turned

    def probe(self) -> None:
        self._ids_of_a_few()

    def _ids_of_a_few(self):
        """Return the set of ids in a few pairs."""
        super().probe()
        return {int(value) for index in spread(len(self), PROBED)
                for value in np.unique(self.read(index, strict=True)[1])}

    def check(self, index: int, findings: Findings) -> np.ndarray | None:
        """Note what is wrong with the image, the labels and their sizes; return the labels if training can use them."""
        path = self.pairs[index][1]
        photograph = self._check_image(index, findings)
        try:
            labels = self.read_labels(index)
        except label_ids.IllegalIds as failure:
            return findings.error("illegal ids", path, str(failure))
        except self.failures as failure:
            return findings.error("unreadable labels", path, str(failure))
        if photograph is not None and not self._check_sizes(index, *photograph, labels.shape[:2], findings):
            return None
        self._check_colours(path, findings)
        return labels

    def _check_image(self, index, findings):
        """Return (pixels, EXIF orientation) of the image as it is stored, or None; note what is wrong with it."""
        path = self.pairs[index][0]
        try:
            findings.image(path, self.stored_image(index))
            return decode.read_photograph(self.image(index), self.channels, True, path, self.pixel_range)
        except self.failures as failure:
            return findings.error("unreadable image", path, str(failure))

    def _check_sizes(self, index, pixels, orientation, size, findings):
        """Return whether the image has the mask's size, as it is or turned; note what is to be said about that."""
        try:
            used = self._as_the_mask(index, pixels, orientation, size)
        except AmbiguousOrientation as failure:
            return findings.error("EXIF orientation", self.pairs[index][0], str(failure))
        except ValueError as failure:
            return findings.error("different size", self.pairs[index][1], str(failure))
        findings.looks.add(self.pairs[index][0], used)
        if orientation not in (None, 1):
            way = "as it is stored" if used is pixels else "turned upright"
            findings.warn("EXIF orientation", self.pairs[index][0],
                          f"is to be shown turned (orientation {orientation}); kseg reads it {way}, as "
                          + ("the mask's size says" if self.exif is None else f"exif={self.exif!r} says"))
        return True

    def _check_colours(self, path, findings):
        """Note how many pixels of a mask are not exactly of a named colour."""
        near, strange, pixels = self._inexact(path)
        if near or strange:
            findings.warn("inexact colours", path, f"{near} of {pixels} pixels take the class of the nearest colour, "
                          f"{strange} are of no named colour and become {self.colours.id_of_others}")

    def _inexact(self, path):
        """Return at how many pixels a mask's colour is but near a named one, at how many it is none, and of how many.

        Masks without colours, and without a rule for colours that are not named, have none.
        """
        if self.colours is None or self.colours.id_of_others is None:
            return 0, 0, 0
        mask = decode.read_mask(path, self.colours.alone)
        return (*self.colours.counts(mask), mask[..., 0].size) if mask.ndim == 3 else (0, 0, 0)

    def _sizes_differ(self, index, size, found):
        image_path, label_path = self.pairs[index]
        return checks.sentence(
            "labels", f"must have the height and width of their image {image_path!r}, {size}; {label_path!r} differs",
            found, "Pair the right files, or resize the mask by nearest neighbour.")


def spread(count: int, most: int) -> list[int]:
    """Return up to `most` of the numbers below `count`, spread evenly, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int)).tolist()
