"""Reading the TFRecords that `kseg.data.write_records` makes ("records"), with random access.

A folder holds, for each split, `split-00000-of-00004.tfrecord` files, next to each a `.json` with the offset, length
and CRC-32 of its records, and `split.json` with the label set, written last. The records are `tf.train.Example` with
"image" and "labels" (encoded images, labels 8-bit PNG of class ids; pixels that a `pixel_range` scaled are `.npy`
files of float32, 0–255; of a multi-label set the maps of 0, 1 and 255 stand below each other), "index" and "path", so
that any TensorFlow program reads them; the offsets let
`kseg.data.load("records", …)` shuffle fully. Paths may be on any filesystem that TensorFlow opens.
"""

import dataclasses
import os
import typing
import zlib

import numpy as np
import tensorflow as tf

from kseg import checks, tasks
from kseg.data import decode, filesystems
from kseg.data.label_ids import identity_table
from kseg.data.pixel_range import PixelRange
from kseg.data.sources.base import Source
from kseg.labels import LabelSet

_MOST = (1 << 31) - 1  # bytes of a record, which is a protocol buffer


@dataclasses.dataclass(frozen=True, eq=False)
class RecordsSource(Source):
    """Pairs in the TFRecords that `write_records` made; `kseg.data.source("records", split, data_dir=folder)`."""

    name: str
    split: str
    channels: int
    label_set: LabelSet
    rows: list[tuple[str, int, int, int]]  # file, offset, length, CRC-32
    pixel_range: PixelRange | None = None  # by which the pixels were scaled when they were written
    task: str = "multiclass"

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int | None = None) -> typing.Self:
        """Return the source of the records in the folder `data_dir`, which keeps the name of what was written.

        Raises:
            FileNotFoundError: if the split was not written, or not to its end.
        """
        del name
        index = os.path.join(data_dir or "", f"{split}.json")
        if not data_dir or not tf.io.gfile.exists(index):
            raise FileNotFoundError(checks.sentence(
                "data_dir", f"must hold the finished records of split {split!r} ({split}.json)", data_dir,
                "Write them with kseg.data.write_records; run it again if it was interrupted."))
        if channels is not None:
            checks.positive_integer("channels", channels)
        try:
            return cls._of(index, data_dir, split, channels)
        except (LookupError, TypeError, AttributeError, ValueError, OverflowError, RecursionError, FileNotFoundError,
                tf.errors.NotFoundError) as failure:
            raise ValueError(checks.sentence(
                "data_dir", f"must hold the index of split {split!r} as it was written", data_dir,
                f"It is damaged: {failure!r:.200}. Delete the files of the split and run kseg.data.write_records "
                "again.")) from failure

    @classmethod
    def _of(cls, index, data_dir, split, channels):
        """Return the source; an index that is not what `write_records` writes raises one of many errors."""
        kept, rows = filesystems.read_json(index), []
        for file in kept["files"]:
            if os.path.basename(file) != file or not file.endswith(".tfrecord"):
                raise ValueError(f"a file of the name {file!r}")
            path = os.path.join(data_dir, file)
            rows.extend((path, *map(_whole, row)) for row in filesystems.read_json(path + ".json")["records"])
        if not all(len(row) == 4 and row[2] <= _MOST for row in rows):
            raise ValueError("records without offset, length and checksum")
        source = cls(str(kept["name"]), split, checks.positive_integer("channels", channels or kept["channels"]),
                     LabelSet.from_dict(kept["label_set"]), rows, PixelRange.of(kept.get("pixel_range")),
                     kept.get("task", cls.task))
        tasks.of(source.task).classes_of(source.label_set)
        return source

    def scaled_by(self, pixel_range: PixelRange) -> typing.Self:
        if pixel_range != self.pixel_range:
            written = self.pixel_range and self.pixel_range.to_list()
            raise ValueError(checks.sentence(
                "pixel_range", f"must be None or {written}, by which the records were scaled", pixel_range.to_list(),
                "Write them again from the images for another one."))
        return self

    def __len__(self) -> int:
        return len(self.rows)

    def describe(self, index: int) -> str:
        """Return the file and offset of pair `index`."""
        return f"{self.rows[index][0]}@{self.rows[index][1]}"

    def identity(self) -> list:
        """Return file, offset, length and CRC-32 of every record."""
        return [list(row) for row in self.rows]

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pair `index`, as `Source.read`; a record that does not have its checksum raises ValueError too."""
        feature = self._features(index)
        content = feature["image"].bytes_list.value[0]
        read = decode.read_pixels if self.pixel_range is None else decode.read_stored
        return read(content, self.channels), self._labels(feature, index)

    def read_labels(self, index: int) -> np.ndarray:
        return self._labels(self._features(index), index)

    def _labels(self, feature, index):
        classes = 2 if self.label_axes else len(self.label_set)
        labels = decode.read_labels(feature["labels"].bytes_list.value[0], identity_table(classes), classes,
                                    shown=self.describe(index))
        return np.stack(np.split(labels, *self.label_axes), -1) if self.label_axes else labels  # [H, W(, classes)]

    def _features(self, index):
        path, offset, length, checksum = self.rows[index]
        try:
            with tf.io.gfile.GFile(path, "rb") as file:
                file.seek(offset)
                record = file.read(length)
        except (tf.errors.OutOfRangeError, tf.errors.NotFoundError, FileNotFoundError):
            record = b""
        except (tf.errors.OpError, OSError) as failure:
            raise ValueError(checks.sentence(
                "data_dir", "must hold records that can be read", self.describe(index),
                f"The file system says: {getattr(failure, 'message', failure)}. Try again.")) from failure
        if zlib.crc32(record) != checksum or not record:
            raise ValueError(checks.sentence(
                "data_dir", "must hold the records as they were written; this one has changed", self.describe(index),
                "Delete the shard and run kseg.data.write_records again."))
        return tf.train.Example.FromString(record).features.feature


def _whole(number):
    """Return an offset, a length or a checksum, which are whole numbers; the file is not read to find out."""
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << 63:
        raise ValueError(f"a place of {number!r}")
    return number
