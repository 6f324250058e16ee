"""Changes of colour and sharpness of one example; labels are not touched. Seeds as in `geometry`.

Own code instead of keras-cv 0.9.0's layers, which take no stateless seed. Processor ms an image 360×480, keras-cv and
own: RandomColorJitter 18.0 and 2.2, RandomGaussianBlur 4.2 and 3.3.
"""

import numpy as np
import tensorflow as tf

from kseg.data.draws import Draws, uniform
from kseg.data.geometry import to_dtype

_LUMINANCE = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)
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
    numbers = (seed if isinstance(seed, Draws) else Draws(seed)).numbers
    colour = tf.numpy_function(lambda image, drawn: colour_matrix(image, drawn, brightness, contrast, saturation, hue),
                               [pixels, numbers], tf.float32, stateful=False)
    values = with_colour(tf.cast(pixels, tf.float32), colour)
    return to_dtype(tf.clip_by_value(values, 0.0, 255.0), pixels.dtype)


def colour_matrix(pixels, numbers, brightness, contrast, saturation, hue):
    """Return `colour_jitter` of an image as float32 `[4, 3]`, NumPy: new colour = (colour, 1) · result.

    Args:
        pixels: uint8 or float `[H, W, channels]`.
        numbers: float32 `[128]`, `Draws(seed).numbers`.
        brightness, contrast, saturation, hue: as `colour_jitter`.
    """
    gain, slope, colourfulness = (1.0 + strength * (2.0 * float(numbers[2 * salt]) - 1.0) for salt, strength in (
        (40, brightness), (41, contrast), (42, saturation)))
    angle = 2 * np.pi * hue * (2.0 * float(numbers[2 * 43]) - 1.0)
    cosine, sine = np.cos(angle) * colourfulness, np.sin(angle) * colourfulness
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    matrix = _FROM_YIQ @ turn @ _TO_YIQ * (slope * gain)
    steps = [max(side // _MEAN_GRID, 1) for side in pixels.shape[:2]]
    mean = pixels[::steps[0], ::steps[1]].mean((0, 1), dtype=np.float64)
    luminance = mean @ _LUMINANCE if len(mean) == 3 else mean[0]
    return np.concatenate([matrix.T, np.full((1, 3), luminance * (1.0 - slope) * gain)]).astype(np.float32)


def with_colour(values, colour):
    """Return float32 `values` `[H, W, channels]` changed by `colour_matrix`, linear in them and not clipped."""
    colour = tf.ensure_shape(colour, [4, 3])
    if values.shape[-1] == 1:  # grey stays grey
        return values * tf.reduce_sum(colour[:3, 0]) + colour[3, 0]
    flat = tf.matmul(tf.reshape(values, [-1, 3]), colour[:3]) + colour[3]  # [H*W, 3]
    return tf.ensure_shape(tf.reshape(flat, tf.shape(values)), values.shape)


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
