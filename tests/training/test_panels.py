"""Pictures of a run: every tile is where it belongs, and a curve is drawn for whatever was measured."""

import numpy as np
from PIL import Image

from kseg.labels import LabelSet
from kseg.training import panels

LABELS = LabelSet(("sky", "road"), np.array([[10, 20, 30], [200, 100, 0]]))


def test_panel_shows_image_truth_and_prediction():
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 6, 8, 3))
    labels = np.random.default_rng(1).choice([0, 1, 255], (2, 6, 8))
    predictions = 1 - np.minimum(labels, 1)
    picture = panels.panel(pixels, labels, predictions, LABELS)
    assert picture.shape == (2 * 10 + 4, 3 * 12 + 4, 3) and picture.dtype == np.uint8
    for row in range(2):
        top = 4 + row * 10
        np.testing.assert_array_equal(picture[top:top + 6, 4:12], np.rint(pixels[row]).astype(np.uint8))
        np.testing.assert_array_equal(picture[top:top + 6, 16:24], LABELS.colorize(labels[row]))
        np.testing.assert_array_equal(picture[top:top + 6, 28:36], LABELS.colorize(predictions[row]))
    assert (picture[:4] == 255).all() and (picture[-4:] == 255).all()


def test_panel_of_one_band_is_grey():
    picture = panels.panel(np.full((1, 2, 2, 1), 7), np.zeros((1, 2, 2), int), np.zeros((1, 2, 2), int), LABELS)
    assert (picture[4:6, 4:6] == 7).all()


def test_learning_curve_draws_each_measured_series():
    history = [{"loss": 1.5, "val_loss": 1.2, "mean_iou": 0.1, "val_mean_iou": 0.2},
               {"loss": 0.5, "val_loss": float("nan"), "mean_iou": 0.5, "val_mean_iou": 0.6}]
    picture = panels.learning_curve(history)
    assert picture.shape == (400, 720, 3)
    for _, colour in panels._CURVES:
        assert (picture == np.array(colour)).all(-1).sum() > 10
    assert panels.learning_curve([]).shape == (400, 720, 3)


def test_pictures_are_written_whole(tmp_path):
    pixels = np.zeros((3, 4, 3), np.uint8)
    panels.write_png(str(tmp_path / "a.png"), pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert Image.open(tmp_path / "a.png").size == (4, 3)
