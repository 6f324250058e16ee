"""By what a prediction of files that was killed is known again, so that the same call goes on where it stopped."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from typing import Any

from kseg import files
from kseg.data import filesystems


class Begun:
    """The mark of a prediction that has begun in a folder, and not ended.

    Args:
        folder: where the results go.
        model: as `predict_files`; one in memory cannot be known again, and leaves no mark. A name of the Hub without a
            revision is known by the name alone, whatever was published under it between two calls.
        inputs: paths of the images.
        settings: whatever else decides the results, JSON-ready or with a `repr` of its own.
    """

    def __init__(self, folder: str, model: Any, inputs: Iterable[str], settings: Any) -> None:
        self._path = os.path.join(folder, ".begun")
        self._mark = None
        if isinstance(model, (str, os.PathLike)):
            facts = [_stamp(os.fspath(model)), [_stamp(path) for path in inputs], settings]
            self._mark = hashlib.sha256(json.dumps(facts, default=repr).encode()).hexdigest()

    def here(self) -> bool:
        """Return whether the folder holds the mark of the same model, images and settings."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), open(self._path, encoding="utf-8") as file:
            return file.read() == self._mark
        return False

    @contextlib.contextmanager
    def marked(self):
        """Leave the mark while the block runs, and after a failure, for the next call to go on."""
        files.discard(self._path)  # of another call, whose files this one replaces
        if self._mark is not None:
            files.write_text(self._path, self._mark)
        yield
        files.discard(self._path)


def _stamp(path):
    """Return what tells a file, or the folder of a model, from another version of it; a name has nothing else."""
    inside = sorted(entry.path for entry in os.scandir(path) if entry.is_file()) if os.path.isdir(path) else []
    return [filesystems.stamp(one) for one in inside or [path]]
