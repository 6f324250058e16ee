"""Targets that are datasets: one of their files is damaged, the others stay whole.

An input is the name of that file below the dataset's folder, a line feed, and its content. Damage may change labels
only where it is: `told` says what the files tell of each image, and while they tell the same its labels are the same.
"""

import contextlib
import os
import pathlib
import warnings
import zlib

import numpy as np

from kseg import data
from kseg.data import sources
from tests.campaigns.fuzzing import SENTENCE

_CHECKED = 6  # one input of so many goes through `kseg.data.check` too


class FileSet:
    """A dataset in the worker's folder, and the labels of its images while it is whole.

    Args:
        name: as `kseg.data.source`.
        told: function (name of the damaged file, its content) → {name of an image: what that file tells of it, of any
            kind that can be compared}; images that it leaves out may have any labels.
        options: function of the file's name that returns further arguments of `kseg.data.source`.
    """

    def __init__(self, name, told, options=lambda file: {}):
        self.name, self.told, self.options = name, told, options
        self.whole, self.whole_told = {}, {}  # by the file's name

    def seeds(self, folder, *patterns):
        """Return the files below the folder that fit patterns of `glob`, as inputs."""
        found = []
        for path in sorted(path for pattern in patterns for path in pathlib.Path(folder).glob(pattern)):
            file, content = path.relative_to(folder).as_posix(), path.read_bytes()
            found.append(file.encode() + b"\n" + content)
            self.whole[file], self.whole_told[file] = self.read(found[-1], folder), self._told(file, content)
        return found

    def read(self, content, folder):
        """Return {name of an image: (labels `[H, W]`, names of the classes, shape of the pixels)} of what is readable.

        Raises:
            ValueError: if nothing is, that of the last.
        """
        file, _, damaged = content.partition(b"\n")
        arguments = {"data_dir": str(folder), **self.options(file.decode())}
        with _replaced(pathlib.Path(folder) / file.decode(), damaged), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # kseg's own are not what is looked for
            if zlib.crc32(content) % _CHECKED == 0:
                with sentences_suppressed():
                    data.check(self.name, "train", other_splits=False, **arguments)
            return self._labels(sources.source(self.name, **arguments))

    def check(self, answer, content):
        """Raise AssertionError if an answer of `read` is silently wrong."""
        file, _, damaged = content.partition(b"\n")
        file = file.decode()
        told, whole = self._told(file, damaged), self.whole[file]
        for image, (labels, names, shape) in answer.items():
            assert labels.dtype == np.uint8 and labels.shape == shape[:2], (image, labels.dtype, labels.shape, shape)
            assert ((labels < len(names)) | (labels == 255)).all(), (image, np.unique(labels), names)
            if image in told and image in self.whole_told[file] and told[image] == self.whole_told[file][image]:
                np.testing.assert_array_equal(_named(labels, names), _named(*whole[image][:2]), image)

    def _labels(self, source):
        found, refusal = {}, None
        for index in range(len(source)):
            try:
                pixels, labels = source.read(index)
            except source.failures as failure:
                if not SENTENCE.search(str(failure)):
                    raise
                refusal = failure
            else:
                found[os.path.basename(source.describe(index))] = labels, source.label_set.names, pixels.shape
        if not found and refusal is not None:
            raise refusal
        return found

    def _told(self, file, content):
        """Return what `told` says, nothing if the content is broken in its eyes."""
        try:
            return self.told(file, content)
        except Exception:  # it is simple, and meets anything
            return {}


@contextlib.contextmanager
def sentences_suppressed():
    """Let errors that are kseg's sentence pass."""
    try:
        yield
    except (ValueError, OSError, TypeError) as failure:
        if not SENTENCE.search(str(failure)):
            raise


@contextlib.contextmanager
def _replaced(path, content):
    whole = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(whole)


def _named(labels, names):
    """Return labels as names, in which sets that number their classes differently can be compared."""
    names = np.array([*names, *["ignore"] * 256], object)[:256]
    return names[labels]
