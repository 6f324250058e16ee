"""Which stored numbers become pixels 0 and 255: the scale of images of more than 8 bits, kept with a model."""

import dataclasses
import math
import numbers
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from kseg import checks

PERCENTILES = "percentiles"  # instead of numbers: measured on the training set


def asks_for_percentiles(value: Any) -> bool:
    """Return whether an argument `pixel_range` asks for what is measured on the training set."""
    return isinstance(value, str) and value == PERCENTILES


@dataclasses.dataclass(frozen=True)
class PixelRange:
    """The stored numbers that become pixels 0 and 255; those in between keep their full resolution, as float32.

    Args:
        bounds: pairs (low, high) of numbers as they are stored: one pair for all bands, or one per band.
    """

    bounds: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, value: Any, channels: int | None = None, name: str = "pixel_range") -> Self | None:
        """Return an argument `pixel_range` as such: None, a `PixelRange`, (low, high), or a sequence of such pairs.

        Args:
            value: what the caller passed.
            channels: int, bands of the pixels, or None where they are not known.
            name: str, what errors call the argument.
        Raises:
            ValueError: if it is something else, a low is not below its high, or there are neither one nor `channels`.
        """
        if value is None or isinstance(value, cls):
            bounds = None if value is None else value.bounds
        else:
            bounds = (value,) if _is_pair(value) else value
        if bounds is None:
            return None
        several = isinstance(bounds, (tuple, list, np.ndarray)) and len(bounds) > 0 and all(map(_is_pair, bounds))
        if not several or not all(low < high for low, high in bounds):
            raise ValueError(checks.sentence(
                name, "must be (low, high), the stored numbers that become 0 and 255, or one such pair per band", value,
                f"Write for example {name}=(0, 4095) for 12 bits."))
        if channels is not None and len(bounds) not in (1, channels):
            raise ValueError(checks.sentence(
                name, f"must be one pair (low, high), or one for each of {channels} bands", value,
                "Give a pair for every band, in their order."))
        return cls(tuple((float(low), float(high)) for low, high in bounds))

    def to_list(self) -> list[list[float]]:
        """Return the pairs as JSON-ready values, which `of` reads."""
        return [list(pair) for pair in self.bounds]

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return float32 (low, factor), each `[1]` or `[channels]`: a pixel is (stored number - low) · factor."""
        low, high = np.asarray(self.bounds, np.float64).T
        return low.astype(np.float32), (255.0 / (high - low)).astype(np.float32)

    def scaled(self, stored: np.ndarray) -> np.ndarray:
        """Return stored numbers `[..., channels]` as pixels, float32 clipped to 0–255; NaN (no data) becomes 0."""
        low, factor = self.factors()
        pixels = np.subtract(stored, low, dtype=np.float32)
        pixels *= factor
        np.clip(pixels, 0.0, 255.0, out=pixels)
        if np.asarray(stored).dtype.kind == "f":
            np.nan_to_num(pixels, copy=False)
        return pixels

    def restored(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels 0–255 `[..., channels]` as the float32 numbers that `scaled` would make them of."""
        low, factor = self.factors()
        return np.asarray(pixels, np.float32) / factor + low


def as_pixels(stored: np.ndarray, pixel_range: PixelRange | None, shown: Any, name: str = "pixel_range",
              advice: str | None = None) -> np.ndarray:
    """Return stored numbers as pixels 0–255: uint8 as they are, others float32 scaled by `pixel_range`.

    Without a range, numbers of 16 bits that are 8-bit ones times 257, as converters write them, become those.

    Args:
        stored: `[H, W, channels]`.
        pixel_range: `PixelRange` or None.
        shown: what is named in the message.
        name: str, what errors call the range.
        advice: str or None, what to do; None: to pass `pixel_range`.
    Raises:
        ValueError: if numbers of more than 8 bits have no range.
    """
    if pixel_range is not None:
        return pixel_range.scaled(stored)
    if stored.dtype == np.uint8:
        return stored
    if stored.dtype == np.uint16 and not (stored % 257).any():
        return (stored // 257).astype(np.uint8)
    finite = stored[np.isfinite(stored)]
    least, most = (finite.min().item(), finite.max().item()) if finite.size else (0, 1)
    raise ValueError(checks.sentence(
        name, "must say which stored numbers become pixels 0 and 255 where images have more than 8 bits; "
        f"{shown!r} holds {stored.dtype} from {least:g} to {most:g}", None,
        advice or f"Pass for example pixel_range={_likely(stored.dtype, least, most)}, or "
        f'pixel_range="{PERCENTILES}" to measure the training set.'))


def _likely(dtype, least, most):
    """Return a range that numbers found in one image suggest: the bits they need, or what they span."""
    if dtype.kind in "iu" and least >= 0:
        return 0, 2 ** max(8, math.ceil(math.log2(most + 1))) - 1
    return (round(least, 6), round(most, 6)) if most > least else (least, least + 1)


def _is_pair(value):
    return isinstance(value, (tuple, list, np.ndarray)) and len(value) == 2 and all(
        isinstance(one, numbers.Real) and not isinstance(one, bool) and math.isfinite(one) for one in value)


def percentile_range(images: Iterable[np.ndarray], channels: int, low: float = 0.1, high: float = 99.9,
                     most: int = 1 << 16) -> PixelRange:
    """Return the range between two percentiles of each band over images `[H, W, channels]`, NaN left out.

    Of each image at most about `most` pixels are looked at, on a regular grid, so that equal images give equal ranges.
    """
    seen = []
    for image in images:
        step = max(1, math.ceil(math.sqrt(image.shape[0] * image.shape[1] / most)))
        seen.append(image[step // 2::step, step // 2::step].reshape(-1, channels).astype(np.float32))
    bands = np.concatenate(seen).T if seen else np.empty((channels, 0))
    bounds = []
    for band in bands:
        finite = band[np.isfinite(band)]
        if not finite.size:
            raise ValueError(checks.sentence("pixel_range", "must be numbers where the training images hold none",
                                             PERCENTILES, "Every pixel that was looked at is without data."))
        least, greatest = np.percentile(finite.astype(np.float64), (low, high))
        bounds.append((float(least), float(greatest if greatest > least else least + 1)))
    return PixelRange(tuple(bounds))
