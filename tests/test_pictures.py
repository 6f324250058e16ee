"""Pictures: indexed PNGs read back as ids, overlays by hand, sheets of the right size."""

import numpy as np
import pytest
from PIL import Image

from kseg import pictures
from kseg.labels import LabelSet

LABELS = LabelSet(("road", "sky", "car"), np.array([[128, 64, 128], [70, 130, 180], [0, 0, 142]]))


def scene():
    labels = np.repeat(np.repeat([[0, 1], [2, 255]], 6, 0), 9, 1).astype("uint8")
    image = np.stack([np.arange(12)[:, None] * 20 + np.arange(18)] * 3, -1).astype("uint8")
    return image, labels


def test_indexed_png_keeps_ids_and_colours(tmp_path):
    _, labels = scene()
    pictures.write_labels(tmp_path / "m.png", labels, LABELS)
    picture = Image.open(tmp_path / "m.png")
    assert picture.mode == "P"
    np.testing.assert_array_equal(np.asarray(picture), labels)
    np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), LABELS.colorize(labels))
    assert [path.name for path in tmp_path.iterdir()] == ["m.png"]
    with pytest.raises(ValueError) as caught:
        pictures.write_labels(tmp_path / "m.png", np.zeros((2, 3, 4)), LABELS)
    assert str(caught.value) == ("`label_map` must be integer ids [H, W] from 0 to 255, got label_map=((2, 3, 4), "
                                 "'float64'). Pass one map, after the argmax.")


def test_overlay_mixes_and_leaves_ignored_pixels(monkeypatch):
    image, labels = scene()
    mixed = pictures.overlay(image, labels, LABELS, 0.25)
    assert mixed[0, 0].tolist() == [32, 16, 32]  # a quarter of the road's colour over black
    np.testing.assert_array_equal(mixed[labels == 255], image[labels == 255])
    np.testing.assert_array_equal(pictures.overlay(image, labels, LABELS, 0), image)
    assert pictures.overlay(image[..., :1], labels, LABELS).shape == (12, 18, 3)
    monkeypatch.setattr(pictures, "_STRIP_PIXELS", 40)
    np.testing.assert_array_equal(pictures.overlay(image, labels, LABELS, 0.25), mixed)


def test_sheet_holds_rows_columns_and_legend():
    image, labels = scene()
    sheet = pictures.sheet([(image, labels, labels), (image, None, labels)], LABELS, names=["a" * 300, "b"],
                           tile_size=(60, 90))
    assert sheet.dtype == np.uint8 and sheet.shape[1] == 3 * 98 + 8
    assert (sheet[54:60, 120:130] == LABELS.palette[0]).all()  # the first truth's upper left corner
    key = pictures.legend(LABELS, 100)
    assert key.shape[1] == 100 and key.shape[0] > pictures.legend(LABELS, 1000).shape[0]
    for colour in LABELS.palette:
        assert (key == colour).all(-1).any()


def test_heat_is_grey_where_nothing_is_known():
    assert pictures.heat(np.array([[np.nan, 0.0]]))[0].tolist() == [[128, 128, 128], [0, 0, 0]]


def test_heat_goes_from_black_to_white():
    assert pictures.heat(np.array([[0.0, 1 / 3, 2 / 3, 1.0]]))[0].tolist() == [
        [0, 0, 0], [255, 0, 0], [255, 255, 0], [255, 255, 255]]
