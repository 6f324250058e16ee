"""Joint geometry of pixels and labels: one sampling grid for both, nearest for labels, 255 where nothing is covered.

All functions take one example and a stateless seed (int `[2]`), so that the result depends on the seed alone, in any
order and any number of parallel maps. Arithmetic is float32; the dtype of the pixels is restored at the end.

Own code instead of keras-cv's layers: in 0.9.0 these paint uncovered labels as class 0 and offer no other value.
"""

import numpy as np
import tensorflow as tf

from kseg.labels import IGNORE_CLASS

MEAN_COLOUR = (123.675, 116.28, 103.53)  # mean of ImageNet, RGB 0–255; what uncovered pixels are filled with


UNCOVERED = 256  # label of uncovered pixels between the steps of a recipe; `fill_uncovered` ends it


def fill_uncovered(pixels, labels):
    """Return float32 pixels with mean colour and int32 labels with 255 wherever labels are `UNCOVERED`."""
    uncovered = labels == UNCOVERED
    pixels = tf.where(uncovered[..., None], mean_colour(pixels.shape[-1]), pixels)
    return pixels, tf.where(uncovered, IGNORE_CLASS, labels)


def _result(pixels, labels, outside, dtype):
    """Return a step's result; inside a recipe the labels stay `UNCOVERED`, so that it can fill again at its end."""
    pixels, filled = fill_uncovered(pixels, labels)
    return to_dtype(pixels, dtype), labels if outside == UNCOVERED else filled


def mean_colour(channels):
    """Return the fill colour, float32 `[channels]`: ImageNet's mean, or its luminance for grey pixels."""
    if channels == 3:
        return np.array(MEAN_COLOUR, np.float32)
    return np.full(channels, np.dot(MEAN_COLOUR, (0.299, 0.587, 0.114)), np.float32)


def to_dtype(values, dtype):
    """Return float32 `values` in `dtype`, rounded and clipped to 0..255 if it is an integer type."""
    if dtype.is_floating:
        return tf.cast(values, dtype)
    return tf.cast(tf.clip_by_value(tf.round(values), 0.0, 255.0), dtype)


def uniform(seed, salt, low=0.0, high=1.0, shape=()):
    """Return stateless uniform numbers; `salt` (int) tells the draws of one example apart."""
    return tf.random.stateless_uniform(shape, tf.random.experimental.stateless_fold_in(seed, salt), low, high)


def resize(pixels, labels, size, outside=IGNORE_CLASS):
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
    return _sample(pixels, labels, size, tf.constant([1.0, 1.0]), tf.constant([0.0, 0.0]), outside)


def scale_and_crop(pixels, labels, seed, size, scale=(0.5, 2.0), step=0.0, class_aware=0.0,
                   outside=IGNORE_CLASS):
    """Scale by a random factor and crop to `size`, or pad with mean colour and 255 where the result is smaller.

    The factor is relative to `size`: at 1 the whole image fills it, exactly as `resize` does in evaluation. One
    antialiased sampling does it all.
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
    size_float = tf.cast(tf.stack([size[0], size[1]]), tf.float32)
    factor = uniform(seed, 1, scale[0], scale[1])
    if step:
        count = int(round((scale[1] - scale[0]) / step)) + 1
        factor = scale[0] + step * tf.floor(uniform(seed, 1, 0.0, float(count)))
    slack = size_float * (1.0 - factor)  # negative: how much is cropped; positive: how much is padded
    translation = uniform(seed, 2, shape=(2,)) * slack
    if class_aware:
        native = tf.cast(tf.shape(labels), tf.float32)
        centre = _pixel_of_a_class(labels, seed) / native * size_float * factor
        aimed = size_float / 2.0 - centre
        aimed = tf.clip_by_value(aimed, tf.minimum(slack, 0.0), tf.maximum(slack, 0.0))
        translation = tf.where(uniform(seed, 3) < class_aware, aimed, translation)
    return _sample(pixels, labels, size, tf.stack([factor, factor]), translation, outside)


def _pixel_of_a_class(labels, seed):
    """Return the (row, column) float32 of a random pixel of a class drawn evenly from those in `labels`."""
    flat = tf.reshape(tf.cast(labels, tf.int32), [-1])  # [H*W]
    present = tf.math.bincount(flat, minlength=256, maxlength=256) > 0
    present = tf.logical_and(present, tf.range(256) != IGNORE_CLASS)
    chosen = tf.argmax(tf.where(present, uniform(seed, 4, shape=(256,)), -1.0), output_type=tf.int32)
    places = tf.where(flat == chosen)[:, 0]
    count = tf.shape(places)[0]
    pick = tf.minimum(tf.cast(uniform(seed, 5) * tf.cast(count, tf.float32), tf.int32), count - 1)
    width = tf.shape(labels)[1]
    place = tf.cond(count > 0, lambda: tf.cast(places[tf.maximum(pick, 0)], tf.int32),
                    lambda: tf.size(labels) // 2)
    return tf.cast(tf.stack([place // width, place % width]), tf.float32) + 0.5


def _sample(pixels, labels, size, factors, translation, outside):
    """Sample at `size`: output (y + 0.5 - translation) / (factor * size / native) = input; outside is uncovered."""
    height, width = size[0], size[1]
    channels = pixels.shape[-1]
    native = tf.cast(tf.shape(labels), tf.float32)
    total = factors * tf.cast(tf.stack([height, width]), tf.float32) / native
    sampled = tf.raw_ops.ScaleAndTranslate(
        images=pixels[None], size=tf.stack([height, width]), scale=total, translation=translation,
        kernel_type="triangle", antialias=True)[0]  # float32 [height, width, channels], 0 outside
    rows, rows_inside = _nearest(height, total[0], translation[0], native[0])
    columns, columns_inside = _nearest(width, total[1], translation[1], native[1])
    inside = tf.logical_and(rows_inside[:, None], columns_inside[None, :])
    nearest = tf.gather(tf.gather(labels, rows, axis=0), columns, axis=1)
    labels = tf.where(inside, tf.cast(nearest, tf.int32), UNCOVERED)
    static = [side if isinstance(side, int) else None for side in (height, width)]
    sampled.set_shape([*static, channels])
    labels.set_shape(static)
    return _result(sampled, labels, outside, pixels.dtype)


def _nearest(length, scale, translation, native):
    places = (tf.range(tf.cast(length, tf.float32)) + 0.5 - translation) / scale
    inside = tf.logical_and(places >= 0.0, places < native)
    nearest = tf.floor(places + 1e-4)  # exact ties between two pixels go to the latter, whatever the rounding
    return tf.cast(tf.clip_by_value(nearest, 0.0, native - 1.0), tf.int32), inside


def flip(pixels, labels, seed, probability=0.5, axis=1):
    """Mirror pixels and labels with `probability`; axis 1 exchanges left and right, axis 0 top and bottom."""
    def mirrored():
        return tf.reverse(pixels, [axis]), tf.reverse(labels, [axis])

    return tf.cond(uniform(seed, 10 + axis) < probability, mirrored, lambda: (pixels, labels))


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
    return _result(moved, ids, outside, pixels.dtype)


def elastic(pixels, labels, seed, sigma=10.0, grid=3, outside=IGNORE_CLASS):
    """Deform smoothly: normal displacements of `sigma` pixels on a `grid` × `grid` grid, bicubic in between.

    Reference: Ronneberger et al., U-Net, arXiv:1505.04597, §3.1 (3×3 grid, 10 px).
    """
    shape = tf.shape(labels)
    coarse = tf.random.stateless_normal((grid, grid, 2), tf.random.experimental.stateless_fold_in(seed, 30)) * sigma
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
    return _result(moved, ids, outside, pixels.dtype)


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
