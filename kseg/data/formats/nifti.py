"""NIfTI volumes, by nibabel (extra `medical`): a stack of images along the third axis.

Image k is `volume[:, :, k]`, its rows along the first axis and its columns along the second, as they are stored; a
fourth axis holds the bands. Nothing is turned by the affine, of volumes and their labels alike.
"""

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from kseg import files
from kseg.data import formats

EXTENSIONS = (".nii", ".nii.gz")


def is_volume(path: str) -> bool:
    """Return whether a file is a NIfTI volume by its name."""
    return path.lower().endswith(EXTENSIONS)


def shape_of(path: str) -> tuple[int, int, int, int]:
    """Return (rows, columns, slices, bands) of a volume."""
    with _opened(path) as volume:
        return _four(volume.shape, path)


def read(path: str, first: int | None = None) -> np.ndarray:
    """Return the numbers of a volume, `[slices, H, W, bands]`, float32 where the file scales them; or of one slice.

    Args:
        path: str.
        first: int or None, the only slice wanted.
    Raises:
        BrokenFile: if nibabel refuses the file.
    """
    with _opened(path) as volume:
        rows, columns, slices, bands = _four(volume.shape, path)
        formats.refuse_huge((rows, columns, slices if first is None else 1, bands), np.float32, path)
        chosen = slice(None) if first is None else slice(first, first + 1)
        numbers = np.asarray(volume.dataobj[:, :, chosen])
    numbers = numbers.reshape(rows, columns, -1, bands)
    if numbers.dtype.kind == "f":
        numbers = numbers.astype(np.float32)
    return np.ascontiguousarray(np.moveaxis(numbers, 2, 0))


def write_labels(path: str, labels: np.ndarray, like: str) -> None:
    """Write labels `[slices, H, W]` as a `.nii.gz` in the place of another volume: its axes and affine, uint8."""
    nibabel = formats.required("nibabel", "medical", path)
    with _opened(like) as volume:
        affine = volume.affine
    volume = nibabel.Nifti1Image(np.moveaxis(labels.astype(np.uint8), 0, 2), affine)
    with files.draft(path) as temporary, open(temporary, "wb") as file:  # nibabel goes by a name's ending
        file.write(gzip.compress(volume.to_bytes(), mtime=0))


def _four(shape, path):
    if len(shape) not in (3, 4) or min(shape) < 1:
        raise formats.BrokenFile(f"a volume of {len(shape)} axes {tuple(shape)}, where 3 or 4 were expected")
    return tuple(map(int, shape)) if len(shape) == 4 else (*map(int, shape), 1)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    nibabel = formats.required("nibabel", "medical", path)
    try:
        yield nibabel.load(path, mmap=False)
    except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError, EOFError, OSError,
            ValueError, zlib.error) as failure:
        if isinstance(failure, formats.BrokenFile) or str(failure).startswith("`"):
            raise
        raise formats.BrokenFile(str(failure)) from failure
