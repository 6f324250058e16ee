"""Changes of colour and sharpness of one example; labels are not touched. Seeds as in `geometry`.

Own code instead of keras-cv's `RandomColorJitter`, which takes no stateless seed.
"""

import numpy as np
import tensorflow as tf

from kseg.data.draws import uniform
from kseg.data.geometry import to_dtype

_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)
_FROM_YIQ = np.linalg.inv(_TO_YIQ).astype(np.float32)
_MEAN_GRID = 32  # the mean luminance is taken of about this many rows and columns: of all it takes 0.5 ms more


def colour_jitter(pixels, seed, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.0):
    """Change brightness, contrast, saturation and hue by random factors, as one 3×3 matrix and an offset.

    Hue turns the colours in the plane of equal luminance (YIQ), which is linear and hence one matrix product for all
    four; contrast is taken about the image's mean luminance. Grey pixels take brightness and contrast only.

    Args:
        pixels: uint8 or float `[H, W, channels]`, 0–255, 3 or 1 channels.
        seed: int `[2]`, stateless seed.
        brightness, contrast, saturation: float, factors are drawn from 1 ± the value.
        hue: float, fraction of a full turn, drawn from ± the value.
    Returns:
        pixels of the same shape and dtype, clipped to 0–255.
    """
    values = colour_change(seed, brightness, contrast, saturation, hue)(tf.cast(pixels, tf.float32))
    return to_dtype(tf.clip_by_value(values, 0.0, 255.0), pixels.dtype)


def colour_change(seed, brightness, contrast, saturation, hue):
    """Return `colour_jitter` as a function from float32 `[H, W, channels]` to the same, linear and not clipped."""
    gain = uniform(seed, 40, 1.0 - brightness, 1.0 + brightness)
    slope = uniform(seed, 41, 1.0 - contrast, 1.0 + contrast)
    colourfulness = uniform(seed, 42, 1.0 - saturation, 1.0 + saturation)
    angle = uniform(seed, 43, -hue, hue) * np.float32(2 * np.pi)
    cosine, sine = tf.cos(angle) * colourfulness, tf.sin(angle) * colourfulness
    turn = tf.reshape(tf.stack([1.0, 0.0, 0.0, 0.0, cosine, -sine, 0.0, sine, cosine]), [3, 3])
    matrix = tf.matmul(_FROM_YIQ, tf.matmul(turn, _TO_YIQ)) * (slope * gain)
    pivot = (1.0 - slope) * gain

    def change(values):
        step = tf.maximum(tf.shape(values)[:2] // _MEAN_GRID, 1)
        mean = tf.reduce_mean(values[::step[0], ::step[1]], [0, 1])
        if values.shape[-1] == 1:
            return values * (slope * gain) + mean * pivot
        flat = tf.matmul(tf.reshape(values, [-1, 3]), matrix, transpose_b=True)  # [H*W, 3]
        return tf.reshape(flat + tf.tensordot(mean, _LUMINANCE, 1) * pivot, tf.shape(values))

    return change


def blur(pixels, seed, probability=0.5, sigma=(0.1, 1.5), radius=2):
    """Blur with `probability` by a Gaussian of random `sigma` pixels on a window of 2·`radius`+1, borders mirrored.

    Reference: Zhao et al., PSPNet, arXiv:1612.01105, §5.1; 5×5 with probability 0.5 in the authors' later code.
    """
    def blurred():
        width = uniform(seed, 51, sigma[0], sigma[1])
        taps = tf.exp(-tf.square(tf.range(-radius, radius + 1, dtype=tf.float32) / width) / 2.0)
        taps = taps / tf.reduce_sum(taps)
        channels = pixels.shape[-1]
        values = tf.cast(pixels, tf.float32)[None]
        values = tf.pad(values, [[0, 0], [radius, radius], [radius, radius], [0, 0]], "SYMMETRIC")
        for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
            kernel = tf.tile(tf.reshape(taps, shape), [1, 1, channels, 1])
            values = tf.nn.depthwise_conv2d(values, kernel, [1, 1, 1, 1], "VALID")
        return to_dtype(tf.ensure_shape(values[0], pixels.shape), pixels.dtype)

    return tf.cond(uniform(seed, 50) < probability, blurred, lambda: pixels)
