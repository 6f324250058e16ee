"""Files on every filesystem that TensorFlow opens (`gs://…`, `ram://…`); reading local ones does not load it."""

import contextlib
import json
import os
from collections.abc import Iterator

from kseg import files


def read_bytes(path: str) -> bytes:
    """Return the content of the file at `path`."""
    if "://" in path:
        import tensorflow as tf
        with tf.io.gfile.GFile(path, "rb") as file:
            return file.read()
    with open(path, "rb") as file:
        return file.read()


def read_json(path: str) -> dict:
    """Return what a JSON file holds."""
    return json.loads(read_bytes(path))


@contextlib.contextmanager
def draft(path: str) -> Iterator[str]:
    """Yield a temporary path that is renamed to `path` when the block ends without an error.

    `kseg.files.draft` is for local paths. A killed process leaves `path` + ".part" behind, which the next draft
    overwrites and no pattern `*.tfrecord` finds.

    Raises:
        OSError: with the error sentence, where the disk refuses.
    """
    import tensorflow as tf
    temporary = path + ".part"
    try:
        with files.refusals(path):
            yield temporary
            tf.io.gfile.rename(temporary, path, overwrite=True)
    except BaseException:
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.remove(temporary)
        raise


def write_json(path: str, values: dict) -> None:
    """Write `values` as JSON, whole or not at all."""
    import tensorflow as tf
    with draft(path) as temporary, tf.io.gfile.GFile(temporary, "w") as file:
        file.write(json.dumps(values))


def stamp(path: str) -> list:
    """Return path, size and time of change of a local file, which tell it from another version; else the path alone."""
    if "://" in path or not os.path.exists(path):
        return [path]
    status = os.stat(path)
    return [os.path.abspath(path), status.st_size, status.st_mtime_ns]
