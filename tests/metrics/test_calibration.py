"""Expected calibration error and entropy against loops and numbers worked by hand."""

import numpy as np
import pytest

from kseg import metrics


def scene(classes=4, seed=0):
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:13, :17]
    labels = ((rows + columns) // 5 % classes).astype(np.int32)
    powers = np.exp(2 * np.eye(classes)[labels] + random.normal(size=(13, 17, classes)))
    labels[0] = 255
    return labels, (powers / powers.sum(-1, keepdims=True)).astype(np.float32)


def test_calibration_error_equals_loops():
    labels, probabilities = scene()
    bins = [[] for _ in range(15)]
    for place in np.ndindex(labels.shape):
        if labels[place] != 255:
            confidence = float(probabilities[place].max())
            index = next(index for index in range(15) if index / 15 < confidence <= (index + 1) / 15)
            bins[index].append((confidence, probabilities[place].argmax() == labels[place]))
    total = sum(map(len, bins))
    expected = sum(abs(sum(right for _, right in one) - sum(c for c, _ in one)) for one in bins if one) / total
    assert metrics.expected_calibration_error(labels, probabilities) == pytest.approx(expected)
    in_parts = metrics.Calibration()
    in_parts.update(labels[:5], probabilities[:5])
    in_parts.update(labels[5:], probabilities[5:])
    assert in_parts.error() == pytest.approx(expected)
    confidence, accuracy = in_parts.curve()
    filled = [index for index, one in enumerate(bins) if one]
    np.testing.assert_allclose(accuracy[filled], [np.mean([right for _, right in bins[i]]) for i in filled])
    assert np.isnan(np.delete(confidence, filled)).all()


def test_certain_and_right_is_calibrated_certain_and_wrong_is_not():
    labels = np.zeros((2, 2), int)
    assert metrics.expected_calibration_error(labels, np.eye(2)[labels]) == 0
    assert metrics.expected_calibration_error(labels, np.eye(2)[1 - labels]) == 1
    assert np.isnan(metrics.expected_calibration_error(labels + 255, np.eye(2)[labels]))


def test_entropy_is_zero_when_certain_and_one_when_uniform():
    certain, uniform = np.eye(4)[[[2]]], np.full((1, 1, 4), 0.25)
    assert metrics.entropy_map(certain)[0, 0] == 0
    assert metrics.entropy_map(uniform)[0, 0] == pytest.approx(1, abs=1e-6)
    half = metrics.entropy_map(np.array([[[0.5, 0.5, 0, 0]]]))
    assert half.shape == (1, 1) and half[0, 0] == pytest.approx(0.5, abs=1e-6)


def test_shapes_must_agree():
    with pytest.raises(ValueError) as caught:
        metrics.expected_calibration_error(np.zeros((4, 5), int), np.zeros((4, 4, 2)))
    assert str(caught.value) == ("`probabilities` must have shape (4, 5) and one axis of classes, got "
                                 "probabilities=(4, 4, 2). Resize the logits to the labels.")


def test_unknown_ids_are_refused():
    with pytest.raises(ValueError, match="`labels` must hold ids between 0 and 1, or 255 for pixels to ignore, got"):
        metrics.expected_calibration_error(np.array([[0, 2]]), np.full((1, 2, 2), 0.5))


def test_sums_are_exact_in_any_order_and_on_any_number_of_machines():
    random = np.random.default_rng(5)
    images = []
    for _ in range(40):
        scores = np.exp(random.normal(0, 3, (9, 11, 4))).astype(np.float32)
        images.append((random.integers(0, 4, (9, 11)), scores / scores.sum(-1, keepdims=True)))

    def counted(chosen):
        calibration = metrics.Calibration()
        for labels, probabilities in chosen:
            calibration.update(labels, probabilities)
        return calibration

    one, merged = counted(images), counted(images[:7][::-1])
    for part in (images[30:], images[7:30][::-1]):
        merged.merge(counted(part))
    np.testing.assert_array_equal(merged.confidence, one.confidence)  # not almost
    np.testing.assert_array_equal(merged.pixels, one.pixels)
    assert merged.error() == one.error()
    assert one.confidence.sum() == pytest.approx(sum(float(found.max(-1).sum()) for _, found in images))
