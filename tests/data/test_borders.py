"""U-Net's weight map against the definition, pixel by pixel."""

import numpy as np
import pytest

from kseg.data import borders


def cells():
    labels = np.zeros((24, 30), np.int32)
    labels[2:10, 3:11] = 1
    labels[2:9, 13:20] = 1
    labels[13:22, 6:15] = 1
    labels[20:23, 25:29] = 255
    return labels


def by_definition(labels, w0, sigma, groups):
    rows, columns = np.indices(labels.shape)
    weights = np.where(labels == 255, 0.0, 1.0)
    for y, x in np.argwhere((labels == 0)):
        distances = sorted(np.hypot(rows[group] - y, columns[group] - x).min() for group in groups)
        weights[y, x] += w0 * np.exp(-(distances[0] + distances[1]) ** 2 / (2 * sigma ** 2))
    return weights


def test_equals_the_definition():
    labels = cells()
    groups = [np.zeros_like(labels, bool) for _ in range(3)]
    groups[0][2:10, 3:11] = groups[1][2:9, 13:20] = groups[2][13:22, 6:15] = True
    np.testing.assert_allclose(borders.border_weights(labels), by_definition(labels, 10, 5, groups), atol=1e-5)
    np.testing.assert_allclose(borders.border_weights(labels, 3, 1.5), by_definition(labels, 3, 1.5, groups),
                               atol=1e-5)


def test_batches_classes_and_other_cells():
    labels = cells()
    both = borders.border_weights(np.stack([labels, labels[::-1]]))
    assert both.dtype == np.float32
    np.testing.assert_array_equal(both[1], both[0][::-1])
    weighted = borders.border_weights(labels, class_weights=(0.5, 2.0))
    assert (weighted[labels == 1] == 2.0).all() and weighted[0, 29] == pytest.approx(0.5, abs=1e-3)
    membranes = np.where(labels == 255, 255, 1 - labels)
    np.testing.assert_allclose(borders.border_weights(membranes, cell_classes=(0,)), both[0])


def test_one_cell_or_none_gives_the_class_weight():
    labels = np.zeros((8, 8), np.int32)
    assert (borders.border_weights(labels) == 1).all()
    labels[2:4, 2:4] = 1
    assert (borders.border_weights(labels) == 1).all()


def test_channel_axis_raises():
    with pytest.raises(ValueError) as failure:
        borders.border_weights(np.zeros((1, 4, 4, 1), np.int32))
    assert str(failure.value) == ("`labels` must have shape [H, W] or [B, H, W], got labels=(1, 4, 4, 1). Pass class "
                                  "ids without a channel axis.")
