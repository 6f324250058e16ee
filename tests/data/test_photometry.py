"""Colour and sharpness: ranges, dtypes, seeds, and the identity at zero strength."""

import numpy as np
import pytest
import tensorflow as tf

from kseg.data import photometry
from kseg.data.draws import Draws

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)


def test_zero_strength_changes_nothing():
    out = photometry.colour_jitter(tf.constant(PIXELS), [1, 2], 0, 0, 0, 0)
    np.testing.assert_allclose(out.numpy().astype(int), PIXELS.astype(int), atol=1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32])
def test_range_dtype_and_shape_are_kept(channels, dtype):
    pixels = tf.cast(PIXELS[..., :channels], dtype)
    for seed in range(5):
        for out in (photometry.colour_jitter(pixels, [seed, 0], 0.9, 0.9, 0.9, 0.2),
                    photometry.blur(pixels, [seed, 0], 1.0)):
            assert out.dtype == dtype and out.shape == pixels.shape
            assert out.numpy().min() >= 0 and out.numpy().max() <= 255


def test_brightness_is_a_common_factor_and_contrast_keeps_the_mean():
    pixels = tf.constant(PIXELS, tf.float32) / 4 + 64
    out = photometry.colour_jitter(pixels, [5, 5], 0.5, 0, 0, 0).numpy()
    ratio = out / pixels.numpy()
    np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-4)
    out = photometry.colour_jitter(pixels, [5, 5], 0, 0.5, 0, 0).numpy()
    weights = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose((out @ weights).mean(), (pixels.numpy() @ weights).mean(), rtol=1e-4)


def test_hue_keeps_luminance_and_grey():
    pixels = tf.constant(PIXELS, tf.float32) / 8 + 100
    out = photometry.colour_jitter(pixels, [5, 6], 0, 0, 0, 0.3).numpy()
    weights = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(out @ weights, pixels.numpy() @ weights, atol=0.2)
    assert np.abs(out - pixels.numpy()).max() > 2
    grey = tf.fill((4, 4, 3), 77.0)
    np.testing.assert_allclose(photometry.colour_jitter(grey, [5, 6], 0, 0, 0.5, 0.3), grey, atol=0.3)


def test_blur_equals_a_loop_and_keeps_constants():
    pixels = tf.constant(PIXELS, tf.float32)
    out = photometry.blur(pixels, [3, 3], 1.0, sigma=(1.0, 1.0)).numpy()
    taps = np.exp(-np.arange(-2, 3) ** 2 / 2.0)
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    padded = np.pad(PIXELS.astype(float), ((2, 2), (2, 2), (0, 0)), "symmetric")
    expected = sum(kernel[i, j] * padded[i:i + 16, j:j + 20] for i in range(5) for j in range(5))
    np.testing.assert_allclose(out, expected, atol=1e-3)
    np.testing.assert_allclose(photometry.blur(tf.constant(PIXELS), [3, 3], 1.0, sigma=(1.0, 1.0)), expected, atol=1.1)
    np.testing.assert_allclose(photometry.blur(tf.fill((8, 8, 3), 9.0), [1, 1], 1.0), 9.0, atol=1e-4)


def test_the_seed_decides():
    pixels = tf.constant(PIXELS)
    first, again, other = (photometry.colour_jitter(pixels, [seed, 0]).numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("bands", [2, 4, 200])  # OpenCV takes 128 at once
def test_bands_that_are_no_colours_take_brightness_and_contrast_about_their_own_mean(bands):
    random = np.random.default_rng(1)
    pixels = random.uniform(60, 140, (16, 20, bands)).astype(np.float32)
    draws = Draws([1, 2])
    gain, slope = draws.uniform(40, 0.8, 1.2), draws.uniform(41, 0.8, 1.2)
    mean = pixels.astype(np.float64).mean((0, 1))
    expected = ((pixels - mean) * slope + mean) * gain
    assert expected.min() > 0 and expected.max() < 255
    changed = photometry.with_jitter(pixels, draws, 0.2, 0.2, 0.9, 0.4)
    np.testing.assert_allclose(changed, expected, atol=1e-3)
    assert changed.dtype == np.float32 and len(np.unique(changed)) > 256  # no rounding
    whole = photometry.with_jitter(np.rint(pixels).astype(np.uint8), draws, 0.2, 0.2, 0.9, 0.4)
    assert whole.dtype == np.uint8 and np.abs(whole - expected).max() < 2


def test_blur_takes_any_number_of_bands():
    pixels = np.random.default_rng(1).uniform(0, 255, (16, 20, 200)).astype(np.float32)
    blurred = photometry.with_blur(pixels, Draws([3, 3]), 1.0)
    for first in (0, 126, 197):
        np.testing.assert_allclose(blurred[..., first:first + 3], photometry.with_blur(
            np.ascontiguousarray(pixels[..., first:first + 3]), Draws([3, 3]), 1.0), atol=1e-4)
