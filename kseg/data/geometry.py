"""Joint geometry of pixels and labels: one sampling grid for both, nearest for labels, 255 where nothing is covered.

All functions take one example and a stateless seed (int `[2]`), so that the result depends on the seed alone, in any
order and any number of parallel maps. Arithmetic is float32; the dtype of the pixels is restored at the end.

Own code instead of keras-cv's layers: in 0.9.0 these paint uncovered labels as class 0, offer no other value and take
no stateless seed. Processor ms an image 360×480 with its labels in tf.data, keras-cv and own: RandomFlip 8.4 and 1.1,
JitteredResize and `scale_and_crop` 6.6 and 2.5, RandomRotation and `warps.rotate` 14.4 and 13.0.
"""

import numpy as np
import tensorflow as tf

from kseg.data import windows
from kseg.data.draws import Draws, uniform
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
    return tf.cast(tf.clip_by_value(values + 0.5, 0.0, 255.0), dtype)


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
    pixels, labels, place = cut(pixels, labels, None, size)
    return _static(to_place(pixels, place), tf.cast(labels, tf.int32), size)


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
    pixels, labels, place = cut(pixels, labels, seed, size, scale, step, class_aware)
    return _static(pad(to_place(pixels, place), place, size), tf.cast(labels, tf.int32), size)


def cut(pixels, labels, seed, size, scale=(1.0, 1.0), step=0.0, class_aware=0.0, mirror=(0.0, 0.0),
        outside=IGNORE_CLASS):
    """Draw the window that a result shows and cut it out: labels are complete then, pixels want `to_place` and `pad`.

    Args:
        pixels, labels, seed, size, scale, step, class_aware: as `scale_and_crop`; seed None: the whole image.
        mirror: (top and bottom, left and right), probabilities of exchanging these sides.
        outside: int, label of what is not covered.
    Returns:
        pixels: `[h, w, channels]` of the same dtype, antialiased but not yet resized where they are not reduced.
        labels: integer of `size`.
        place: int32 `[4]`: height and width that the pixels take in the result, and the row and column of its corner.
    """
    chooser = chosen_cut(scale, step, class_aware, mirror, outside)
    numbers = np.zeros(0, np.float32) if seed is None else (seed if isinstance(seed, Draws) else Draws(seed)).numbers
    dtype = tf.int32 if outside > IGNORE_CLASS else labels.dtype
    if pixels.dtype == tf.uint8:
        part, ids, place = tf.numpy_function(lambda image, *others: chooser(image, *others)[:3], [
            pixels, labels, numbers, tf.stack(size)], [tf.uint8, dtype, tf.int32], stateful=False)
    else:
        ids, place, box = tf.numpy_function(lambda *others: chooser(None, *others)[1:], [
            labels, numbers, tf.stack(size)], [dtype, tf.int32, tf.int32], stateful=False)
        part = _float_window(pixels, tf.ensure_shape(place, [4]), tf.ensure_shape(box, [7]))
    return tf.ensure_shape(part, [None, None, pixels.shape[-1]]), tf.ensure_shape(ids, [None, None]), tf.ensure_shape(
        place, [4])


def chosen_cut(scale, step, class_aware, mirror, outside):
    """Return a NumPy function (pixels or None, labels, numbers, size) → pixels, labels, place (as `cut`), box."""
    def function(pixels, labels, numbers, size):
        size = tuple(int(side) for side in size)
        if not len(numbers) or (scale == (1.0, 1.0) and not class_aware):
            window = windows.whole(labels.shape, size)
        else:
            window = windows.draw(labels, numbers, size, scale, step, class_aware)
        mirrored = tuple(bool(len(numbers)) and bool(numbers[2 * (10 + axis)] < mirror[axis]) for axis in (0, 1))
        part = None if pixels is None else windows.cut_pixels(pixels, window, mirrored)
        ids = windows.cut_labels(labels, window, size, mirrored, outside)
        box = np.array([*window[:4], *mirrored, window.antialias], np.int32)
        return part, ids, np.array(window[4:8], np.int32), box

    return function


def _float_window(pixels, place, box):
    """Return the window `box` (top, left, height, width, mirrored twice, antialias) of float pixels."""
    part = pixels[box[0]:box[0] + box[2], box[1]:box[1] + box[3]]
    for axis in (0, 1):
        part = tf.cond(box[4 + axis] > 0, lambda: tf.reverse(part, [axis]), lambda: part)

    def reduced():
        scale = tf.cast(place[:2], tf.float32) / tf.cast(box[2:4], tf.float32)
        values = tf.raw_ops.ScaleAndTranslate(
            images=tf.cast(part, tf.float32)[None], size=place[:2], scale=scale, translation=tf.zeros(2),
            kernel_type="triangle", antialias=True)[0]
        return tf.ensure_shape(tf.cast(values, pixels.dtype), [None, None, pixels.shape[-1]])

    return tf.cond(box[6] > 0, reduced, lambda: part)


def to_place(pixels, place, change=None):
    """Return a window of `cut` resized to the height and width of `place`, bilinear with half-pixel centres.

    Args:
        pixels: uint8 or float `[h, w, channels]`.
        place: int32 `[4]` of `cut`.
        change: None, or a function from float32 pixels to float32 pixels, linear in them (colour): run where there
            are fewer of them, before or after the resize, and without rounding in between.
    Returns:
        pixels of the same dtype.
    """
    def resized(values):
        return tf.raw_ops.ResizeBilinear(images=values[None], size=place[:2], half_pixel_centers=True)[0]

    if change is None:
        return tf.cond(tf.reduce_all(tf.shape(pixels)[:2] == place[:2]), lambda: pixels,
                       lambda: to_dtype(resized(tf.cast(pixels, tf.float32)), pixels.dtype))
    values = tf.cast(pixels, tf.float32)
    changed = tf.cond(tf.shape(pixels)[0] > place[0], lambda: change(resized(values)), lambda: resized(change(values)))
    return tf.clip_by_value(changed, 0.0, 255.0) if pixels.dtype.is_floating else to_dtype(changed, pixels.dtype)


def pad(pixels, place, size):
    """Return pixels at `place` (of `cut`) in `size`, mean colour around them."""
    channels = pixels.shape[-1]
    before, after = place[2:], tf.stack(size) - place[:2] - place[2:]
    mean = to_dtype(tf.constant(mean_colour(channels)), pixels.dtype)

    def block(height, width):
        return tf.broadcast_to(mean, tf.stack([height, width, channels]))

    def padded():
        middle = tf.concat([block(place[0], before[1]), pixels, block(place[0], after[1])], 1)
        return tf.concat([block(before[0], size[1]), middle, block(after[0], size[1])], 0)

    return tf.cond(tf.reduce_any(place[:2] < tf.stack(size)), padded, lambda: pixels)


def _static(pixels, labels, size):
    """Return pixels and labels with the sides of `size` in their static shapes where these are integers."""
    sides = [side if isinstance(side, int) else None for side in size]
    return tf.ensure_shape(pixels, [*sides, pixels.shape[-1]]), tf.ensure_shape(labels, sides)


def flip(pixels, labels, seed, probability=0.5, axis=1):
    """Mirror pixels and labels with `probability`; axis 1 exchanges left and right, axis 0 top and bottom."""
    def mirrored():
        return tf.reverse(pixels, [axis]), tf.reverse(labels, [axis])

    return tf.cond(uniform(seed, 10 + axis) < probability, mirrored, lambda: (pixels, labels))
