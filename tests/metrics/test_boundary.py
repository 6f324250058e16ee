"""Boundary IoU by distance transforms, boundary F1 by its definition, both on blobs with ignored stripes."""

import math

import numpy as np
import pytest
from scipy import ndimage

from kseg import metrics


def blobs(seed=0, height=41, width=57, classes=4, shift=0):
    """Smooth regions of classes 0–3 with a stripe of 255; `shift` moves them down."""
    random = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(random.normal(size=(classes, height, width)), (0, 5, 5))
    labels = np.roll(noise.argmax(0), shift, axis=0).astype(np.int32)
    labels[:, 20:24] = 255
    return labels


def region_by_distance(labels, distance, class_id):
    """Pixels of a class at most `distance` (chessboard) from a valid pixel of another; one frames the image."""
    other = np.pad((labels != class_id) & (labels != 255), distance, constant_values=True)
    away = ndimage.distance_transform_cdt(~other, "chessboard")[distance:-distance, distance:-distance]
    return (away <= distance) & (labels == class_id)


@pytest.mark.parametrize("distance", [1, 2, 3, 7])
def test_regions_equal_distance_transforms(distance):
    labels = blobs()
    region = metrics.boundary_region(labels, distance)
    for class_id in range(4):
        np.testing.assert_array_equal(region & (labels == class_id), region_by_distance(labels, distance, class_id))


def test_boundary_iou_equals_distance_transforms():
    total, expected = 0, np.zeros((2, 4))
    for seed in range(3):
        labels, predictions = blobs(seed), blobs(seed, shift=2)
        predictions[predictions == 255] = 1
        total = total + metrics.boundary_counts(labels, predictions, 4, dilation_ratio=0.04)
        predictions = np.where(labels == 255, 255, predictions)
        distance = round(0.04 * math.hypot(41, 57))
        for class_id in range(4):
            one, other = (region_by_distance(ids, distance, class_id) for ids in (labels, predictions))
            expected[:, class_id] += (one & other).sum(), (one | other).sum()
    np.testing.assert_allclose(metrics.boundary_iou(total), expected[0] / expected[1])
    assert 0.1 < metrics.boundary_iou(total).mean() < 0.9


def outline_by_loops(labels, class_id):
    points = []
    for row, column in np.argwhere(labels == class_id):
        for y, x in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            if 0 <= row + y < labels.shape[0] and 0 <= column + x < labels.shape[1]:
                if labels[row + y, column + x] not in (class_id, 255):
                    points.append((row, column))
                    break
    return points


@pytest.mark.parametrize("tolerance", [0.0, 0.0075, 0.02, 0.05])
def test_boundary_f1_equals_its_definition(tolerance):
    labels, predictions = blobs(1), blobs(1, shift=2)
    predictions[predictions == 255] = 3
    labels[labels == 2] = 1  # class 2 is predicted, not labelled
    result = metrics.boundary_f1(labels, predictions, 5, tolerance)
    predictions = np.where(labels == 255, 255, predictions)
    radius = tolerance * math.hypot(*labels.shape)
    for class_id in (0, 1, 3):
        truth, found = outline_by_loops(labels, class_id), outline_by_loops(predictions, class_id)

        def share(points, others):
            return np.mean([any(math.dist(one, other) <= radius for other in others) for one in points])

        recall, precision = share(truth, found), share(found, truth)
        expected = 2 * precision * recall / (precision + recall) if precision + recall else 0
        assert result[class_id] == pytest.approx(expected)
    assert np.isnan(result[2]) and np.isnan(result[4])
    mean = metrics.image_boundary_f1(labels, predictions, 5, tolerance)
    assert mean == pytest.approx(np.nanmean(result))


def test_perfect_and_missing_outlines():
    labels = blobs()
    assert metrics.image_boundary_f1(labels, np.where(labels == 255, 0, labels), 4) == 1.0
    assert np.nanmin(metrics.boundary_iou(metrics.boundary_counts(labels, labels, 4))) == 1.0
    one_class = np.zeros((8, 8), int)
    assert np.isnan(metrics.image_boundary_f1(one_class, one_class, 2))
    halves = np.repeat([0, 1], 4)[:, None] * np.ones((1, 8), int)
    assert metrics.image_boundary_f1(one_class, halves, 2) == 0.0
    assert metrics.image_boundary_f1(halves, one_class, 2) == 0.0


def test_shapes_must_agree():
    with pytest.raises(ValueError) as caught:
        metrics.boundary_f1(np.zeros((4, 5), int), np.zeros((5, 4), int), 2)
    assert str(caught.value) == ("`predictions` must be a map [H, W] of the labels' shape (4, 5), got "
                                 "predictions=(5, 4). Measure images one by one, at the size of their labels.")


def test_unknown_ids_are_refused():
    labels, predictions = np.array([[0, 7], [0, 7]]), np.array([[0, 1], [0, 1]])
    for score in (metrics.boundary_f1, metrics.boundary_counts):
        with pytest.raises(ValueError, match="`labels` must hold ids between 0 and 2, or 255 for pixels to ignore"):
            score(labels, predictions, 3)
        with pytest.raises(ValueError, match="`predictions` must hold ids between 0 and 2, got predictions=7"):
            score(predictions, labels, 3)
