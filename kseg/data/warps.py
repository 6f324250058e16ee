"""Rotation and elastic deformation of pixels and labels together; conventions and seeds as in `geometry`."""

import numpy as np
import tensorflow as tf

from kseg.data.draws import normal, uniform
from kseg.data.geometry import UNCOVERED, to_dtype
from kseg.data.windows import mean_colour
from kseg.labels import IGNORE_CLASS


def _filled(pixels, labels, outside, dtype):
    """Return pixels in `dtype` with mean colour and labels with `outside` wherever labels are `UNCOVERED`."""
    uncovered = labels == UNCOVERED
    pixels = tf.where(uncovered[..., None], mean_colour(pixels.shape[-1]), pixels)
    return to_dtype(pixels, dtype), labels if outside == UNCOVERED else tf.where(uncovered, outside, labels)


def rotate(pixels, labels, seed, degrees=10.0, shift=0.0, outside=IGNORE_CLASS):
    """Rotate about the centre by a uniform angle within ±`degrees`, and shift by up to ±`shift` of each side.

    Reference: Zhao et al., PSPNet, arXiv:1612.01105, §5.1 (±10°); Ronneberger et al., U-Net, arXiv:1505.04597, §3.1.
    """
    angle = uniform(seed, 20, -degrees, degrees) * np.float32(np.pi / 180)
    size = tf.cast(tf.shape(labels), tf.float32)
    offset = uniform(seed, 21, -1.0, 1.0, (2,)) * shift * size
    centre = (size - 1.0) / 2.0
    cosine, sine = tf.cos(angle), tf.sin(angle)
    start_x = centre[1] - cosine * (centre[1] + offset[1]) + sine * (centre[0] + offset[0])
    start_y = centre[0] - sine * (centre[1] + offset[1]) - cosine * (centre[0] + offset[0])
    transform = tf.stack([cosine, -sine, start_x, sine, cosine, start_y, 0.0, 0.0])
    mean = mean_colour(pixels.shape[-1])

    def warp(image, fill, interpolation):
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=image[None], transforms=transform[None], output_shape=tf.shape(labels), fill_value=fill,
            interpolation=interpolation, fill_mode="CONSTANT")[0]

    moved = warp(tf.cast(pixels, tf.float32) - mean, 0.0, "BILINEAR") + mean
    ids = warp(tf.cast(labels, tf.int32)[..., None], float(UNCOVERED), "NEAREST")[..., 0]
    moved.set_shape(pixels.shape)
    ids.set_shape(labels.shape)
    return _filled(moved, ids, outside, pixels.dtype)


def elastic(pixels, labels, seed, sigma=10.0, grid=3, outside=IGNORE_CLASS):
    """Deform smoothly: normal displacements of `sigma` pixels on a `grid` × `grid` grid, bicubic in between.

    Reference: Ronneberger et al., U-Net, arXiv:1505.04597, §3.1 (3×3 grid, 10 px).
    """
    shape = tf.shape(labels)
    coarse = normal(seed, 30, (grid, grid, 2)) * sigma
    field = tf.image.resize(coarse[None], shape, method="bicubic")[0]  # [H, W, 2], (rows, columns)
    rows = tf.range(tf.cast(shape[0], tf.float32))[:, None] + field[..., 0]
    columns = tf.range(tf.cast(shape[1], tf.float32))[None, :] + field[..., 1]
    limit = tf.cast(shape, tf.float32) - 1.0
    inside = (rows >= -0.5) & (rows < limit[0] + 0.5) & (columns >= -0.5) & (columns < limit[1] + 0.5)
    nearest = tf.stack([tf.clip_by_value(tf.floor(rows + 0.5), 0.0, limit[0]),
                        tf.clip_by_value(tf.floor(columns + 0.5), 0.0, limit[1])], -1)
    ids = tf.where(inside, tf.gather_nd(tf.cast(labels, tf.int32), tf.cast(nearest, tf.int32)), UNCOVERED)
    moved = _bilinear(tf.cast(pixels, tf.float32), rows, columns, limit)
    moved.set_shape(pixels.shape)
    ids.set_shape(labels.shape)
    return _filled(moved, ids, outside, pixels.dtype)


def _bilinear(image, rows, columns, limit):
    """Return `image` float32 `[H, W, C]` at (rows, columns), borders repeated."""
    rows, columns = tf.clip_by_value(rows, 0.0, limit[0]), tf.clip_by_value(columns, 0.0, limit[1])
    top, left = tf.floor(rows), tf.floor(columns)
    down, right = (rows - top)[..., None], (columns - left)[..., None]

    def at(y, x):
        y, x = tf.minimum(y, limit[0]), tf.minimum(x, limit[1])
        return tf.gather_nd(image, tf.cast(tf.stack([y, x], -1), tf.int32))

    upper = at(top, left) * (1.0 - right) + at(top, left + 1.0) * right
    lower = at(top + 1.0, left) * (1.0 - right) + at(top + 1.0, left + 1.0) * right
    return upper * (1.0 - down) + lower * down
