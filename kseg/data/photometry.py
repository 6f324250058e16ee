"""Changes of colour and sharpness of one example, by OpenCV; labels are not touched. Seeds as in `geometry`.

Own code instead of keras-cv 0.9.0's layers, which take no stateless seed. Processor ms an image 360×480, keras-cv and
own: RandomColorJitter 21.5 and 1.0, RandomGaussianBlur 5.4 and 1.6.
"""

import functools

import cv2
import numpy as np
import tensorflow as tf

from kseg.data.draws import Draws
from kseg.data.geometry import called
from kseg.data.windows import LUMINANCE, by_bands

_TO_YIQ = np.array([LUMINANCE, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)
_MEAN_GRID = 32  # the mean luminance is taken of about this many rows and columns: of all it takes 0.5 ms more
_BLUR_RADIUS = 2


def colour_jitter(pixels: tf.Tensor, seed: tf.Tensor, brightness: float = 0.2, contrast: float = 0.2,
                  saturation: float = 0.2, hue: float = 0.0) -> tf.Tensor:
    """Change brightness, contrast, saturation and hue by random factors, as one 3×3 matrix and an offset.

    Hue turns the colours in the plane of equal luminance (YIQ), which is linear and hence one matrix product for all
    four; contrast is taken about the image's mean luminance. Pixels of other than three bands take brightness and
    contrast only, by the same factors in every band, contrast about the band's own mean.

    Args:
        pixels: uint8 or float `[H, W, channels]`, 0–255.
        seed: int `[2]`, stateless seed.
        brightness, contrast, saturation: float, factors are drawn from 1 ± the value.
        hue: float, fraction of a full turn, drawn from ± the value.
    Returns:
        pixels of the same shape and dtype, clipped to 0–255.
    """
    return _called(functools.partial(with_jitter, brightness=brightness, contrast=contrast, saturation=saturation,
                                     hue=hue), pixels, seed)


def _called(function, pixels, seed):
    """Return what a NumPy function of (pixels, `Draws`) makes of a tensor, in its dtype."""
    no_labels = tf.zeros(tf.shape(pixels)[:2], tf.uint8)
    return called(lambda image, ids, draws: (function(image, draws), ids), pixels, no_labels, seed)[0]


def with_jitter(pixels: np.ndarray, draws: Draws, brightness: float, contrast: float, saturation: float,
                hue: float) -> np.ndarray:
    """Return `colour_jitter` of an array, uint8 or float32, with the `Draws` given."""
    if pixels.shape[-1] not in (1, 3):
        return _with_gain(pixels, draws, brightness, contrast)
    matrix = colour_matrix(pixels, draws, brightness, contrast, saturation, hue)  # [4, 3]
    if pixels.shape[-1] == 1:  # grey stays grey
        matrix = np.stack([matrix[:3, :1].sum(0), matrix[3, :1]])
    changed = cv2.transform(pixels, matrix.T).reshape(pixels.shape)  # clips integers
    return changed if changed.dtype == np.uint8 else changed.clip(0.0, 255.0)


def _with_gain(pixels, draws, brightness, contrast):
    """Return `colour_jitter` of bands that are no colours."""
    gain, slope = (draws.uniform(salt, 1.0 - strength, 1.0 + strength)
                   for salt, strength in ((40, brightness), (41, contrast)))
    changed = pixels * np.float32(slope * gain) + (_mean(pixels) * (1.0 - slope) * gain).astype(np.float32)
    return (changed if pixels.dtype != np.uint8 else np.rint(changed)).clip(0, 255).astype(pixels.dtype)


def _mean(pixels):
    """Return the mean of every band, float64 `[channels]`, on a grid."""
    steps = [max(side // _MEAN_GRID, 1) for side in pixels.shape[:2]]
    return pixels[::steps[0], ::steps[1]].mean((0, 1), dtype=np.float64)


def colour_matrix(pixels: np.ndarray, draws: Draws, brightness: float, contrast: float, saturation: float,
                  hue: float) -> np.ndarray:
    """Return `colour_jitter` of an image as float32 `[4, 3]`, NumPy: new colour = (colour, 1) · result."""
    gain, slope, colourfulness = (draws.uniform(salt, 1.0 - strength, 1.0 + strength) for salt, strength in (
        (40, brightness), (41, contrast), (42, saturation)))
    angle = 2 * np.pi * draws.uniform(43, -hue, hue)
    cosine, sine = np.cos(angle) * colourfulness, np.sin(angle) * colourfulness
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    matrix = _FROM_YIQ @ turn @ _TO_YIQ * (slope * gain)
    mean = _mean(pixels)
    luminance = mean @ LUMINANCE if len(mean) == 3 else mean[0]
    return np.concatenate([matrix.T, np.full((1, 3), luminance * (1.0 - slope) * gain)]).astype(np.float32)


def blur(pixels: tf.Tensor, seed: tf.Tensor, probability: float = 0.5,
         sigma: tuple[float, float] = (0.1, 1.5)) -> tf.Tensor:
    """Blur with `probability` by a Gaussian of random `sigma` pixels on a window of 5×5, borders mirrored.

    Reference: Zhao et al., PSPNet, arXiv:1612.01105, §5.1; 5×5 with probability 0.5 in the authors' later code.
    """
    return _called(functools.partial(with_blur, probability=probability, sigma=sigma), pixels, seed)


def with_blur(pixels: np.ndarray, draws: Draws, probability: float = 0.5,
              sigma: tuple[float, float] = (0.1, 1.5)) -> np.ndarray:
    """Return `blur` of an array, uint8 or float32, with the `Draws` given."""
    if draws.uniform(50) >= probability:
        return pixels
    width = draws.uniform(51, *sigma)
    side = 2 * _BLUR_RADIUS + 1
    return by_bands(lambda bands: cv2.GaussianBlur(bands, (side, side), width, borderType=cv2.BORDER_REFLECT), pixels)
