"""Rotation and elastic deformation of pixels and labels together, by OpenCV; conventions and seeds as in `geometry`."""

import functools

import cv2
import numpy as np
import tensorflow as tf

from kseg.data import windows
from kseg.data.draws import Draws
from kseg.data.geometry import called
from kseg.labels import IGNORE_CLASS


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


def with_warps(pixels: np.ndarray, labels: np.ndarray, draws: Draws, degrees: float = 0.0, shift: float = 0.0,
               sigma: float = 0.0, grid: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return `elastic` and then `rotate` of arrays, as one map of coordinates: both are interpolated once.

    Pixels are uint8 or float32, mean colour where labels are `windows.UNCOVERED`; labels keep their dtype and become
    255 where nothing is covered.
    """
    height, width = labels.shape
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
    uncovered = outside | (ids == windows.UNCOVERED)
    moved = cv2.remap(pixels, source_x, source_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    moved = windows.channels_last(moved)
    moved[uncovered] = windows.fill_colour(pixels.shape[-1], pixels.dtype)
    ids[uncovered] = IGNORE_CLASS
    return moved, ids
