"""What a dataset is to the rest of kseg: the interface `Source`, and what `kseg.data.check` has found in it.

A new dataset or annotation format is one file of this folder, with a subclass, and one row of the table in `__init__`.
"""

import abc
import hashlib
import json
import re
import typing

import numpy as np

from kseg import checks, files, tasks
from kseg.data.near_duplicates import Fingerprints
from kseg.data.pixel_range import PixelRange
from kseg.labels import LabelSet

if typing.TYPE_CHECKING:
    import tensorflow as tf

SPLIT_NAMES = {"train": ("train", "training"), "validation": ("validation", "val", "valid"),
               "test": ("test", "testing")}  # what folders and published sets call each split
SPLITS = tuple(SPLIT_NAMES)


class Findings:
    """Errors and warnings, dicts of "kind", "path" and "message" as they were found, and which images were seen."""

    def __init__(self) -> None:
        self.errors: list[dict] = []  # training would fail on each
        self.warnings: list[dict] = []  # training would run, but perhaps not as meant
        self.paths: dict[str, str] = {}  # digest of an encoded image → path of the first image that has it
        self.looks = Fingerprints()  # of every image that was decoded

    def error(self, kind: str, path: str, message: str) -> None:
        """Note an error."""
        self.errors.append({"kind": kind, "path": path, "message": message})

    def warn(self, kind: str, path: str, message: str) -> None:
        """Note a warning; its message begins with the path."""
        self.warnings.append({"kind": kind, "path": path, "message": f"{path}: {message}"})

    def image(self, path: str, content: bytes) -> None:
        """Note the encoded image at `path`, and a warning if an earlier one has the same content."""
        earlier = self.path_of(content)
        if earlier is not None:
            self.warn("duplicate image", path, f"holds the same bytes as {earlier}")
        self.paths[_digest(content)] = path

    def path_of(self, content: bytes) -> str | None:
        """Return the path of the image with this content, or None."""
        return self.paths.get(_digest(content))


def _digest(content):
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


class Source(abc.ABC):
    """Pairs of pixels and labels of one split, read by number, in any order and from many threads.

    The pipeline, `kseg.data.check`, class weights, caches and records ask a source nothing but what stands here. A
    subclass has the four attributes, `__len__` and `read`; all else has a default. One that `kseg.data.source` makes by
    name also has `open`, a class method (name, split, options) → source: its keyword arguments are those arguments of
    `kseg.data.source` that mean something for it.

    Attributes:
        name: str, the dataset's name.
        split: "train", "validation" or "test".
        channels: int, bands of the pixels, any number.
        label_set: `LabelSet`, the classes.
        failures: the exceptions of `read` and `read_labels` that say that a pair is unreadable.
        LABELS: `LabelSet` or None, the classes if they are the same of every such dataset.
        pixel_range: `PixelRange` by which stored numbers become pixels, or None for images of 8 bits.
        values_are_ids: bool, whether the values of mask files are taken for class ids as they are, and 255 for ignore.
        task: "multiclass"; "binary", where 255 may have been read as foreground; or "multilabel", whose labels are 0, 1
            and 255 `[H, W, classes]` wherever `[H, W]` stands below.
    """

    name: str
    split: str
    channels: int
    label_set: LabelSet
    failures: typing.ClassVar[tuple[type[Exception], ...]] = (ValueError, OSError)
    LABELS: typing.ClassVar[LabelSet | None] = None
    pixel_range: PixelRange | None = None
    values_are_ids: bool = False
    task: str = "multiclass"

    @property
    def label_axes(self) -> tuple[int, ...]:
        """The axes of labels beyond height and width: `(classes,)` of a multi-label source, else none."""
        return tasks.of(self.task).label_shape((), len(self.label_set))

    @property
    def pixel_dtype(self) -> np.dtype:
        """Type of the pixels: uint8, or float32 where a `pixel_range` scales them."""
        return np.dtype(np.uint8 if self.pixel_range is None else np.float32)

    @classmethod
    def known_label_set(cls) -> LabelSet | None:
        """Return the classes if they are known without opening the dataset."""
        return cls.LABELS

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return the number of pairs."""

    @abc.abstractmethod
    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pair `index`: pixels 0–255 `[H, W, channels]` of `pixel_dtype`, labels uint8 `[H, W]` (255 = ignore).

        Raises:
            ValueError: if it is unreadable, its sizes differ, or an id is no class; the file is named.
        """

    def read_labels(self, index: int) -> np.ndarray:
        """Return the labels of pair `index` alone, uint8 `[H, W]`, equal to those of `read`."""
        return self.read(index)[1]

    def read_stored(self, index: int) -> np.ndarray:
        """Return the numbers of image `index` as its file stores them, `[H, W, channels]`, NaN where without data."""
        return self.read(index)[0]

    def scaled_by(self, pixel_range: PixelRange) -> typing.Self:
        """Return the source with its stored numbers scaled by a range.

        Raises:
            ValueError: if it gives pixels 0–255, and nothing to scale.
        """
        raise ValueError(checks.sentence(
            "pixel_range", f"must be None for {self.name!r}, whose pixels are 0–255", pixel_range.to_list(),
            "Leave it out, or read the files as 'folder'."))

    def describe(self, index: int) -> str:
        """Return how pair `index` is named in messages."""
        return f"{self.name}/{self.split}/{index}"

    def identity(self) -> list:
        """Return what tells the content from that of another source, JSON-ready: it changes when a file does."""
        return [self.describe(index) for index in range(len(self))]

    def stored_image(self, index: int) -> bytes | None:
        """Return the image of pair `index` as it is encoded in its file, or None if it has no file of its own."""
        del index
        return None

    def stream(self) -> "tf.data.Dataset | None":
        """Return the pairs in their stored order where any other is slow, or None where `read` is as fast in all.

        Returns:
            `tf.data.Dataset` of (pixels `[H, W, channels]`, labels uint8 `[H, W]`, index int64), or None.
        """
        return None

    def probe(self) -> None:
        """Read a few pairs, so that a wrong dataset fails at once and by itself.

        Raises:
            ValueError: if there is none, or if one cannot be read.
        """
        if len(self) == 0:
            raise ValueError(checks.sentence("split", f"must hold at least one pair of {self.name!r}", self.split,
                                             "Check the list of this split."))

    def check(self, index: int, findings: Findings) -> np.ndarray | None:
        """Read pair `index` as strictly as possible and note what is wrong with it in `findings`.

        Returns:
            its labels, uint8 `[H, W]`, or None if training cannot use the pair.
        """
        try:
            pixels, labels = self.read(index)
        except self.failures as failure:
            return findings.error("unreadable", self.describe(index), failure_sentence(failure) or str(failure))
        findings.looks.add(self.describe(index), pixels)
        return labels


def digest(source: Source) -> str:
    """Return 12 hexadecimal digits that change with what a source reads: its files, table of ids, classes, palette.

    By them a cache or records of another source are never taken for its own.
    """
    facts = [source.name, source.split, source.channels, len(source), source.label_set.to_dict(), *source.identity()]
    if source.pixel_range is not None:
        facts.append(source.pixel_range.to_list())
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


# As TensorFlow writes it, the path of a cache without what it adds while writing:
_REFUSED = re.compile(r"(/[^;\n}]*?)(?:_\d+\.\S+)?; (No space left on device|Read-only file system|Permission denied|"
                      "Disk quota exceeded|File too large|Input/output error)")


def failure_sentence(failure: BaseException) -> str | None:
    """Return the error sentence inside an exception that a pass over a dataset raised, or None if it has none.

    TensorFlow wraps what a reader raises in `InvalidArgumentError` with its own traceback; this is for messages. What
    its own cache and logs say of a disk is put into the sentence, too.
    """
    refused = _REFUSED.search(str(failure))
    if refused:
        return files.refusal(refused[1], refused[2])
    match = re.search(r"(?:ValueError|FileNotFoundError|PermissionError|OSError|IllegalIds): (`.*?)"
                      r"(?:\nTraceback|\n\n|$)", str(failure), re.DOTALL)
    return match[1].strip() if match else None
