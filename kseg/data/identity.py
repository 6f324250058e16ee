"""Which source something stored came from, so that a cache or records of another one are never taken for its own."""

import hashlib
import json
import os
import re

from kseg.data.sources.base import Source


def digest(source: Source) -> str:
    """Return 12 hexadecimal digits that change with what a source reads: its files, table of ids, classes, palette."""
    facts = [source.name, source.split, source.channels, len(source), source.label_set.to_dict(), *source.identity()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def cache_folder(cache: str | os.PathLike, source: Source, size: tuple[int, int] | None = None,
                 shard: tuple[int, int] | None = None) -> str:
    """Return the folder below `cache` of this source alone, made if it is missing.

    Args:
        cache: path of the folder that the user named.
        source: `Source`.
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
