"""What discriminators are shown: against NumPy loops; distributions; ignored pixels."""

import numpy as np
import pytest

from kseg.training.adversarial import label_encodings


@pytest.fixture
def maps():
    """Return labels with ignored pixels, and probabilities of every kind: sharp, flat, certain, wrong."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 5, 7, 4)) * rng.choice([0.1, 3, 30], size=(2, 5, 7, 1))
    labels = rng.integers(0, 4, (2, 5, 7)).astype("int32")
    logits[0, 0, 0], labels[0, 0, 0] = (0, 200, 0, 0), 1  # certain and right: 0 / 0 in the paper's formula
    logits[0, 0, 1], labels[0, 0, 1] = (0, 200, 0, 0), 2  # certain and wrong
    labels[1, :2] = 255
    return labels, labels != 255, logits.astype("float32")


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.9, 1.0])
def test_scaling_keeps_every_pixel_a_distribution_with_the_true_class_at_least_at_the_threshold(maps, threshold):
    labels, valid, logits = maps
    predicted = np.asarray(label_encodings.probabilities(logits, valid))
    truth = np.asarray(label_encodings.one_hot(labels, 4, valid))
    shown = np.asarray(label_encodings.scaled(truth, predicted, threshold))
    assert np.all(shown[valid] >= 0) and np.all(shown[~valid] == 0)
    np.testing.assert_allclose(shown[valid].sum(-1), 1, atol=1e-6)
    own = np.take_along_axis(shown[valid], labels[valid][:, None], -1)
    assert np.all(own >= np.float32(threshold))
    for place in np.argwhere(valid):
        label, s = labels[tuple(place)], predicted[tuple(place)].astype(np.float64)
        y = np.empty(4)
        y[label] = max(threshold, s[label])
        for other in set(range(4)) - {label}:
            y[other] = s[other] * (1 - y[label]) / (1 - s[label]) if s[label] < 1 - 1e-6 else 0
        np.testing.assert_allclose(shown[tuple(place)], y, atol=2e-6)


def test_basic_and_product_against_loops(maps):
    labels, valid, logits = maps
    image = np.random.default_rng(1).random((2, 5, 7, 3)).astype("float32")
    truth = np.asarray(label_encodings.one_hot(labels, 4, valid))
    assert np.array_equal(truth, (labels[..., None] == np.arange(4)).astype("float32"))
    both = np.asarray(label_encodings.product(truth, image))
    assert both.shape == (2, 5, 7, 12)
    for label in range(4):
        np.testing.assert_array_equal(both[..., 3 * label:3 * label + 3], image * (labels == label)[..., None])


def test_ignored_pixels_are_zero_whatever_their_logits_are(maps):
    labels, valid, logits = maps
    logits[~valid] = np.nan
    predicted = np.asarray(label_encodings.probabilities(logits, valid))
    assert np.all(predicted[~valid] == 0)
    np.testing.assert_allclose(predicted[valid].sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("stride, rows", [(1, [0, 1, 2, 3, 4]), (2, [1, 3]), (3, [1, 4]), (8, [4])])
def test_the_grid_is_the_middle_of_each_block(stride, rows):
    values = np.arange(5)[None, :, None] + np.zeros((1, 5, 5), int)
    assert label_encodings.on_grid(values, stride)[0, :, 0].tolist() == rows
