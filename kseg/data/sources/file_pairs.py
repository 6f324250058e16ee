"""Pairs of an image file and a label file."""

import dataclasses

import numpy as np

from kseg import checks
from kseg.data import decode, filesystems, label_ids
from kseg.data.sources.base import Findings, Source
from kseg.labels import LabelSet

_PROBED = 8  # pairs that are read before a pass


@dataclasses.dataclass(frozen=True, eq=False)
class FileSource(Source):
    """Pairs of an image file and a label file; a format whose label files are no images overrides `read_labels`."""

    name: str
    split: str
    pairs: list[tuple[str, str]]  # paths of image and labels
    label_set: LabelSet
    table: np.ndarray  # int16 `[256]`, stored value → class id (`kseg.data.label_ids`)
    channels: int = 3
    read_colours: bool = True  # whether RGB masks are read by the label set's palette

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
        return [self.table.tolist(), self.read_colours,
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
        pixels = decode.read_pixels(self.image(index), self.channels, strict, self.describe(index))
        labels = self.read_labels(index)
        if pixels.shape[:2] != labels.shape:
            raise ValueError(self._sizes_differ(index, pixels.shape[:2], labels.shape))
        return pixels, labels

    def read_labels(self, index: int) -> np.ndarray:
        palette = self.label_set.palette.tobytes() if self.read_colours else None
        return decode.read_labels(self.pairs[index][1], self.table, len(self.label_set), palette)

    def probe(self) -> None:
        self._ids_of_a_few()

    def _ids_of_a_few(self):
        """Return the set of ids in a few pairs."""
        super().probe()
        return {int(value) for index in spread(len(self), _PROBED)
                for value in np.unique(self.read(index, strict=True)[1])}

    def check(self, index: int, findings: Findings) -> np.ndarray | None:
        """Note what is wrong with the image, the labels and their sizes; return the labels if training can use them."""
        path = self.pairs[index][1]
        size = self._check_image(index, findings)
        try:
            labels = self.read_labels(index)
        except label_ids.IllegalIds as failure:
            return findings.error("illegal ids", path, str(failure))
        except self.failures as failure:
            return findings.error("unreadable labels", path, str(failure))
        if size is not None and labels.shape != size:
            return findings.error("different size", path, self._sizes_differ(index, size, labels.shape))
        return labels

    def _check_image(self, index, findings):
        """Return (height, width) of the image, or None; note what is wrong with it."""
        path = self.pairs[index][0]
        try:
            content = self.stored_image(index)
            findings.image(path, content)
            pixels = decode.read_pixels(self.image(index), self.channels, strict=True, shown=path)
        except self.failures as failure:
            return findings.error("unreadable image", path, str(failure))
        if decode.exif_orientation(content) not in (None, 1):
            findings.warn("EXIF orientation", path, "is to be shown turned; kseg reads it as it is stored")
        return pixels.shape[:2]

    def _sizes_differ(self, index, size, found):
        image_path, label_path = self.pairs[index]
        return checks.sentence(
            "labels", f"must have the height and width of their image {image_path!r}, {size}; {label_path!r} differs",
            found, "Pair the right files, or resize the mask by nearest neighbour.")


def spread(count: int, most: int) -> list[int]:
    """Return up to `most` of the numbers below `count`, spread evenly, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int)).tolist()
