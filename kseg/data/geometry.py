"""Joint geometry of pixels and labels: one sampling grid for both, nearest for labels, 255 where nothing is covered.

All functions take one example and a stateless seed (int `[2]`), so that the result depends on the seed alone, in any
order and any number of parallel maps. Arithmetic is float32; the dtype of the pixels is restored at the end.

Own code instead of keras-cv's layers: in 0.9.0 these paint uncovered labels as class 0 and offer no other value.
"""

import numpy as np
import tensorflow as tf
from PIL import Image

from kseg.data.draws import uniform
from kseg.labels import IGNORE_CLASS

MEAN_COLOUR = (123.675, 116.28, 103.53)  # mean of ImageNet, RGB 0–255; what uncovered pixels are filled with


UNCOVERED = 256  # `outside` between two steps of a recipe: uncovered, as opposed to a stored 255


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


def resize(pixels, labels, size):
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
    native = tf.cast(tf.shape(labels), tf.float32)
    pixels, labels = crop_and_resize(pixels, labels, tf.zeros(2), native, size)
    return pixels, tf.cast(labels, tf.int32)


def scale_and_crop(pixels, labels, seed, size, scale=(0.5, 2.0), step=0.0, class_aware=0.0):
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
    pixels, labels, offset = scaled_crop(pixels, labels, seed, size, scale, step, class_aware)
    return pad(pixels, labels, offset, size)


def scaled_crop(pixels, labels, seed, size, scale=(0.5, 2.0), step=0.0, class_aware=0.0):
    """Return the covered part of `scale_and_crop` and its offset (int32 `[2]`) in it: `pad` completes it."""
    native = tf.cast(tf.shape(labels), tf.float32)
    factor = uniform(seed, 1, scale[0], scale[1])
    if step:
        count = int(round((scale[1] - scale[0]) / step)) + 1
        factor = scale[0] + step * tf.floor(uniform(seed, 1, 0.0, float(count)))
    part = native / tf.maximum(factor, 1.0)  # the part of the image that is seen, rows and columns
    where = uniform(seed, 2, shape=(2,))
    start = where * (native - part)
    if class_aware:
        aimed = tf.clip_by_value(_pixel_of_a_class(labels, seed) - part / 2.0, 0.0, native - part)
        start = tf.where(uniform(seed, 3) < class_aware, aimed, start)
    wanted = tf.stack([size[0], size[1]])
    covered = tf.maximum(tf.cast(tf.round(tf.cast(wanted, tf.float32) * tf.minimum(factor, 1.0)), tf.int32), 1)
    pixels, labels = crop_and_resize(pixels, labels, start, part, (covered[0], covered[1]))
    offset = tf.cast(where * tf.cast(wanted - covered + 1, tf.float32), tf.int32)
    return pixels, labels, tf.minimum(offset, wanted - covered)


def pad(pixels, labels, offset, size, outside=IGNORE_CLASS):
    """Return pixels and labels (int32) placed at `offset` in `size`, mean colour and `outside` around them."""
    shape, channels = tf.shape(labels), pixels.shape[-1]
    before = offset
    after = tf.stack([size[0], size[1]]) - shape - offset
    mean = to_dtype(tf.constant(mean_colour(channels)), pixels.dtype)

    def block(height, width):
        return tf.broadcast_to(mean, tf.stack([height, width, channels]))

    def padded():
        middle = tf.concat([block(shape[0], before[1]), pixels, block(shape[0], after[1])], 1)
        return tf.concat([block(before[0], size[1]), middle, block(after[0], size[1])], 0)

    pixels = tf.cond(tf.reduce_any(shape < tf.stack([size[0], size[1]])), padded, lambda: pixels)
    labels = tf.pad(tf.cast(labels, tf.int32), tf.stack([before, after], 1), constant_values=outside)
    static = [side if isinstance(side, int) else None for side in size]
    pixels.set_shape([*static, channels])
    labels.set_shape(static)
    return pixels, labels


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


def crop_and_resize(pixels, labels, start, part, size):
    """Return the box `part` (rows, columns) from `start` on, float32 in pixels, resized to `size`; dtypes are kept.

    Pixels antialiased bilinear, labels to the nearest, half-pixel centres.
    """
    if pixels.dtype == tf.uint8:
        resized, ids = tf.numpy_function(_by_pillow, [pixels, tf.cast(labels, tf.uint8), start, part,
                                                      tf.stack([size[0], size[1]])], [tf.uint8, tf.uint8],
                                         stateful=False)
    else:
        scale = tf.cast(tf.stack([size[0], size[1]]), tf.float32) / part
        resized = to_dtype(tf.raw_ops.ScaleAndTranslate(
            images=pixels[None], size=tf.stack([size[0], size[1]]), scale=scale, translation=-start * scale,
            kernel_type="triangle", antialias=True)[0], pixels.dtype)
        rows, columns = (_nearest(size[axis], scale[axis], start[axis], tf.shape(labels)[axis]) for axis in (0, 1))
        ids = tf.gather(tf.gather(labels, rows, axis=0), columns, axis=1)
    static = [side if isinstance(side, int) else None for side in size]
    return tf.ensure_shape(resized, [*static, pixels.shape[-1]]), tf.ensure_shape(ids, static)


def _by_pillow(pixels, labels, start, part, size):
    height, width = labels.shape
    top, left = np.clip(start, 0, (height, width)).tolist()
    box = (left, top, min(left + float(part[1]), width), min(top + float(part[0]), height))
    size = (int(size[1]), int(size[0]))
    grey = pixels.shape[-1] == 1
    image = Image.fromarray(pixels[..., 0] if grey else pixels)
    if size != image.size or box != (0, 0, width, height):
        image = image.resize(size, Image.Resampling.BILINEAR, box)
        labels = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST, box))
        pixels = np.asarray(image)[..., None] if grey else np.asarray(image)
    return pixels, labels


def _nearest(length, scale, start, native):
    places = (tf.range(tf.cast(length, tf.float32)) + 0.5) / scale + start
    nearest = tf.floor(places + 1e-4)  # exact ties between two pixels go to the latter, whatever the rounding
    return tf.clip_by_value(tf.cast(nearest, tf.int32), 0, native - 1)


def flip(pixels, labels, seed, probability=0.5, axis=1):
    """Mirror pixels and labels with `probability`; axis 1 exchanges left and right, axis 0 top and bottom."""
    def mirrored():
        return tf.reverse(pixels, [axis]), tf.reverse(labels, [axis])

    return tf.cond(uniform(seed, 10 + axis) < probability, mirrored, lambda: (pixels, labels))
