"""Which window of an image becomes the result, and its cut: integer geometry shared by pixels and labels; NumPy.

The window is drawn before anything is resized, so that only what will be seen is. Reduction is antialiased by Pillow
(360×480 to three quarters 1.3 ms, TensorFlow's `ScaleAndTranslate` 2.4), plain bilinear is OpenCV's (to 360×480 0.4 ms,
TensorFlow's `ResizeBilinear` 1.0, Pillow's 1.4). Both leave the interpreter free.
"""

import functools
import typing
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from kseg.labels import IGNORE_CLASS

cv2.setNumThreads(0)  # tf.data runs examples side by side: threads of OpenCV within each would contend with them
LUMINANCE = np.array([0.299, 0.587, 0.114])  # of red, green and blue: ITU-R BT.601
MEAN_COLOUR = (123.675, 116.28, 103.53)  # mean of ImageNet, RGB 0–255; what uncovered pixels are filled with
_MOST_BANDS = 128  # of OpenCV 5
UNCOVERED = 256  # label between two steps of a recipe: uncovered, as opposed to a stored 255


class Window(typing.NamedTuple):
    """A part of an image (pixels) and where it comes to stand in the result."""

    top: int
    left: int
    height: int
    width: int
    rows: int  # height and width it takes in the result
    columns: int
    above: int  # uncovered rows above it and columns before it
    before: int
    antialias: bool  # whether it is reduced by more than a random factor down to a half, which plain bilinear does well


def whole(shape: tuple[int, int], size: tuple[int, int]) -> Window:
    """Return the `Window` that shows an image of `shape` (height, width, …) entirely in a result of `size`."""
    height, width = shape[:2]
    return Window(0, 0, height, width, *size, 0, 0, height > size[0] or width > size[1])


def draw(labels: np.ndarray, numbers: np.ndarray, size: tuple[int, int], scale: tuple[float, float], step: float,
         class_aware: float) -> Window:
    """Return the `Window` of a random scale and place, drawn by `Draws.numbers`; else as `geometry.scale_and_crop`."""
    factor = scale[0] + float(numbers[2]) * (scale[1] - scale[0])  # salt 1
    if step:
        count = int((scale[1] - scale[0]) / step + 1e-6) + 1
        factor = scale[0] + step * int(float(numbers[2]) * count)
    aim = _pixel_of_a_class(labels, numbers) if class_aware and numbers[6] < class_aware else None  # salts 3 to 5
    sides = []
    for axis, (native, wanted) in enumerate(zip(labels.shape, size)):
        place = float(numbers[4 + axis])  # salt 2
        part = max(int(round(native / max(factor, 1.0))), 1)
        start = min(int(place * (native - part + 1)), native - part)
        if aim is not None:
            start = min(max(int(aim[axis]) - part // 2, 0), native - part)
        covered = max(int(round(wanted * min(factor, 1.0))), 1)
        sides.append((start, part, covered, min(int(place * (wanted - covered + 1)), wanted - covered)))
    places = (value for both in zip(*sides) for value in both)
    reduced = labels.shape[0] > size[0] or labels.shape[1] > size[1]  # at factor 1, where evaluation antialiases too
    shrinks = any(part > covered for _, part, covered, _ in sides)
    return Window(*places, shrinks and (reduced or factor < 0.5))


def _pixel_of_a_class(labels, numbers):
    """Return the (row, column) of a random pixel of a class drawn evenly from those in `labels`."""
    several = labels.ndim == 3
    present = np.flatnonzero((labels == 1).any((0, 1)) if several
                             else np.bincount(labels.ravel(), minlength=256)[:IGNORE_CLASS])
    if not len(present):
        return labels.shape[0] // 2, labels.shape[1] // 2
    chosen = present[int(float(numbers[8]) * len(present))]
    places = np.flatnonzero(labels[..., chosen] == 1 if several else labels == chosen)
    return divmod(int(places[int(float(numbers[10]) * len(places))]), labels.shape[1])


def cut_labels(labels: np.ndarray, window: Window, size: tuple[int, int],
               mirrored: tuple[bool, bool] = (False, False), outside: int = IGNORE_CLASS) -> np.ndarray:
    """Return the ids of a result of `size`: the window to the nearest (half-pixel centres, exact), `outside` around it.

    `mirrored` says whether top and bottom, left and right are exchanged. uint8 stays so if `outside` fits.
    """
    top, left, height, width, rows, columns, above, before, _ = window
    ids = labels[top:top + height, left:left + width]
    for axis, wanted, native in ((1, columns, width), (0, rows, height)):
        if wanted != native or mirrored[axis]:
            nearest = (2 * np.arange(wanted) + 1) * native // (2 * wanted)
            ids = ids.take(nearest[::-1 if mirrored[axis] else 1], axis=axis, mode="clip")
    dtype = labels.dtype if outside <= IGNORE_CLASS else np.int32
    if (rows, columns) == tuple(size):
        return np.ascontiguousarray(ids, dtype)
    result = np.full((*size, *labels.shape[2:]), outside, dtype)
    result[above:above + rows, before:before + columns] = ids
    return result


def cut_pixels(pixels: np.ndarray, window: Window, mirrored: tuple[bool, bool] = (False, False),
               change: Callable | None = None) -> np.ndarray:
    """Return the window's pixels `[rows, columns, channels]`, uint8 or float32 as given.

    `change`, a function of pixels that returns as many (colour), runs where there are fewer of them, before or after
    they are resized.
    """
    top, left, height, width, rows, columns = window[:6]
    part = pixels[top:top + height, left:left + width]
    if window.antialias:
        part = _reduced(part, rows, columns)
    early = change is not None and part.shape[0] * part.shape[1] < rows * columns
    part = change(part) if early else part
    if part.shape[:2] != (rows, columns):
        part = by_bands(lambda bands: cv2.resize(bands, (columns, rows), interpolation=cv2.INTER_LINEAR), part)
    part = change(part) if change is not None and not early else part
    for axis in (0, 1):
        if mirrored[axis]:  # ten times as fast as a copy of the reversed array
            part = by_bands(functools.partial(cv2.flip, flipCode=axis), part)
    return np.ascontiguousarray(part)


def _reduced(part, rows, columns):
    """Return an array reduced with a triangle as wide as the reduction, by Pillow."""
    # Band by band unless it is RGB: of 2 or 4 bands Pillow would take the last for transparency.
    bands = [part] if part.dtype == np.uint8 and part.shape[-1] == 3 else np.moveaxis(part, -1, 0)
    reduced = [channels_last(np.asarray(Image.fromarray(band).resize((columns, rows), Image.Resampling.BILINEAR)))
               for band in bands]
    return reduced[0] if len(reduced) == 1 else np.concatenate(reduced, axis=-1)


def by_bands(change: Callable, pixels: np.ndarray) -> np.ndarray:
    """Return what a function of OpenCV makes of `[H, W, channels]`, which takes at most 128 bands at once."""
    if pixels.shape[-1] <= _MOST_BANDS:
        return channels_last(change(pixels))
    groups = range(0, pixels.shape[-1], _MOST_BANDS)
    return np.concatenate([channels_last(change(np.ascontiguousarray(pixels[..., first:first + _MOST_BANDS])))
                           for first in groups], axis=-1)


def channels_last(array: np.ndarray) -> np.ndarray:
    """Return `[H, W, channels]` of an array whose only channel OpenCV or Pillow left out."""
    return array if array.ndim == 3 else array[..., None]


def pad(part: np.ndarray, window: Window, size: tuple[int, int]) -> np.ndarray:
    """Return what `cut_pixels` gave at its place in `size`, mean colour around it."""
    if part.shape[:2] == tuple(size):
        return part
    row = np.tile(fill_colour(part.shape[-1], part.dtype), (size[1], 1))
    result = np.broadcast_to(row, (*size, part.shape[-1])).copy()
    result[window.above:window.above + window.rows, window.before:window.before + window.columns] = part
    return result


def fill_colour(channels: int, dtype: np.dtype) -> np.ndarray:
    """Return the colour of uncovered pixels `[channels]`: ImageNet's mean, or its luminance for grey pixels."""
    colour = np.array(MEAN_COLOUR)
    if channels != 3:
        colour = np.full(channels, colour @ LUMINANCE)
    return (colour if np.dtype(dtype).kind == "f" else colour + 0.5).astype(dtype)


def resized(pixels: np.ndarray, labels: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return a whole pair at `size`: pixels uint8 bilinear, antialiased if either side shrinks, labels the nearest."""
    window = whole(labels.shape, size)
    return cut_pixels(pixels, window), cut_labels(labels, window, size)
