"""Writing a dataset as sharded TFRecords: whole or not at all, resumed after a kill.

`sources.records` says what a folder of records holds, and reads it.
"""

import io
import os
import typing
import zlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from PIL import Image

from kseg import checks, files
from kseg.data import filesystems, sources, windows
from kseg.data.orientation import without_orientation
from kseg.data.sources.base import digest

_HEAD, _TAIL = 12, 4  # bytes of length and checksums around a record in a TFRecord file


def write_records(name: str | sources.Source, folder: str, split: str | None = None, *, shards: int = 16,
                  image_size: tuple[int, int] | None = None, progress: Callable[[int, int], None] | None = None,
                  **options: typing.Any) -> str:
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
    chosen = sources.opened(name, split, image_size=image_size, **options)
    split = chosen.split
    size = None if image_size is None else checks.image_size(image_size)
    count = min(checks.positive_integer("shards", shards), max(len(chosen), 1))
    with files.refusals(folder):
        tf.io.gfile.makedirs(folder)
    scale = {} if chosen.pixel_range is None else {"pixel_range": chosen.pixel_range.to_list()}
    identity = {**scale, "name": chosen.name, "pairs": len(chosen), "channels": chosen.channels,
                "image_size": size and list(size), "source": digest(chosen)}
    if chosen.task != sources.Source.task:
        identity["task"] = chosen.task
    _refuse_others(folder, split, identity)
    bounds = np.linspace(0, len(chosen), count + 1).astype(int)
    written = []
    for shard in range(count):
        path = os.path.join(folder, f"{split}-{shard:05d}-of-{count:05d}.tfrecord")
        if not _finished(path):
            _write_shard(path, chosen, range(bounds[shard], bounds[shard + 1]), size, identity)
        written.append(os.path.basename(path))
        if progress is not None:
            progress(shard + 1, count)
    index = os.path.join(folder, f"{split}.json")
    filesystems.write_json(index, {**identity, "split": split, "label_set": chosen.label_set.to_dict(),
                                   "files": written})
    return index


def _refuse_others(folder, split, identity):
    for name in tf.io.gfile.listdir(folder):
        if name.startswith(f"{split}-") and name.endswith(".tfrecord.json") and filesystems.read_json(
                os.path.join(folder, name))["identity"] != identity:
            raise ValueError(checks.sentence(
                "folder", f"must hold no records of split {split!r} from other files, classes, ids or another size",
                folder, f"Delete its {split}* files to write them anew, or choose another folder."))


def _finished(path):
    if not (tf.io.gfile.exists(path) and tf.io.gfile.exists(path + ".json")):
        return False
    return tf.io.gfile.stat(path).length == filesystems.read_json(path + ".json")["bytes"]


def _write_shard(path, chosen, indices, size, identity):
    rows, offset = [], 0
    with filesystems.draft(path) as temporary, tf.io.TFRecordWriter(temporary) as writer:
        for index in indices:
            record = _example(chosen, int(index), size).SerializeToString(deterministic=True)
            writer.write(record)
            rows.append([offset + _HEAD, len(record), zlib.crc32(record)])
            offset += _HEAD + len(record) + _TAIL
    filesystems.write_json(path + ".json", {"identity": identity, "bytes": offset, "records": rows})


def _example(chosen, index, size):
    pixels, labels = chosen.read(index)
    if size is not None and labels.shape[:2] != size:
        pixels, labels = windows.resized(pixels, labels, size)
        content = None
    else:
        content = without_orientation(chosen.stored_image(index))
    if chosen.pixel_range is not None:  # scaled once, and for all
        content = None
    as_png = pixels.dtype == np.uint8 and pixels.shape[-1] in (1, 3)
    feature = {"image": content or (_png(pixels) if as_png else _npy(pixels)),
               "labels": _png(_in_one(labels)[..., None]),
               "path": chosen.describe(index).encode()}
    features = {key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for key, value in feature.items()}
    features["index"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[index]))
    return tf.train.Example(features=tf.train.Features(feature=features))


def _npy(array):
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


def _in_one(labels):
    """Return labels `[H, W]`; those `[H, W, classes]` with the maps of the classes below each other."""
    return labels if labels.ndim == 2 else np.concatenate(np.moveaxis(labels, -1, 0))


def _png(array):
    data = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(data, "PNG", compress_level=3)
    return data.getvalue()
