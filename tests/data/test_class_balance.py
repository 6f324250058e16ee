"""Class weights against their definitions."""

import os

import numpy as np
import pytest

import kseg
from kseg.data import class_balance

LABELS = [np.array([[0, 0, 0, 1]]), np.array([[0, 0, 255, 255]]), np.array([[2, 0, 1, 1]])]


def test_counts():
    pixels, present, images = class_balance.class_counts(LABELS, 4)
    assert pixels.tolist() == [6, 3, 1, 0]
    assert present.tolist() == [12, 8, 4, 0]  # ignored pixels included, as in the definition
    assert images.tolist() == [3, 2, 1, 0]


def test_median_frequency_by_hand():
    frequency = np.array([6 / 12, 3 / 8, 1 / 4])
    expected = [*(np.median(frequency) / frequency), 0]
    np.testing.assert_allclose(kseg.data.class_weights(LABELS, classes=4), expected, rtol=1e-6)


def test_inverse_log_and_effective_number_by_hand():
    share = np.array([0.6, 0.3, 0.1])
    np.testing.assert_allclose(kseg.data.class_weights(LABELS, classes=3, method="inverse_log"),
                               1 / np.log(1.02 + share), rtol=1e-6)
    effective = (1 - 0.9 ** np.array([6, 3, 1])) / (1 - 0.9)
    expected = 1 / effective / (1 / effective).mean()
    np.testing.assert_allclose(kseg.data.class_weights(LABELS, classes=3, method="effective_number", beta=0.9),
                               expected, rtol=1e-6)


def test_effective_number_of_millions_stays_finite():
    counts = np.array([10 ** 9, 10 ** 6, 10])
    result = class_balance.weights_from_counts(counts, counts, "effective_number")
    assert np.isfinite(result).all() and (np.diff(result) > 0).all()


def test_a_source_and_its_name_agree(folder):
    by_name = kseg.data.class_weights("folder", data_dir=folder)
    by_source = kseg.data.class_weights(kseg.data.source("folder", data_dir=folder))
    np.testing.assert_array_equal(by_name, by_source)
    assert by_name.shape == (3,) and (by_name > 0).all()


def test_unreadable_labels_raise_or_are_left_out_as_a_recipe_says(folder, caplog):
    from kseg.training import TrainingRecipe, from_recipe
    from kseg.training.splits import Splits
    options = {"classes": 3, "on_error": "skip"}
    chosen = kseg.data.source("folder", data_dir=folder, classes=3)
    expected = kseg.data.class_weights([chosen.read_labels(index) for index in range(6) if index != 2], classes=3)
    open(os.path.join(folder, "train", "labels", "002.png"), "wb").close()
    with pytest.raises(ValueError, match="this one has no bytes"):
        kseg.data.class_weights("folder", data_dir=folder, classes=3)
    np.testing.assert_array_equal(kseg.data.class_weights("folder", data_dir=folder, **options), expected)
    assert "left the labels of 1 of 6 pairs of folder out" in caplog.text
    recipe = TrainingRecipe(data="folder", data_dir=folder, class_weights="median_frequency", data_options=options)
    np.testing.assert_array_equal(from_recipe.loss(recipe, Splits.open(recipe, 3)).class_weights, expected)
    with pytest.raises(ValueError, match="`on_error` must be one of"):
        kseg.data.class_weights("folder", data_dir=folder, classes=3, on_error="ignore")


# Pixels and images of each class in the 367 training labels of the SegNet tutorial, void last, as a third party counted
# them (alexgkendall/caffe-segnet, issue 37), and the weights that SegNet's authors published, void left out.
CAMVID_PIXELS = (10682767, 14750079, 623349, 20076880, 2845085, 6166762, 743859, 714595, 3719877, 405385, 184967,
                 2503995)
CAMVID_IMAGES = (366, 365, 366, 367, 349, 319, 351, 173, 360, 317, 201, 367)
CAMVID_PUBLISHED = (0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614)
SIGN = 6


def test_camvid_counts_give_the_published_weights_but_for_signs():
    """The published median is over twelve classes, void being one; no count of these labels gives 9.64 for signs."""
    present = np.array(CAMVID_IMAGES) * (360 * 480)
    result = class_balance.weights_from_counts(CAMVID_PIXELS, present)[:11]
    others = np.arange(11) != SIGN
    np.testing.assert_allclose(result[others], np.array(CAMVID_PUBLISHED)[others], rtol=0.12)
    assert result[SIGN] == pytest.approx(3.533, abs=1e-3)
    eleven = class_balance.weights_from_counts(CAMVID_PIXELS[:11], present[:11])
    for ours in (result, eleven):
        assert np.argsort(ours[others]).tolist() == np.argsort(np.array(CAMVID_PUBLISHED)[others]).tolist()


def test_errors():
    with pytest.raises(ValueError) as failure:
        kseg.data.class_weights(LABELS, classes=3, method="median")
    assert str(failure.value) == ("`method` must be one of ('median_frequency', 'inverse_log', 'effective_number'), "
                                  "got method='median'. Did you mean 'median_frequency'?")
    with pytest.raises(ValueError) as failure:
        kseg.data.class_weights(LABELS, classes=2)
    assert str(failure.value) == ("`labels` must hold class ids 0..1 or 255, got labels=2. Raise `classes`, or run "
                                  "kseg.data.check on the dataset.")
    with pytest.raises(ValueError) as failure:
        kseg.data.class_weights([np.full((2, 2), 255)], classes=2)
    assert str(failure.value) == ("`labels` must hold at least one pixel of a class, got labels=0. Every pixel is "
                                  "ignored: check the label files with kseg.data.check.")
