"""NumPy's `.npy` files: any number of bands and any type of number."""

import io
import tokenize

import numpy as np
from numpy.lib import format as npy

from kseg.data import formats

FAILURES = (ValueError, EOFError, OSError, SyntaxError, TypeError, OverflowError, tokenize.TokenError)  # of NumPy


def read(data: bytes, channels: int, shown: str) -> np.ndarray:
    """Return the array of a `.npy` file as `[H, W, bands]`; `[H, W]` has one band."""
    del channels
    file = io.BytesIO(data)
    try:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(file)
    except FAILURES as failure:
        raise formats.BrokenFile(str(failure)) from failure
    if dtype.kind not in "uif" or len(shape) not in (2, 3):
        raise formats.BrokenFile(f"an array of {dtype}{list(shape)}, where numbers [H, W, bands] were expected")
    formats.refuse_huge(shape, dtype, shown)
    file.seek(0)
    try:
        numbers = np.load(file, allow_pickle=False)
    except FAILURES as failure:
        raise formats.BrokenFile(str(failure)) from failure
    return numbers if numbers.ndim == 3 else numbers[..., None]  # [H, W, bands]
