"""Counts at many thresholds against a loop over the thresholds."""

import numpy as np
import pytest

from kseg import metrics


def scene(seed=0):
    """Labels 0, 1, 255 `[2, 9, 11, 3]`; the third class is absent; probabilities that mostly follow."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:9, :11]
    labels = np.stack([(rows + columns) % 4 < 2, rows > 4, rows < 0], -1)[None].repeat(2, 0).astype(int)
    probabilities = np.clip(0.25 + 0.4 * labels + random.normal(0, 0.2, labels.shape), 0, 1).astype("float32")
    labels[:, 0, :, 0] = labels[1, :, 3, 1] = 255
    return labels, probabilities


def iou_at(labels, probabilities, threshold):
    found = []
    for index in range(labels.shape[-1]):
        hit = false = missed = 0
        for y, p in zip(labels[..., index].ravel(), probabilities[..., index].ravel()):
            if y != 255:
                hit, false, missed = hit + (p > threshold and y), false + (p > threshold and not y), missed + (
                    p <= threshold and y)
        found.append(hit / (hit + false + missed) if hit + false + missed else np.nan)
    return found


def test_iou_at_every_threshold_equals_a_loop():
    labels, probabilities = scene()
    curve = metrics.ThresholdCurve(3, steps=20)
    for image in range(2):  # counts add up over images
        curve.update(labels[image], probabilities[image])
    wanted = np.transpose([iou_at(labels, probabilities, threshold) for threshold in curve.thresholds])
    np.testing.assert_allclose(curve.iou(), wanted, rtol=1e-12)
    for (threshold, score), row in zip(curve.best()[:2], wanted):
        assert score == row.max() == row[np.argmin(abs(curve.thresholds - threshold))]
    threshold, score = curve.best()[2]
    assert threshold == 0.5 and np.isnan(score)  # a class that is labelled nowhere


def test_one_class_takes_label_maps_and_equal_thresholds_give_the_middle_one():
    labels = np.array([[0, 0, 1, 255]])
    curve = metrics.ThresholdCurve(1)
    curve.update(labels, np.array([0.2, 0.1, 0.7, 0.9])[None, :, None])
    (threshold, score), = curve.best()
    assert score == 1 and threshold == 0.45  # the best are 0.20 … 0.69, as float32(0.2) does not exceed itself


@pytest.mark.parametrize("labels, probabilities, sentence", [
    (np.zeros((2, 2), int), np.zeros((2, 3, 1)), "`probabilities` must have the shape of the labels, (2, 2, 1), and 1 "
     "classes, got probabilities=(2, 3, 1). Resize the logits to the labels."),
    (np.full((2, 2), 7), np.zeros((2, 2, 1)), "`labels` must hold ids between 0 and 1, or 255 for pixels to ignore, "
     "got labels=7. Map the ids of the dataset to the classes of the model, or raise `classes`."),
])
def test_illegal_values(labels, probabilities, sentence):
    with pytest.raises(ValueError) as caught:
        metrics.ThresholdCurve(1).update(labels, probabilities)
    assert str(caught.value) == sentence
