"""An image whose numbers are scaled to pixels 0–255 as they are read, window by window."""

from typing import Any, Protocol

import numpy as np

from kseg.data.pixel_range import PixelRange

_LARGE = 2048 * 2048  # pixels; larger ones that lie in a file are never taken whole


class Numbers(Protocol):
    """What holds the numbers of an image: an array, a `numpy.memmap`, or a file that is read by windows."""

    shape: tuple[int, ...]  # (H, W, channels)
    dtype: np.dtype

    def __getitem__(self, window: Any) -> np.ndarray:
        """Return rows and columns by slices, `[h, w, channels]`; NaN is no data."""


class StoredImage:
    """An image `[H, W, channels]` as `Numbers` hold it, in place of an array of pixels.

    Args:
        numbers: `Numbers`.
        pixel_range: `PixelRange` by which they become pixels, or None if they are pixels, uint8.
        scene: the `kseg.inference.scenes.Scene` that holds them, or None: only a scene has pixels without data that
            its numbers, if they are integers, do not show, and a place on earth.
    Attributes: the arguments, and
        shape, ndim, dtype: of the pixels; float32 with a range.
    """

    ndim = 3

    def __init__(self, numbers: Numbers, pixel_range: PixelRange | None, scene: Any = None):
        self.numbers, self.pixel_range, self.scene = numbers, pixel_range, scene
        self.shape = tuple(numbers.shape)
        self.dtype = np.dtype(np.uint8 if pixel_range is None else np.float32)

    @property
    def is_large(self) -> bool:
        """Whether it lies in a file and is too large to be taken whole."""
        return self.scene is not None and self.shape[0] * self.shape[1] > _LARGE

    def __getitem__(self, window: Any) -> np.ndarray:
        numbers = np.asarray(self.numbers[window])
        if self.pixel_range is not None:
            return self.pixel_range.scaled(numbers)
        return np.nan_to_num(numbers).astype(np.uint8) if numbers.dtype.kind == "f" else numbers

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        del copy  # a new one each time
        return np.asarray(self[:, :], dtype)

    def no_data(self, rows: slice, columns: slice) -> np.ndarray | None:
        """Return which pixels of a window have data in no band, bool `[h, w]`; None if all have."""
        if self.scene is not None:
            return self.scene.no_data(rows, columns)
        if np.dtype(self.numbers.dtype).kind != "f":
            return None
        return np.isnan(self.numbers[rows, columns]).all(-1)
