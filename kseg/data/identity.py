"""Which source something stored came from, so that a cache or records of another one are never taken for its own."""

import hashlib
import json
import os
import re


def digest(source):
    """Return 12 hexadecimal digits that change with what a source reads.

    They are made of the files' paths, sizes and times, the table of ids, the classes and the palette.
    """
    table = getattr(source, "table", None)
    facts = [source.name, source.split, source.channels, len(source), source.label_set.to_dict(),
             None if table is None else table.tolist(), getattr(source, "read_colours", None), _content(source)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def cache_folder(cache, source, size=None, shard=None):
    """Return the folder below `cache` of this source alone, made if it is missing.

    Args:
        cache: path of the folder that the user named.
        source: a source (`kseg.data.source`).
        size: (height, width) or None, to which pairs are resized before they are kept.
        shard: (index, count) or None, if only this part is kept.
    """
    words = [source.name, source.split, str(source.channels)]
    if size is not None:
        words.append(f"{size[0]}x{size[1]}")
    if shard is not None:
        words.append(f"{shard[0]}of{shard[1]}")
    path = os.path.join(os.fspath(cache), re.sub(r"[/\\:]", "-", "-".join([*words, digest(source)])))
    os.makedirs(path, exist_ok=True)
    return path


def _content(source):
    """Return what tells the source's pairs from others, JSON-ready."""
    if hasattr(source, "pairs"):
        return [[_file(path) for path in pair] for pair in source.pairs]
    if hasattr(source, "rows"):  # of records: file, offset, length, CRC-32
        return [list(row) for row in source.rows]
    if hasattr(source, "builder"):  # of TensorFlow Datasets, whose versions do not change
        return [source.builder.info.full_name, os.fspath(source.builder.data_dir)]
    return [list(getattr(source, "image_size", ())), getattr(source, "seed", None),
            [source.describe(index) for index in range(len(source))]]


def _file(path):
    if "://" in path or not os.path.exists(path):
        return [path]
    status = os.stat(path)
    return [os.path.abspath(path), status.st_size, status.st_mtime_ns]
