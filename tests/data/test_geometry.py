"""One geometry for pixels and labels: ids painted into the pixels must come out where the labels say."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kseg.data import draws, geometry

STEPS = {
    "resize": lambda pixels, labels, seed: geometry.resize(pixels, labels, (24, 40)),
    "scale_and_crop": lambda pixels, labels, seed: geometry.scale_and_crop(pixels, labels, seed, (32, 32)),
    "class_aware": lambda pixels, labels, seed: geometry.scale_and_crop(pixels, labels, seed, (32, 32), (1.0, 2.0),
                                                                        class_aware=1.0),
    "flip": lambda pixels, labels, seed: geometry.flip(pixels, labels, seed, 0.5),
    "rotate": lambda pixels, labels, seed: geometry.rotate(pixels, labels, seed, 45.0, 0.1),
    "elastic": lambda pixels, labels, seed: geometry.elastic(pixels, labels, seed, 3.0),
}
GRAPHS = {name: tf.function(step, reduce_retracing=True) for name, step in STEPS.items()}
COLOURS = np.array([[10, 20, 30], [90, 200, 40], [240, 60, 120], [30, 130, 250]], np.uint8)


def scene(seed, height=32, width=48, cell=8):
    """Cells of random ids 0..3, 1 to 3 px of 255 in one corner, each id painted in its colour."""
    random = np.random.default_rng(seed)
    ids = np.kron(random.integers(0, 4, (height // cell, width // cell)), np.ones((cell, cell), np.int64))
    return COLOURS[ids], ids.astype(np.int32)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2 ** 31 - 1), name=st.sampled_from(sorted(STEPS)))
def test_pixels_follow_labels_and_no_id_is_invented(seed, name):
    pixels, labels = scene(seed)
    out, ids = (part.numpy() for part in GRAPHS[name](tf.constant(pixels), tf.constant(labels),
                                                      tf.constant([seed, 7], tf.int64)))
    assert out.dtype == np.uint8 and ids.dtype == np.int32
    assert set(np.unique(ids)) <= set(np.unique(labels)) | {255}
    np.testing.assert_array_equal(out[ids == 255], np.broadcast_to([124, 116, 104], out[ids == 255].shape))
    covered = ids != 255
    nearest = np.argmin(np.abs(out[..., None, :].astype(int) - COLOURS.astype(int)).sum(-1), -1)
    agreement = (nearest == ids)[covered].mean() if covered.any() else 1.0
    assert agreement > 0.75  # all but the blended borders of the cells
    interior = covered & _interior(ids)
    assert (nearest == ids)[interior].all()


def _interior(ids):
    """Pixels whose neighbourhood of radius 3 holds one id alone."""
    padded = np.pad(ids, 3, constant_values=-1)
    views = np.lib.stride_tricks.sliding_window_view(padded, (7, 7))
    return (views == ids[..., None, None]).all((-1, -2))


@pytest.mark.parametrize("name", sorted(STEPS))
def test_eager_equals_graph_and_seed_decides(name):
    pixels, labels = scene(3)
    step, graph = STEPS[name], GRAPHS[name]
    seeds = [tf.constant([seed, 1], tf.int64) for seed in range(4)]
    for seed in seeds:
        first, again, traced = (function(tf.constant(pixels), tf.constant(labels), seed)
                                for function in (step, step, graph))
        np.testing.assert_array_equal(first[0], again[0])
        np.testing.assert_array_equal(first[1], again[1])
        np.testing.assert_allclose(np.asarray(first[0], int), np.asarray(traced[0], int), atol=1)
        np.testing.assert_array_equal(first[1], traced[1])
    if name != "resize":
        results = [graph(tf.constant(pixels), tf.constant(labels), seed)[1].numpy() for seed in seeds]
        assert any(not np.array_equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize("size", [(13, 29), (64, 96), (33, 47), (97, 129)])
def test_resize_equals_tensorflows_half_pixel_resizes(size):
    pixels, labels = scene(1)
    out, ids = geometry.resize(tf.constant(pixels, tf.float32), tf.constant(labels), size)
    np.testing.assert_allclose(out, tf.image.resize(pixels, size, antialias=True), atol=1e-3)
    rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(size, labels.shape))
    np.testing.assert_array_equal(ids, labels[rows][:, columns])  # exact in integers, ties between pixels included
    if size != (97, 129):  # there TensorFlow rounds a tie down
        np.testing.assert_array_equal(ids, tf.image.resize(labels[..., None], size, "nearest")[..., 0])


def test_float_pixels_stay_float_and_grey_stays_grey():
    pixels, labels = scene(2)
    for name, step in STEPS.items():
        out, _ = step(tf.constant(pixels, tf.float32), tf.constant(labels), [1, 2])
        assert out.dtype == tf.float32, name
        grey, ids = step(tf.constant(pixels[..., :1]), tf.constant(labels), [1, 2])
        assert grey.shape[-1] == 1 and grey.dtype == tf.uint8, name
        assert (grey.numpy()[ids.numpy() == 255] == 117).all(), name


def test_scale_below_one_pads_and_above_one_crops():
    pixels, labels = scene(4)
    _, ids = geometry.scale_and_crop(tf.constant(pixels), tf.constant(labels), [3, 4], (32, 48), (0.5, 0.5))
    covered = ids.numpy() != 255
    assert covered.sum() == 16 * 24
    _, ids = geometry.scale_and_crop(tf.constant(pixels), tf.constant(labels), [3, 4], (32, 48), (2.0, 2.0))
    assert (ids.numpy() != 255).all()


def test_scale_step_gives_its_multiples_only():
    pixels, labels = scene(4)
    areas = {int((geometry.scale_and_crop(tf.constant(pixels), tf.constant(labels), [seed, 0], (32, 48), (0.5, 1.0),
                                          step=0.25)[1].numpy() != 255).sum()) for seed in range(20)}
    assert areas == {16 * 24, 24 * 36, 32 * 48}


def test_class_aware_crops_find_a_rare_class_more_often():
    labels = np.zeros((64, 64), np.int32)
    labels[60:, 60:] = 1
    pixels = np.repeat(labels[..., None], 3, -1).astype(np.uint8)
    hits = {aware: sum(bool((geometry.scale_and_crop(tf.constant(pixels), tf.constant(labels), [seed, 0], (16, 16),
                                                     (4.0, 4.0), class_aware=aware)[1].numpy() == 1).any())
                       for seed in range(30)) for aware in (0.0, 1.0)}
    assert hits[1.0] >= 10 > hits[0.0]


def test_class_aware_crops_survive_an_image_that_is_ignored_everywhere():
    labels = np.full((32, 32), 255, np.int32)
    _, ids = geometry.scale_and_crop(tf.zeros((32, 32, 3), tf.uint8), tf.constant(labels), [1, 0], (16, 16),
                                     class_aware=1.0)
    assert (ids.numpy() == 255).all()


def test_rotation_by_a_quarter_turn_equals_numpy():
    pixels, labels = scene(5, 32, 32)
    for seed in range(1000):
        angle = draws.Draws([seed, 0]).uniform(20, -90.0, 90.0)
        if abs(abs(angle) - 90) < 0.9:
            _, ids = geometry.rotate(tf.constant(pixels), tf.constant(labels), [seed, 0], 90.0)
            turned = np.rot90(labels, 1 if angle > 0 else -1)
            assert (ids.numpy() == turned).mean() > 0.9
            break
    else:
        pytest.fail("no seed gave a quarter turn")


def test_flip_mirrors_both():
    pixels, labels = scene(6)
    out, ids = geometry.flip(tf.constant(pixels), tf.constant(labels), [0, 0], 1.0)
    np.testing.assert_array_equal(out, pixels[:, ::-1])
    np.testing.assert_array_equal(ids, labels[:, ::-1])
    out, ids = geometry.flip(tf.constant(pixels), tf.constant(labels), [0, 0], 1.0, axis=0)
    np.testing.assert_array_equal(out, pixels[::-1])
    np.testing.assert_array_equal(ids, labels[::-1])


def test_stored_255_stays_ignored_but_keeps_its_pixels():
    pixels, labels = scene(7)
    labels[:8, :8] = 255
    out, ids = geometry.rotate(tf.constant(pixels), tf.constant(labels), [0, 0], 0.0)
    np.testing.assert_array_equal(ids, labels)
    np.testing.assert_allclose(out.numpy().astype(int), pixels.astype(int), atol=1)


def test_draws_are_even_and_differ_by_seed_epoch_index_and_salt():
    keys = [draws.key(seed, epoch, index) for seed in range(3) for epoch in range(3) for index in range(3)]
    numbers = np.array([[draws.Draws(key).uniform(salt) for salt in (1, 2, 20)] for key in keys])
    assert len(np.unique(numbers)) == numbers.size
    many = np.concatenate([draws.Draws(draws.key(0, 0, index)).numbers for index in range(50)])
    assert abs(many.mean() - 0.5) < 0.02 and abs(many.var() - 1 / 12) < 0.005
    normal = np.stack([draws.Draws(draws.key(0, 0, index)).normal(30, (20,)) for index in range(50)])
    assert abs(normal.mean()) < 0.1 and abs(normal.std() - 1) < 0.1 and len(np.unique(normal)) == normal.size
