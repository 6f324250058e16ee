"""The window behind the fast path: NumPy and Pillow against the steps in TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kseg.data import augment, draws, geometry, photometry, windows
from tests.conftest import structured_image
from tests.data.test_geometry import COLOURS, scene

SIZES = ((32, 48), (24, 24), (40, 80))
PLAN = augment.Recipe(scale=(0.4, 2.0), class_aware=0.3, flip=0.5, flip_vertical=0.5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2 ** 31 - 1), size=st.sampled_from(SIZES))
def test_a_window_lies_in_the_image_and_its_place_in_the_result(seed, size):
    random = np.random.default_rng(seed)
    _, labels = scene(seed)
    window = windows.draw(labels, random.random(128, np.float32), size, (0.4, 2.0), 0.0, 0.3)
    assert 0 <= window.top <= window.top + window.height <= 32 and 0 <= window.left <= window.left + window.width <= 48
    assert 0 <= window.above <= window.above + window.rows <= size[0]
    assert 0 <= window.before <= window.before + window.columns <= size[1]
    assert (window.height, window.width) == (32, 48) or (window.rows, window.columns) == size
    ids = windows.cut_labels(labels.astype(np.uint8), window, size)
    assert ids.shape == size and ids.dtype == np.uint8
    assert (ids == 255).sum() == size[0] * size[1] - window.rows * window.columns


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2 ** 31 - 1), size=st.sampled_from(SIZES))
def test_pictures_arrays_and_floats_give_the_same(seed, size):
    pixels, labels = scene(seed)
    numbers = draws.Draws([seed, 1]).numbers.numpy()
    arguments = augment.cut_arguments(PLAN)
    chosen = geometry.chosen_cut(**arguments)
    by_array, by_picture = (chosen(image, labels, numbers, size) for image in (pixels, Image.fromarray(pixels)))
    for one, other in zip(by_array, by_picture):
        np.testing.assert_array_equal(one, other)
    part, ids, place = geometry.cut(tf.constant(pixels, tf.float32), tf.constant(labels), [seed, 1], size, **arguments)
    np.testing.assert_array_equal(ids, by_array[1])
    np.testing.assert_array_equal(place, by_array[2])
    np.testing.assert_allclose(part, by_array[0], atol=1.1)  # Pillow rounds between rows and columns


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2 ** 31 - 1), size=st.sampled_from(SIZES))
def test_a_whole_recipe_keeps_pixels_on_their_ids(seed, size):
    pixels, labels = scene(seed)
    out, ids = (part.numpy() for part in augment.augment_example(tf.constant(pixels), tf.constant(labels), [seed, 2],
                                                                 PLAN, size))
    assert set(np.unique(ids)) <= set(np.unique(labels)) | {255}
    assert (out[ids == 255] == [124, 116, 104]).all()
    nearest = np.argmin(np.abs(out[..., None, :].astype(int) - COLOURS.astype(int)).sum(-1), -1)
    padded = np.pad(ids, 3, constant_values=-1)
    interior = (np.lib.stride_tricks.sliding_window_view(padded, (7, 7)) == ids[..., None, None]).all((-1, -2))
    interior &= ids != 255
    assert (nearest == ids)[interior].all()


def test_reduction_is_antialiased_unless_a_random_factor_makes_it():
    labels = np.zeros((40, 40), np.uint8)
    numbers = np.zeros(128, np.float32)  # the least factor
    assert not windows.draw(labels, numbers, (40, 40), (0.5, 2.0), 0, 0).antialias
    assert windows.draw(labels, numbers, (40, 40), (0.4, 2.0), 0, 0).antialias
    assert windows.draw(labels, numbers, (30, 40), (0.5, 2.0), 0, 0).antialias
    assert not windows.draw(labels, numbers, (30, 40), (2.0, 2.0), 0, 0).antialias
    assert windows.whole((40, 40), (39, 40)).antialias and not windows.whole((40, 40), (40, 50)).antialias


@pytest.mark.parametrize("strengths", [(0.3, 0.3, 0.3, 0.1), (0.0, 0.5, 0.0, 0.0)])
def test_colour_before_growing_equals_colour_after(strengths):
    """Both are linear, so that their order matters by rounding alone where nothing is clipped."""
    pixels = (scene(3)[0] // 3 + 80).astype(np.uint8)
    numbers = draws.Draws([4, 4]).numbers.numpy()
    colour = photometry.colour_matrix(pixels, numbers, *strengths)
    place = tf.constant([64, 96, 0, 0])
    fused = geometry.to_place(tf.constant(pixels), place, lambda values: photometry.with_colour(values, colour))
    grown = geometry.to_place(tf.constant(pixels, tf.float32), place)
    after = tf.clip_by_value(photometry.with_colour(grown, colour), 0, 255)
    np.testing.assert_allclose(tf.cast(fused, tf.float32), after, atol=0.51)


@pytest.mark.parametrize("bands", [2, 4, 5])
def test_any_number_of_bands_is_reduced_band_by_band(bands):
    image = structured_image(40, 56, 6)[..., :bands]
    image[..., -1] = 0  # what Pillow would take for full transparency
    labels = np.zeros((40, 56), np.uint8)
    reduced, _ = windows.resized(image, labels, (20, 28))
    expected = [windows.resized(image[..., band:band + 1], labels, (20, 28))[0] for band in range(bands)]
    np.testing.assert_array_equal(reduced, np.concatenate(expected, -1))
    assert reduced[..., 0].max() > 0
