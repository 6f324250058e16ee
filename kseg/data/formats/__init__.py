"""Image files that hold more than 8 bits or other bands than pictures do: how each format gives its numbers.

One file per format, found by the first bytes. What none of them claims is a picture, which Pillow reads in 8 bits.
"""

import importlib
from typing import Any

import numpy as np

from kseg import checks
from kseg.data.windows import LUMINANCE

_FORMATS = {  # file beside this one → (offset, bytes) by which its files begin
    "png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "tiff": ((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+")),
    "npy": ((0, b"\x93NUMPY"),),
    "dicom": ((128, b"DICM"),),
}
_LUMINANCE_16 = np.array([19595, 38470, 7471])  # red, green and blue, of 2¹⁶
_MOST_BYTES = 1 << 31  # of the numbers of one image read whole


class BrokenFile(ValueError):
    """What a decoder says of a file that it refuses."""


def stored_numbers(data: bytes, channels: int | None, shown: str) -> np.ndarray | None:
    """Return the numbers in an encoded image, `[H, W, channels]`, or None where Pillow gives the same in 8 bits.

    Args:
        data: bytes, the content of the file.
        channels: int; the bands that must come out. Grey becomes RGB and RGB its luminance where 3 or 1 are wanted.
            None for those of the file.
        shown: str, what messages name.
    Returns:
        integers, or float32 with NaN where the file marks pixels as without data; None for a picture.
    Raises:
        BrokenFile: if a decoder refuses the file.
        ValueError: with the error sentence, if it has other bands or is implausibly large.
        ImportError: if the package that reads the format is not installed.
    """
    for name, signatures in _FORMATS.items():
        if any(data[offset:offset + len(mark)] == mark for offset, mark in signatures):
            numbers = importlib.import_module(f"{__name__}.{name}").read(data, channels, shown)
            return numbers if numbers is None or channels is None else in_bands(numbers, channels, shown)
    return None


def in_bands(numbers: np.ndarray, channels: int, shown: Any) -> np.ndarray:
    """Return numbers `[H, W, bands]` in so many `channels`: grey three times for RGB, RGB's luminance for grey.

    Raises:
        ValueError: for any other difference.
    """
    bands = numbers.shape[-1]
    if bands == channels:
        return numbers
    if (bands, channels) == (1, 3):
        return np.repeat(numbers, 3, axis=-1)
    if (bands, channels) == (3, 1) and numbers.dtype == np.uint8:  # rounded as Pillow does
        return (numbers @ _LUMINANCE_16 + (1 << 15) >> 16).astype(np.uint8)[..., None]  # [H, W, 1]
    if (bands, channels) == (3, 1):
        return (numbers @ LUMINANCE.astype(np.float32))[..., None].astype(np.float32)  # [H, W, 1]
    raise ValueError(checks.sentence("channels", f"must be {bands}, the bands of {shown!r}", channels,
                                     f"Pass channels={bands}, and in_channels={bands} to the model."))


def refuse_huge(shape: tuple[int, ...], dtype: Any, shown: Any) -> None:
    """Raise ValueError if an array of `shape` that a file announces would take more than 2 GiB."""
    size = np.dtype(dtype).itemsize
    for side in shape:
        size *= int(side)
    if size > _MOST_BYTES or min(shape, default=0) < 1:
        raise ValueError(checks.sentence(
            "image", f"must be an image of at most 2 GiB; {shown!r} announces {size / 2 ** 30:.3g} GiB", tuple(shape),
            "The file is damaged, or is to be cut into tiles first; kseg predict reads GeoTIFF by windows."))


def required(package: str, extra: str, shown: Any) -> Any:
    """Return the module of an optional package; ImportError with the error sentence if it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as failure:
        raise checks.missing("image", package, shown, extra) from failure
