"""The window behind the fast path: its place, its cut from integers and floats, colour on either side."""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

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
def test_integers_and_floats_give_the_same(seed, size):
    pixels, labels = scene(seed)
    pixels_out, labels_out = augment.cutter(PLAN)(pixels, labels, draws.Draws([seed, 1]), size)
    part, ids = augment.augment_example(tf.constant(pixels, tf.float32), tf.constant(labels), [seed, 1], PLAN, size)
    np.testing.assert_array_equal(ids, labels_out)
    np.testing.assert_allclose(part, pixels_out, atol=1.1)  # Pillow rounds between rows and columns


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


@pytest.mark.parametrize("scale, step, greatest", [((0.5, 2.0), 0.4, 1.7), ((0.5, 2.0), 0.25, 2.0),
                                                   ((1.0, 1.9), 0.3, 1.9), ((1.0, 1.5), 1.2, 1.0)])
def test_stepped_scales_stay_within_their_limits(scale, step, greatest):
    numbers = np.full(128, np.nextafter(np.float32(1), np.float32(0)))  # the greatest factor
    labels = np.zeros((400, 400), np.uint8)
    assert windows.draw(labels, numbers, (400, 400), scale, step, 0.0).height == round(400 / greatest)
    factors = {400 / windows.draw(labels, np.full(128, number, np.float32), (400, 400), scale, step, 0.0).height
               for number in np.linspace(0, 0.999, 50)}
    assert max(factors) <= scale[1] + 0.01


def test_reduction_is_antialiased_unless_a_random_factor_makes_it():
    labels = np.zeros((40, 40), np.uint8)
    numbers = np.zeros(128, np.float32)  # the least factor
    assert not windows.draw(labels, numbers, (40, 40), (0.5, 2.0), 0, 0).antialias
    assert windows.draw(labels, numbers, (40, 40), (0.4, 2.0), 0, 0).antialias
    assert windows.draw(labels, numbers, (30, 40), (0.5, 2.0), 0, 0).antialias
    assert not windows.draw(labels, numbers, (30, 40), (2.0, 2.0), 0, 0).antialias
    assert windows.whole((40, 40), (39, 40)).antialias and not windows.whole((40, 40), (40, 50)).antialias


@pytest.mark.parametrize("dtype, limit", [("float32", 0.01), ("uint8", 1.6)])  # uint8 is rounded twice, and
@pytest.mark.parametrize("size", [(64, 96), (21, 27)])  # OpenCV's matrix has 10 binary places then
@pytest.mark.parametrize("strengths", [(0.3, 0.3, 0.3, 0.1), (0.0, 0.5, 0.0, 0.0)])
def test_colour_runs_on_the_fewer_pixels_and_equals_colour_of_the_result(strengths, size, dtype, limit):
    """Both are linear, so that their order matters by rounding alone where nothing is clipped."""
    pixels = (scene(3)[0] // 3 + 80).astype(dtype)
    matrix = photometry.colour_matrix(pixels, draws.Draws([4, 4]), *strengths)
    window, counts = windows.whole(pixels.shape[:2], size)._replace(antialias=False), []

    def change(values):
        counts.append(values.shape[0] * values.shape[1])
        return cv2.transform(values, matrix.T)

    out = windows.cut_pixels(pixels, window, change=change)
    assert counts == [min(32 * 48, size[0] * size[1])]
    plain = tf.compat.v1.image.resize_bilinear(pixels[None], size, half_pixel_centers=True)[0]
    exact = np.concatenate([plain, np.ones((*size, 1))], -1) @ matrix
    assert out.dtype == dtype
    np.testing.assert_allclose(out, exact, atol=limit)


@pytest.mark.parametrize("bands", [2, 4, 5])
def test_any_number_of_bands_is_reduced_band_by_band(bands):
    image = structured_image(40, 56, 6)[..., :bands]
    image[..., -1] = 0  # what Pillow would take for full transparency
    labels = np.zeros((40, 56), np.uint8)
    reduced, _ = windows.resized(image, labels, (20, 28))
    expected = [windows.resized(image[..., band:band + 1], labels, (20, 28))[0] for band in range(bands)]
    np.testing.assert_array_equal(reduced, np.concatenate(expected, -1))
    assert reduced[..., 0].max() > 0


@pytest.mark.parametrize("bands", [1, 2, 5])
def test_any_number_of_bands_is_warped_and_blurred_band_by_band(bands):
    image = structured_image(40, 56, 6)[..., :bands]
    labels = (image[..., 0] > 100).astype(np.uint8)
    drawn = draws.Draws([3, 3])
    moved, ids = geometry.with_warps(image, labels, drawn, 20.0, 0.1, 3.0)
    blurred = photometry.with_blur(image, drawn, 1.0)
    assert (ids == 255).any() and (ids != labels).any()
    for band in range(bands):
        alone, others = geometry.with_warps(image[..., band:band + 1], labels, drawn, 20.0, 0.1, 3.0)
        np.testing.assert_array_equal(others, ids)
        np.testing.assert_allclose(moved[..., band].astype(int)[ids != 255], alone[..., 0][ids != 255], atol=5)
        np.testing.assert_allclose(blurred[..., band:band + 1].astype(int),
                                   photometry.with_blur(image[..., band:band + 1], drawn, 1.0), atol=1)


def test_a_warp_equals_a_loop():
    """Rotation and shift of each pixel by itself, on a gradient, whose bilinear value is exact."""
    rows, columns = np.mgrid[:33, :47].astype(np.float32)
    image = np.stack([rows, columns], -1) * 4 + 20
    labels = (np.arange(33 * 47).reshape(33, 47) % 200).astype(np.uint8)
    drawn = draws.Draws([8, 1])
    moved, ids = geometry.with_warps(image, labels, drawn, 30.0, 0.1)
    angle, (down, right) = np.deg2rad(drawn.uniform(20, -30, 30)), drawn.uniform_pair(21, -0.1, 0.1)
    for row in range(33):
        for column in range(47):
            y, x = row - 16 - 33 * down, column - 23 - 47 * right
            source = (np.sin(angle) * x + np.cos(angle) * y + 16, np.cos(angle) * x - np.sin(angle) * y + 23)
            nearest = [int(np.floor(place + 0.5)) for place in source]
            if min(abs(place + 0.5 - round(place + 0.5)) for place in source) < 1e-3:
                continue  # between two pixels
            if 0 <= nearest[0] < 33 and 0 <= nearest[1] < 47:
                assert ids[row, column] == labels[tuple(nearest)]
                if 0 <= source[0] <= 32 and 0 <= source[1] <= 46:
                    np.testing.assert_allclose(moved[row, column], 4 * np.array(source) + 20, atol=0.15)  # 1/32 pixel
            else:
                assert ids[row, column] == 255
