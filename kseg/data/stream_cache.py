"""TensorFlow's cache of a stream in a file, which a killed process leaves locked for ever; here the next one frees it.

The file is whole once its index is there; until then a lock file keeps other writers out, whoever wrote it. Whether its
writer lives is told by a lock of the operating system on a file beside it, which ends with the process.
"""

import glob
import os

import tensorflow as tf

from kseg import files

_owned = {}  # path -> open file that this process has locked


def cached(stream: tf.data.Dataset, path: str) -> tf.data.Dataset:
    """Return `stream`, kept in files `path…` once it was read to its end."""
    if not os.path.exists(f"{path}.index") and _owns(path):
        for left in glob.glob(f"{glob.escape(path)}_*"):  # shards of the writing
            os.remove(left)
    return stream.cache(path)


def _owns(path):
    """Return whether no other process writes `path`, and keep others from it as long as this process lives."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        return False
    if path in _owned:
        return False  # this process may be writing; what it gives up, TensorFlow removes
    with files.refusals(path):
        owner = open(f"{path}.owner", "w")
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner.close()
        return False
    _owned[path] = owner
    return True
