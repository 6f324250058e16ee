"""Label files that hold an array of numbers: `.npy` and `.npz`, read without running anything in them."""

import io
import math
import struct
import tokenize
import zipfile
import zlib
from typing import BinaryIO

import numpy as np
from PIL import Image

from kseg import checks

_KEYS = ("labels", "mask")  # of these names is the array taken where an .npz file holds several
_FAILURES = (ValueError, OSError, EOFError, SyntaxError, KeyError, RuntimeError, NotImplementedError, struct.error,
             tokenize.TokenError, zipfile.BadZipFile, zlib.error)


def read(data: bytes, shown: str) -> np.ndarray | None:
    """Return the labels in the bytes of a `.npy` or `.npz` file, or None if they are of another kind.

    Args:
        data: bytes, the content of a label file.
        shown: str, how messages name it.
    Returns:
        integers `[H, W]`, or uint8 `[H, W, 3]` colours.
    Raises:
        ValueError: if the file is damaged, larger than images may be, or holds no labels.
    """
    reader = next((reader for start, reader in _READERS.items() if data.startswith(start)), None)
    if reader is None:
        return None
    try:
        array = reader(io.BytesIO(data), shown)
    except _Refused as refusal:
        raise ValueError(str(refusal)) from refusal
    except _FAILURES as failure:
        raise ValueError(checks.sentence(
            "labels", "must be a whole file of one array of numbers", shown,
            f"NumPy says: {failure or type(failure).__name__}. Save it again.")) from failure
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[-1]):
        array = array[0] if array.shape[0] == 1 else array[..., 0]  # [H, W]
    if array.ndim == 3 and array.shape[-1] == 3 and array.dtype == np.uint8:
        return array
    if array.ndim != 2 or array.size == 0:
        raise ValueError(checks.sentence(
            "labels", f"must be class ids [H, W] or uint8 colours [H, W, 3]; {shown!r} is not",
            f"{array.dtype}{list(array.shape)}", "Save one label map per file."))
    return whole_numbers(array, shown)


def whole_numbers(array: np.ndarray, shown: str) -> np.ndarray:
    """Return numbers `[H, W]` as integers; floats that are no whole numbers raise ValueError."""
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind in "iu":
        return array
    with np.errstate(invalid="ignore"):
        ids = array.astype(np.int64)
    if (ids != array).any():
        raise ValueError(checks.sentence(
            "labels", f"must be whole numbers, class ids; {shown!r} has others",
            np.unique(array[ids != array])[:4].tolist(), "Take the argmax of scores, or round, before saving."))
    return ids


class _Refused(ValueError):
    """A file that is not damaged, but not read either; the text is a sentence already."""


def _npy(file: BinaryIO, shown: str) -> np.ndarray:
    """Return the array of a `.npy` file after a look at what its header asks for."""
    content = file if file.seekable() else io.BytesIO(file.read())
    start = content.tell()
    version = np.lib.format.read_magic(content)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if header is None:
        raise ValueError(f"version {version} of the format")
    shape, _, kind = header(content)
    most = 2 * (Image.MAX_IMAGE_PIXELS or math.inf)
    if math.prod(shape) > most:
        raise _Refused(checks.sentence(
            "labels", f"must have at most {most:,} numbers; the header of {shown!r} says more", shape,
            "Cut it into tiles, or set PIL.Image.MAX_IMAGE_PIXELS, which is the limit of image files too."))
    if kind.kind not in "biuf":
        raise _Refused(checks.sentence("labels", f"must be an array of numbers; {shown!r} is not", str(kind),
                                       "Save an array of integers, not of objects."))
    content.seek(start)
    return np.lib.format.read_array(content, allow_pickle=False)


def _npz(file: BinaryIO, shown: str) -> np.ndarray:
    """Return the only array of a `.npz` file, or that of a name of `_KEYS`."""
    with zipfile.ZipFile(file) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        chosen = names if len(names) == 1 else [name for name in names if name in _KEYS]
        if len(chosen) != 1:
            raise _Refused(checks.sentence(
                "labels", f"must be one array, or one named {' or '.join(map(repr, _KEYS))}; {shown!r} holds",
                names[:8], "Save the labels alone."))
        with archive.open(archive.namelist()[names.index(chosen[0])]) as member:
            return _npy(member, shown)


_READERS = {b"\x93NUMPY": _npy, b"PK": _npz}  # by what the content begins with
