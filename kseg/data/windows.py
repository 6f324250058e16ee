"""Which window of an image becomes the result, and its cut: integer geometry shared by pixels and labels; NumPy only.

The window is drawn before anything is resized, so that only what will be seen is. Antialiased reduction is done here,
by Pillow (360×480 to three quarters 1.3 ms, TensorFlow's `ScaleAndTranslate` 2.4); plain bilinear is left to
`geometry.to_place` (to 360×480 TensorFlow's `ResizeBilinear` on floats 0.5 ms, on uint8 1.0, Pillow 1.4).
"""

import typing

import numpy as np
from PIL import Image

from kseg.labels import IGNORE_CLASS


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


def whole(shape, size):
    """Return the `Window` that shows an image of `shape` (height, width) entirely in a result of `size`."""
    return Window(0, 0, *shape, *size, 0, 0, shape[0] > size[0] or shape[1] > size[1])


def draw(labels, numbers, size, scale, step, class_aware):
    """Return the `Window` of a random scale and place; arguments as `geometry.scale_and_crop`.

    Args:
        labels: integers `[H, W]`.
        numbers: float32 `[128]`, uniform in [0, 1): `draws.Draws(seed).numbers`, two for each salt.
    """
    factor = scale[0] + float(numbers[2]) * (scale[1] - scale[0])  # salt 1
    if step:
        count = int(round((scale[1] - scale[0]) / step)) + 1
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
    flat = labels.ravel()
    present = np.flatnonzero(np.bincount(flat, minlength=256)[:IGNORE_CLASS])
    if not len(present):
        return labels.shape[0] // 2, labels.shape[1] // 2
    places = np.flatnonzero(flat == present[int(float(numbers[8]) * len(present))])
    return divmod(int(places[int(float(numbers[10]) * len(places))]), labels.shape[1])


def cut_labels(labels, window, size, mirrored=(False, False), outside=IGNORE_CLASS):
    """Return the ids of a result: the window to the nearest (half-pixel centres, exact), `outside` around it.

    Args:
        labels: integers `[H, W]`.
        window: `Window`.
        size: (height, width) of the result.
        mirrored: (top and bottom, left and right), whether the window's sides are exchanged.
        outside: int.
    Returns:
        integers of `size`, uint8 if `labels` are and `outside` fits.
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
    result = np.full(size, outside, dtype)
    result[above:above + rows, before:before + columns] = ids
    return result


def cut_pixels(pixels, window, mirrored=(False, False)):
    """Return the window's pixels uint8 `[h, w, channels]`, at their final size if they are antialiased.

    Args:
        pixels: uint8 `[H, W, channels]`, or a Pillow image.
        window, mirrored: as `cut_labels`.
    """
    top, left, height, width = window[:4]
    box = (left, top, left + width, top + height)
    if isinstance(pixels, np.ndarray):
        if pixels.shape[-1] not in (1, 3):  # Pillow would take the last of 2 or 4 bands for transparency
            bands = np.split(pixels, pixels.shape[-1], axis=-1)
            return np.concatenate([cut_pixels(band, window, mirrored) for band in bands], axis=-1)
        part = pixels[top:top + height, left:left + width]
        if not window.antialias and not any(mirrored):
            return np.ascontiguousarray(part)
        pixels = Image.fromarray(part[..., 0] if part.shape[-1] == 1 else part)
    elif box != (0, 0, *pixels.size):
        pixels = pixels.crop(box)
    if window.antialias:
        pixels = pixels.resize((window.columns, window.rows), Image.Resampling.BILINEAR)
    for turn, wanted in zip((Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.FLIP_LEFT_RIGHT), mirrored):
        pixels = pixels.transpose(turn) if wanted else pixels
    array = np.asarray(pixels)
    return array if array.ndim == 3 else array[..., None]


def resized(pixels, labels, size):
    """Return a whole pair at `size`, by Pillow: pixels uint8 antialiased bilinear, labels uint8 to the nearest."""
    window = whole(labels.shape, size)._replace(antialias=labels.shape != tuple(size))
    return cut_pixels(pixels, window), cut_labels(labels, window, size)
