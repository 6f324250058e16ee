"""Images whose labels are drawn, on reading, from the objects that an annotation lists."""

import abc
import dataclasses
import typing
from collections.abc import Iterable

import numpy as np

from kseg import checks
from kseg.data import decode, drawing
from kseg.data.drawing import Region
from kseg.data.label_ids import identity_table
from kseg.data.sources.file_pairs import FileSource
from kseg.labels import LabelSet


@dataclasses.dataclass(frozen=True, eq=False)
class DrawnSource(FileSource):
    """Pairs of an image and the file that holds its annotation; a format says in `regions` what is drawn.

    Labels have the size of the image file, whatever an annotation states; `overlap` is the order of
    `kseg.data.drawing.paint`.
    """

    overlap: str = "smaller_on_top"

    @classmethod
    def of(cls, name: str, split: str, pairs: list[tuple[str, str]], label_set: LabelSet, *, channels: int,
           overlap: str, **fields: typing.Any) -> typing.Self:
        """Return the source; `fields` are those that a subclass adds."""
        checks.one_of("overlap", overlap, drawing.ORDERS)
        return cls(name, split, pairs, label_set, identity_table(len(label_set)), channels, exif="ignore",
                   overlap=overlap, **fields)

    @abc.abstractmethod
    def regions(self, index: int, height: int, width: int) -> Iterable[Region]:
        """Return or yield what is drawn on the image of pair `index`, which has this size in pixels.

        Raises:
            ValueError: if the annotation is broken, or states another size; the file and the annotation are named.
        """

    @property
    def values_are_ids(self) -> bool:
        """False: there is no mask file."""
        return False

    def identity(self) -> list:
        """Return how objects cover each other, and path, size and time of every file."""
        return [self.overlap, *super().identity()]

    def read(self, index: int, strict: bool = False) -> tuple[np.ndarray, np.ndarray]:
        pixels = decode.read_pixels(self.image(index), self.channels, strict, self.describe(index), self.pixel_range)
        return pixels, self._drawn(index, *pixels.shape[:2])

    def read_labels(self, index: int) -> np.ndarray:
        return self._drawn(index, *decode.image_size(self.image(index), self.describe(index)))

    def _drawn(self, index, height, width):
        return drawing.paint(self.regions(index, height, width), height, width, self.overlap, self.pairs[index][1])
