"""What published datasets share: their classes and the layout of their folders are known."""

import abc
import os
import typing

import numpy as np

from kseg import checks
from kseg.data.colours import of_palette, palette_rows
from kseg.data.sources.file_pairs import FileSource
from kseg.labels import LabelSet


class PublishedSource(FileSource):
    """A published dataset; a subclass says which classes it has and where its files are.

    Attributes:
        LABELS: `LabelSet`.
        TABLE: int16 `[256]`, stored value → class id.
    """

    LABELS: typing.ClassVar[LabelSet]
    TABLE: typing.ClassVar[np.ndarray]

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             problems: list | None = None) -> typing.Self:
        """Return the source of the files below `data_dir`; arguments as `kseg.data.source`."""
        checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
        return cls(name, split, cls.find(data_dir, split, problems), cls.LABELS, cls.TABLE, channels,
                   of_palette(palette_rows(cls.LABELS)), exif="ignore")  # as their makers read them

    @classmethod
    @abc.abstractmethod
    def find(cls, data_dir: str, split: str, problems: list | None) -> list[tuple[str, str]]:
        """Return the pairs (image path, label path) below `data_dir`.

        Raises:
            FileNotFoundError: if the split is not there.
            ValueError: if files make no pair and `problems`, which otherwise takes them, is None.
        """


def existing_below(folder: str, *names: str) -> str:
    """Return the first folder of these names below `folder` that exists, else `folder` itself."""
    return next((path for path in (os.path.join(folder, name) for name in names) if os.path.isdir(path)), folder)


def layout_missing(name: str, data_dir: str, split: str, expected: str) -> FileNotFoundError:
    """Return the error about a folder without the files `expected`."""
    return FileNotFoundError(checks.sentence(
        "data_dir", f"must hold split {split!r} of {name!r}", str(data_dir), f"Expected {expected} below it."))
