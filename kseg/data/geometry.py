"""Joint geometry of pixels and labels: one sampling grid for both, nearest for labels, 255 where nothing is covered.

All functions take one example and a stateless seed (int `[2]`), so that the result depends on the seed alone, in any
order and any number of parallel maps. The work is NumPy's and OpenCV's (`windows`), uint8 staying uint8 throughout;
tf.data calls it as Python. Labels may have a third axis, of classes (multi-label): `[H, W, classes]` for `[H, W]`.

Own code instead of keras-cv's layers: in 0.9.0 these paint uncovered labels as class 0, offer no other value and take
no stateless seed. Processor ms an image 360×480 with its labels in tf.data, keras-cv and own: RandomFlip 10.8 and 0.9,
JitteredResize and `scale_and_crop` 8.3 and 2.3, RandomRotation and `rotate` 14.5 and 5.3.
"""

import functools
from collections.abc import Callable

import cv2
import numpy as np
import tensorflow as tf

from kseg.data import windows
from kseg.data.draws import Draws
from kseg.data.parallelism import numpy_function
from kseg.labels import IGNORE_CLASS


def resize(pixels: tf.Tensor, labels: tf.Tensor, size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Return pixels and labels at `size` (height, width): antialiased bilinear and nearest, half-pixel centres.

    Antialiasing (a triangle as wide as the reduction) because datasets are mostly reduced here, and thin classes
    (poles, signs) otherwise alternate between sampled and lost; where the size grows it equals plain bilinear.

    Args:
        pixels: uint8 or float `[H, W, channels]`.
        labels: integer `[H, W]`.
        size: (height, width), integers or scalars.
    Returns:
        pixels `[height, width, channels]` of the same dtype, labels int32 `[height, width]`.
    """
    return called(cutter(), pixels, labels, None, size)


def scale_and_crop(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, size: tuple[int, int],
                   scale: tuple[float, float] = (0.5, 2.0), step: float = 0.0,
                   class_aware: float = 0.0) -> tuple[tf.Tensor, tf.Tensor]:
    """Scale by a random factor and crop to `size`, or pad with mean colour and 255 where the result is smaller.

    The factor is relative to `size`: at 1 the whole image fills it, exactly as `resize` does in evaluation.
    Reference: Chen et al., DeepLabv3, arXiv:1706.05587, §4.1 (0.5–2.0); Zhao et al., PSPNet, arXiv:1612.01105, §5.1.

    Args:
        pixels: uint8 or float `[H, W, channels]`.
        labels: integer `[H, W]`.
        seed: int `[2]`, stateless seed.
        size: (height, width) of the result.
        scale: (least, greatest) factor.
        step: float, factors are multiples of it from the least on (0.25 in DeepLab's code); 0 is continuous.
        class_aware: float, probability that the crop is centred on a pixel of a class drawn evenly from those present.
    Returns:
        pixels and labels (int32) of `size`.
    """
    return called(cutter(scale, step, class_aware), pixels, labels, seed, size)


def flip(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, probability: float = 0.5,
         axis: int = 1) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirror pixels and labels with `probability`; axis 1 exchanges left and right, axis 0 top and bottom."""
    mirror = (probability, 0.0) if axis == 0 else (0.0, probability)
    return called(cutter(mirror=mirror), pixels, labels, seed, tf.shape(labels)[:2])


def rotate(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, degrees: float = 10.0,
           shift: float = 0.0) -> tuple[tf.Tensor, tf.Tensor]:
    """Rotate about the centre by a uniform angle within ±`degrees`, and shift by up to ±`shift` of each side.

    Reference: Zhao et al., PSPNet, arXiv:1612.01105, §5.1 (±10°); Ronneberger et al., U-Net, arXiv:1505.04597, §3.1.
    """
    return called(functools.partial(with_warps, degrees=degrees, shift=shift), pixels, labels, seed)


def elastic(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, sigma: float = 10.0,
            grid: int = 3) -> tuple[tf.Tensor, tf.Tensor]:
    """Deform smoothly: normal displacements of `sigma` pixels on a `grid` × `grid` grid, bicubic in between.

    Reference: Ronneberger et al., U-Net, arXiv:1505.04597, §3.1 (3×3 grid, 10 px).
    """
    return called(functools.partial(with_warps, sigma=sigma, grid=grid), pixels, labels, seed)


def called(function: Callable, pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor | None,
           size: tuple[int, int] | tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what a NumPy function makes of one example: pixels of the same dtype, labels int32.

    The function takes uint8 or float32 pixels, labels, the `Draws` of `seed` (None without one) and, if there is one,
    the `size` (height, width) of the result.
    """
    kept = pixels if pixels.dtype in (tf.uint8, tf.float32) else tf.cast(pixels, tf.float32)

    def run(image, ids, *others):
        draws = None if seed is None else Draws(others[0])
        result = function(image, ids, draws) if size is None else function(image, ids, draws, others[-1])
        return result[0], result[1].astype(np.int32, copy=False)

    inputs = [kept, labels, *([] if seed is None else [tf.cast(seed, tf.int64)]),
              *([] if size is None else [tf.stack(size)])]
    part, ids = numpy_function(run, inputs, [kept.dtype, tf.int32])
    sides = labels.shape[:2] if size is None or tf.is_tensor(size) else [
        side if isinstance(side, int) else None for side in size]
    part, ids = tf.ensure_shape(part, [*sides, pixels.shape[-1]]), tf.ensure_shape(ids, [*sides, *labels.shape[2:]])
    if part.dtype != pixels.dtype and pixels.dtype.is_integer:
        part = tf.clip_by_value(part + 0.5, 0.0, 255.0)
    return tf.cast(part, pixels.dtype), ids


def cutter(scale: tuple[float, float] = (1.0, 1.0), step: float = 0.0, class_aware: float = 0.0, *,
           mirror: tuple[float, float] = (0.0, 0.0), colour: Callable | None = None, sharpness: Callable | None = None,
           warp: Callable | None = None) -> Callable:
    """Return a NumPy function (pixels, labels, `Draws` or None, size) → pixels and labels of `size`.

    Args:
        scale, step, class_aware: as `scale_and_crop`.
        mirror: probabilities of exchanging (top and bottom, left and right).
        colour, sharpness: (pixels, draws) → pixels; colour before or after a resize, sharpness after it.
        warp: (pixels, labels, draws) → both, for what is complete, labels with `UNCOVERED`.
    """
    def function(pixels, labels, draws, size):
        size = tuple(int(side) for side in size)
        if draws is None or (scale == (1.0, 1.0) and not class_aware):
            window = windows.whole(labels.shape, size)
        else:
            window = windows.draw(labels, draws.numbers, size, scale=scale, step=step, class_aware=class_aware)
        mirrored = tuple(draws is not None and draws.uniform(10 + axis) < mirror[axis] for axis in (0, 1))
        part = windows.cut_pixels(pixels, window, mirrored, colour and (lambda values: colour(values, draws)))
        part = part if sharpness is None else sharpness(part, draws)
        part = windows.pad(part, window, size)
        ids = windows.cut_labels(labels, window, size, mirrored, windows.UNCOVERED if warp else IGNORE_CLASS)
        if warp:
            part, ids = warp(part, ids, draws)
        return part, ids.astype(labels.dtype, copy=False)

    return function


def with_warps(pixels: np.ndarray, labels: np.ndarray, draws: Draws, degrees: float = 0.0, shift: float = 0.0,
               sigma: float = 0.0, grid: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return `elastic` and then `rotate` of arrays, as one map of coordinates: both are interpolated once.

    Pixels are uint8 or float32, mean colour where labels are `windows.UNCOVERED`; labels keep their dtype and become
    255 where nothing is covered.
    """
    height, width = labels.shape[:2]
    angle = np.deg2rad(draws.uniform(20, -degrees, degrees))
    down, right = (side * offset for side, offset in zip((height, width), draws.uniform_pair(21, -shift, shift)))
    rows, columns = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    y, x = rows[:, None] - (height - 1) / 2 - np.float32(down), columns[None] - (width - 1) / 2 - np.float32(right)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    source_x = cosine * x - sine * y + np.float32((width - 1) / 2)  # [H, W]: where each pixel comes from
    source_y = sine * x + cosine * y + np.float32((height - 1) / 2)
    if sigma:
        field = cv2.resize(draws.normal(30, (grid, grid, 2)) * np.float32(sigma), (width, height),
                           interpolation=cv2.INTER_CUBIC)
        field = cv2.remap(field, source_x, source_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        source_y, source_x = source_y + field[..., 0], source_x + field[..., 1]
    return _moved(pixels, labels, source_y, source_x)


def _moved(pixels, labels, source_y, source_x):
    """Return pixels bilinear and labels to the nearest at the given coordinates, float32 `[H, W]`."""
    row, column = (np.floor(source + np.float32(0.5)).astype(np.int32) for source in (source_y, source_x))
    outside = (row < 0) | (row >= labels.shape[0]) | (column < 0) | (column >= labels.shape[1])
    ids = labels[row.clip(0, labels.shape[0] - 1), column.clip(0, labels.shape[1] - 1)]
    first = ids if ids.ndim == 2 else ids[..., 0]  # what is uncovered is so for all classes
    uncovered = outside | (first == windows.UNCOVERED)
    moved = windows.by_bands(lambda bands: cv2.remap(bands, source_x, source_y, cv2.INTER_LINEAR,
                                                     borderMode=cv2.BORDER_REPLICATE), pixels)
    moved[uncovered] = windows.fill_colour(pixels.shape[-1], pixels.dtype)
    ids[uncovered] = IGNORE_CLASS
    return moved, ids
