"""The challenge's Rand error against counting every pair of pixels by hand."""

import itertools

import numpy as np
import pytest

from kseg import metrics


def regions(mask):
    """4-connected regions by flooding, as a dict place -> number."""
    numbers, count = {}, 0
    for start in zip(*np.nonzero(mask)):
        if start in numbers:
            continue
        count, open_ones = count + 1, [start]
        while open_ones:
            y, x = open_ones.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and (y, x) not in numbers:
                numbers[y, x] = count
                open_ones += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return numbers


def pairs_by_loops(cells, found):
    truth, prediction = regions(cells), regions(found)
    counts = [0, 0, 0]
    for one, other in itertools.combinations(truth, 2):
        truly = truth[one] == truth[other]
        together = one in prediction and other in prediction and prediction[one] == prediction[other]
        counts = [counts[0] + (truly and together), counts[1] + truly, counts[2] + together]
    return counts


def scene(seed=0):
    """Cells between membranes, and the probabilities of a network that sees gaps and a false membrane."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:13, :17]
    cells = (rows % 6 != 5) & ((columns + rows // 3) % 7 != 6)
    false, gap = 0.3 * (columns == 9), 0.5 * (rows == 11)
    return cells, np.clip(0.6 * cells + 0.4 * random.random(cells.shape) - false + gap, 0, 1)


@pytest.mark.parametrize("threshold", [0.2, 0.3, 0.5, 0.8, 0.95])
def test_pairs_equal_loops(threshold):
    cells, probability = scene()
    np.testing.assert_array_equal(metrics.rand_pairs(cells, probability > threshold),
                                  pairs_by_loops(cells, probability > threshold))


def test_error_is_the_least_over_thresholds_of_added_pairs():
    images = [scene(seed) for seed in range(3)]
    thresholds = (0.2, 0.3, 0.5, 0.8)
    scores = []
    for threshold in thresholds:
        both, truly, found = np.sum([pairs_by_loops(cells, one > threshold) for cells, one in images], axis=0)
        precision, recall = both / found, both / truly
        scores.append(2 * precision * recall / (precision + recall))
    error, threshold = metrics.rand_error(*zip(*images), thresholds)
    assert error == pytest.approx(1 - max(scores)) and threshold == thresholds[int(np.argmax(scores))]
    assert 0 < error < 1


def test_perfect_merged_and_split():
    cells = np.ones((4, 9), bool)
    cells[:, 4] = False
    assert metrics.rand_error([cells], [cells * 1.0]) == (0, 0.05)
    merged, _ = metrics.rand_error([cells], [np.ones((4, 9))])
    assert merged == pytest.approx(1 - 2 * 240 / (240 + 496))  # two cells of 16 pixels against one of 32
    nothing, _ = metrics.rand_error([cells], [np.zeros((4, 9))])
    assert nothing == 1
    assert np.isnan(metrics.rand_error([np.zeros((4, 9), bool)], [np.zeros((4, 9))])[0])


def test_what_does_not_belong_together_raises():
    with pytest.raises(ValueError) as caught:
        metrics.rand_pairs(np.ones((4, 5)), np.ones((4, 4)))
    assert str(caught.value) == ("`found` must be a mask [H, W] of the truth's shape (4, 5), got found=(4, 4). "
                                 "Measure images one by one, at the size of their labels.")
    with pytest.raises(ValueError) as caught:
        metrics.rand_error([np.ones((4, 5))], [])
    assert str(caught.value) == ("`probabilities` must hold one map for each of 1 images, got probabilities=0. "
                                 "Predict each image once.")
    with pytest.raises(ValueError) as caught:
        metrics.rand_error([np.ones((4, 5))], [np.ones((4, 5))], ())
    assert str(caught.value) == ("`thresholds` must hold at least one number, got thresholds=[]. "
                                 "Write for example thresholds=(0.5,).")
