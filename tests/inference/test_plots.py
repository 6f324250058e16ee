"""Plots of the report: the colours follow the numbers, in any count of classes."""

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

from kseg.inference.report import plots
from kseg.labels import LabelSet
from kseg.metrics import Calibration


@pytest.mark.parametrize("classes", [1, 3, 40])
def test_confusion_matrix_darkens_with_the_share(classes):
    names = LabelSet.generic(classes)
    matrix = np.eye(classes, dtype=int) * 10
    matrix[0, -1] += 2
    picture = plots.confusion_matrix(matrix, names)
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3 and picture.min() < 60
    empty = plots.confusion_matrix(np.zeros((classes, classes), int), names)
    assert empty.shape == picture.shape and (empty != picture).any()


def test_names_with_dollar_signs_are_no_formulas():
    plots.confusion_matrix(np.eye(2), LabelSet(("$x$", "a name of very many characters and $ more")))


def test_reliability_of_a_model_that_is_too_sure():
    probabilities = np.full((4, 25, 2), [0.1, 0.9])
    labels = np.arange(100).reshape(4, 25) % 2
    sure, honest = Calibration(), Calibration()
    sure.update(labels, probabilities)
    honest.update(labels, np.full((4, 25, 2), 0.5))
    pictures = plots.reliability(sure), plots.reliability(honest)
    assert pictures[0].shape == pictures[1].shape and pictures[0].shape[2] == 3
    assert (pictures[0] != pictures[1]).any()


def test_pyplot_stays_as_the_user_left_it():
    backend = matplotlib.get_backend(auto_select=False)
    plots.confusion_matrix(np.eye(2), LabelSet(("a", "b")))
    assert pyplot.get_fignums() == [] and matplotlib.get_backend(auto_select=False) == backend
