"""TIFF and GeoTIFF of any number of bands and any type of number, by rasterio (extra `geo`).

What Pillow reads without loss, pictures of 8 bits and one band of more, needs no rasterio.
"""

import contextlib
import io
import math
import struct
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import TiffImagePlugin

from kseg.data import formats

_NO_DATA, _BITS, _SAMPLES = 42113, 258, 277  # tags
_DEEP_MODES = ("I;16", "I;16B", "I;16L", "I", "F")


def read(data: bytes, channels: int, shown: str) -> np.ndarray | None:
    """Return the numbers of a TIFF `[H, W, bands]`, or None for one that Pillow reads without loss.

    Pixels that the file marks as without data are NaN, the numbers float32 then. An alpha band is dropped unless as
    many `channels` are wanted as there are bands with it.
    """
    if _suits_pillow(data, channels):
        return None
    rasterio = formats.required("rasterio", "geo", shown)
    with rasterio.MemoryFile(data) as file, opened(file.open) as dataset:
        return numbers_of(dataset, bands_of(dataset, channels), shown=shown)


def _suits_pillow(data, channels):
    """Return whether a TIFF is for Pillow: a picture of 8 bits, one band of more with data everywhere, or broken."""
    file = io.BytesIO(data)
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[:16] if 43 in data[2:4] else data[:8])  # 43: BigTIFF
        file.seek(tags.next)
        tags.load(file)
        bits, samples = tags.get(_BITS, (1,)), tags.get(_SAMPLES, 1)
        if samples > 4:  # which Pillow would log as an error
            return False
        picture = TiffImagePlugin.TiffImageFile(io.BytesIO(data))  # reads the header alone
    except SyntaxError as failure:
        return "unknown" not in str(failure)  # "unknown pixel mode": bands or numbers that Pillow does not have
    except (OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, struct.error):
        return True  # Pillow says what is wrong with it
    if picture.mode in _DEEP_MODES:
        return samples == 1 and _NO_DATA not in tags
    return max(bits) <= 8 and (channels in (1, 3) or len(picture.getbands()) == samples)


@contextlib.contextmanager
def opened(open_dataset: Callable[..., Any]) -> Iterator[Any]:
    """Yield the rasterio dataset that `open_dataset(driver=…)` opens; what rasterio raises becomes `BrokenFile`.

    No other format than TIFF is opened: GDAL has formats that name further files.
    """
    import rasterio

    # One without a place on earth is an image like any other. (`catch_warnings` is not for threads.)
    warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
    try:
        with open_dataset(driver="GTiff") as dataset:
            yield dataset
    except rasterio.errors.RasterioError as failure:
        raise formats.BrokenFile(str(failure.__cause__ or failure)) from failure
    except MemoryError:
        raise
    except Exception as failure:  # of damaged tags rasterio lets GDAL's own through
        if isinstance(failure, formats.BrokenFile) or str(failure).startswith("`"):
            raise
        raise formats.BrokenFile(str(failure)) from failure


def bands_of(dataset: Any, channels: int) -> list[int]:
    """Return which bands of a rasterio dataset, counted from 1, are the pixels': all, or all but its alpha band."""
    from rasterio.enums import ColorInterp

    every = list(dataset.indexes)
    colours = [band for band, meaning in zip(every, dataset.colorinterp) if meaning != ColorInterp.alpha]
    return every if len(every) == channels else colours


def numbers_of(dataset: Any, bands: list[int], window: Any = None, shown: Any = None,
               size: tuple[int, int] | None = None) -> np.ndarray:
    """Return the numbers of a dataset, or of a rasterio `Window` of it, `[H, W, bands]`, NaN where without data.

    `size`, (height, width), reads that many pixels instead, the nearest.
    """
    shape = size or ((window.height, window.width) if window is not None else dataset.shape)
    formats.refuse_huge((*shape, len(bands)), dataset.dtypes[bands[0] - 1], shown)
    where = {"window": window, "out_shape": None if size is None else (len(bands), *size)}
    numbers = dataset.read(bands, **where)  # [bands, H, W]
    if numbers.dtype.kind == "c":
        raise formats.BrokenFile("its numbers are complex: save their magnitude")
    if not marks_no_data(dataset, bands):
        return np.ascontiguousarray(np.moveaxis(numbers, 0, -1))
    masks = dataset.read_masks(bands, **where)
    if masks.all():
        return np.ascontiguousarray(np.moveaxis(numbers, 0, -1))
    numbers = np.where(masks > 0, numbers, np.float32(math.nan)).astype(np.float32)
    return np.ascontiguousarray(np.moveaxis(numbers, 0, -1))  # [H, W, bands]


def marks_no_data(dataset: Any, bands: list[int]) -> bool:
    """Return whether a dataset says which pixels are without data: by a number, a mask, or an alpha band left out."""
    from rasterio.enums import MaskFlags

    flags = [dataset.mask_flag_enums[band - 1] for band in bands]
    return any(MaskFlags.nodata in one or (MaskFlags.per_dataset in one and (
        MaskFlags.alpha not in one or len(bands) < dataset.count)) for one in flags)
