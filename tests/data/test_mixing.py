"""CutMix and ClassMix: pixels and ids are pasted together, and no id is blended."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kseg.data import mixing


def batch(seed, count=3):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, (count, 16, 12)).astype(np.int32)
    labels[random.random(labels.shape) < 0.1] = 255
    owner = np.broadcast_to(np.arange(count)[:, None, None], labels.shape)
    pixels = np.stack([labels % 256, owner * 50, labels % 256], -1).astype(np.uint8)
    return pixels, labels


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2 ** 31 - 1), name=st.sampled_from(["cutmix", "classmix"]))
def test_pixels_and_ids_stay_together(seed, name):
    pixels, labels = batch(seed)
    out, ids = (part.numpy() for part in getattr(mixing, name)(tf.constant(pixels), tf.constant(labels),
                                                               tf.constant([seed, 1], tf.int64)))
    np.testing.assert_array_equal(out[..., 0], ids)
    own, donor = np.arange(3) * 50, np.roll(np.arange(3) * 50, 1)
    from_own, from_donor = out[..., 1] == own[:, None, None], out[..., 1] == donor[:, None, None]
    assert (from_own | from_donor).all()
    np.testing.assert_array_equal(ids[from_own], labels[from_own])
    np.testing.assert_array_equal(ids[from_donor], np.roll(labels, 1, axis=0)[from_donor])


def test_cutmix_pastes_a_rectangle_and_classmix_whole_classes():
    pixels, labels = batch(1)
    out, _ = mixing.cutmix(tf.constant(pixels), tf.constant(labels), [4, 4])
    pasted = out.numpy()[0, ..., 1] == 100
    rows, columns = pasted.any(1), pasted.any(0)
    assert pasted.any() and pasted.sum() == rows.sum() * columns.sum()
    out, ids = mixing.classmix(tf.constant(pixels), tf.constant(labels), [4, 4])
    pasted = out.numpy()[0, ..., 1] == 100
    donor = labels[-1]
    assert set(donor[pasted]).isdisjoint(donor[~pasted]) and 255 not in donor[pasted]
    assert len(set(donor[pasted])) == 2


@pytest.mark.parametrize("name", ["cutmix", "classmix"])
def test_probability_zero_changes_nothing(name):
    pixels, labels = batch(2)
    out, ids = getattr(mixing, name)(tf.constant(pixels), tf.constant(labels), [4, 4], 0.0)
    np.testing.assert_array_equal(out, pixels)
    np.testing.assert_array_equal(ids, labels)
