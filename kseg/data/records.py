"""Sharded TFRecords of a dataset: written whole or not at all, resumed after a kill, read back with random access.

A folder holds, for each split, `split-00000-of-00004.tfrecord` files, next to each a `.json` with the offset, length
and CRC-32 of its records, and `split.json` with the label set, written last. The records are `tf.train.Example` with
"image" and "labels" (encoded images, labels 8-bit PNG of class ids), "index" and "path", so that any TensorFlow
program reads them; the offsets let `kseg.data.load("records", …)` shuffle fully. Paths may be on any filesystem that
TensorFlow opens.
"""

import dataclasses
import io
import json
import os
import zlib

import numpy as np
import tensorflow as tf
from PIL import Image

from kseg import checks
from kseg.data import decode, sources
from kseg.data.geometry import resize
from kseg.data.identity import digest
from kseg.data.label_ids import identity_table
from kseg.labels import LabelSet

_HEAD, _TAIL = 12, 4  # bytes of length and checksums around a record in a TFRecord file


def write_records(name, folder, split=None, *, shards=16, image_size=None, progress=None, **options):
    """Write a split as sharded TFRecords; finished shards of an interrupted run are kept, a broken one never appears.

    Args:
        name: as `kseg.data.load`, or a source.
        folder: str, where to write; made if missing.
        split: "train", "validation", "test", or None ("train"; of a source: its own).
        shards: int, number of files; at most the number of pairs are made.
        image_size: (height, width) or None, to store resized pairs (antialiased bilinear, nearest).
        progress: None, or a function called with (done, total) after each shard.
        options: further arguments of `kseg.data.source` (`data_dir`, …).
    Returns:
        str, path of the split's index `split.json`.
    Raises:
        ValueError: if a pair is broken (shards finished so far stay), or if `folder` holds records of the split from
            other files, classes, ids or another size.
    """
    chosen = sources.opened(name, split, image_size=image_size if name == "shapes" else None, **options)
    split = chosen.split
    size = None if image_size is None else checks.image_size(image_size)
    count = min(checks.positive_integer("shards", shards), max(len(chosen), 1))
    tf.io.gfile.makedirs(folder)
    identity = {"name": chosen.name, "pairs": len(chosen), "channels": chosen.channels,
                "image_size": size and list(size), "source": digest(chosen)}
    _refuse_others(folder, split, identity)
    bounds = np.linspace(0, len(chosen), count + 1).astype(int)
    files = []
    for shard in range(count):
        path = os.path.join(folder, f"{split}-{shard:05d}-of-{count:05d}.tfrecord")
        if not _finished(path):
            _write_shard(path, chosen, range(bounds[shard], bounds[shard + 1]), size, identity)
        files.append(os.path.basename(path))
        if progress is not None:
            progress(shard + 1, count)
    index = os.path.join(folder, f"{split}.json")
    _write_json(index, {**identity, "split": split, "label_set": chosen.label_set.to_dict(), "files": files})
    return index


def _refuse_others(folder, split, identity):
    for name in tf.io.gfile.listdir(folder):
        if name.startswith(f"{split}-") and name.endswith(".tfrecord.json") and _read_json(
                os.path.join(folder, name))["identity"] != identity:
            raise ValueError(checks.sentence(
                "folder", f"must hold no records of split {split!r} from other files, classes, ids or another size",
                folder, f"Delete its {split}* files to write them anew, or choose another folder."))


def _finished(path):
    if not (tf.io.gfile.exists(path) and tf.io.gfile.exists(path + ".json")):
        return False
    return tf.io.gfile.stat(path).length == _read_json(path + ".json")["bytes"]


def _write_shard(path, chosen, indices, size, identity):
    draft, rows, offset = path + ".part", [], 0
    with tf.io.TFRecordWriter(draft) as writer:
        for index in indices:
            record = _example(chosen, int(index), size).SerializeToString()
            writer.write(record)
            rows.append([offset + _HEAD, len(record), zlib.crc32(record)])
            offset += _HEAD + len(record) + _TAIL
    tf.io.gfile.rename(draft, path, overwrite=True)
    _write_json(path + ".json", {"identity": identity, "bytes": offset, "records": rows})


def _example(chosen, index, size):
    pixels, labels = chosen.read(index)
    content = None
    if size is not None and labels.shape != size:
        pixels, labels = (part.numpy() for part in resize(tf.constant(pixels), tf.constant(labels), size))
    elif isinstance(chosen, sources.FileSource):
        content = decode.read_bytes(chosen.pairs[index][0])
    feature = {"image": content or _png(pixels), "labels": _png(labels.astype(np.uint8)[..., None]),
               "path": chosen.describe(index).encode()}
    features = {key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for key, value in feature.items()}
    features["index"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[index]))
    return tf.train.Example(features=tf.train.Features(feature=features))


def _png(array):
    data = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(data, "PNG", compress_level=3)
    return data.getvalue()


def _write_json(path, values):
    with tf.io.gfile.GFile(path + ".part", "w") as file:
        file.write(json.dumps(values))
    tf.io.gfile.rename(path + ".part", path, overwrite=True)


def _read_json(path):
    with tf.io.gfile.GFile(path, "r") as file:
        return json.loads(file.read())


@dataclasses.dataclass(frozen=True, eq=False)
class RecordsSource:
    """Pairs in the TFRecords that `write_records` made; `kseg.data.source("records", split, data_dir=folder)`."""

    name: str
    split: str
    channels: int
    label_set: LabelSet
    rows: list  # (file, offset, length, CRC-32)

    @classmethod
    def open(cls, folder, split, channels=None):
        """Return the source of a folder of records.

        Raises:
            FileNotFoundError: if the split was not written, or not to its end.
        """
        index = os.path.join(folder or "", f"{split}.json")
        if not folder or not tf.io.gfile.exists(index):
            raise FileNotFoundError(checks.sentence(
                "data_dir", f"must hold the finished records of split {split!r} ({split}.json)", folder,
                "Write them with kseg.data.write_records; run it again if it was interrupted."))
        kept = _read_json(index)
        rows = []
        for file in kept["files"]:
            path = os.path.join(folder, file)
            rows.extend((path, *row) for row in _read_json(path + ".json")["records"])
        return cls(kept["name"], split, channels or kept["channels"], LabelSet.from_dict(kept["label_set"]), rows)

    def __len__(self):
        return len(self.rows)

    def describe(self, index):
        """Return how pair `index` is named in messages: its file and offset."""
        return f"{self.rows[index][0]}@{self.rows[index][1]}"

    def read(self, index):
        """Return pair `index`: pixels uint8 `[H, W, channels]`, labels uint8 `[H, W]`.

        Raises:
            ValueError: if the record does not have its checksum.
        """
        feature = self._features(index)
        return decode.read_pixels(feature["image"].bytes_list.value[0], self.channels), self._labels(feature, index)

    def read_labels(self, index):
        """Return the labels of pair `index` alone, uint8 `[H, W]`."""
        return self._labels(self._features(index), index)

    def _labels(self, feature, index):
        classes = len(self.label_set)
        return decode.read_labels(feature["labels"].bytes_list.value[0], identity_table(classes), classes,
                                  shown=self.describe(index))

    def _features(self, index):
        path, offset, length, checksum = self.rows[index]
        with tf.io.gfile.GFile(path, "rb") as file:
            file.seek(offset)
            record = file.read(length)
        if zlib.crc32(record) != checksum:
            raise ValueError(checks.sentence(
                "data_dir", "must hold the records as they were written; this one has changed", self.describe(index),
                "Delete the shard and run kseg.data.write_records again."))
        return tf.train.Example.FromString(record).features.feature
