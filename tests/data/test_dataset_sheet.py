"""A sheet shows the pairs it says, before and after augmentation, with the shares counted by hand."""

import os

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg import cli, pictures
from kseg.data import dataset_sheet
from tests.conftest import structured_image


@pytest.fixture
def sheets(monkeypatch):
    """Record what is drawn: rows, label set, titles and names of each sheet, and the lines of text."""
    seen = {}
    sheet, lines = pictures.sheet, pictures.lines

    def drawn(rows, label_set, titles, names, tile_size):
        seen.update(rows=rows, legend=label_set.names, titles=titles, names=names)
        return sheet(rows, label_set, titles, names, tile_size)

    monkeypatch.setattr(pictures, "sheet", drawn)
    monkeypatch.setattr(pictures, "lines", lambda texts, width: (seen.update(lines=texts), lines(texts, width))[1])
    return seen


@pytest.fixture
def sizes(tmp_path):
    """A folder of two images of different sizes, two classes and ignored pixels."""
    for index, (height, width) in enumerate([(20, 30), (40, 25)]):
        ids = np.zeros((height, width), np.uint8)
        ids[:height // 2] = 1
        ids[0] = 255
        for part, values in (("images", structured_image(height, width)), ("labels", ids)):
            os.makedirs(tmp_path / "train" / part, exist_ok=True)
            Image.fromarray(values).save(tmp_path / "train" / part / f"{index}.png")
    return str(tmp_path)


def test_rows_are_pairs_overlays_and_what_the_pipeline_makes_of_them(sizes, sheets, tmp_path):
    picture = kseg.data.show("folder", data_dir=sizes, classes=("ground", "sky"), augment="unet", seed=4,
                             output=tmp_path / "sheet.png")
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "sheet.png")), picture)
    label_set = kseg.LabelSet(("ground", "sky"))
    augmented = kseg.data.load("folder", "train", data_dir=sizes, classes=2, augment="unet", seed=4, shuffle=False,
                               batch_size=None)
    assert sheets["titles"] == ("image", "labels", "overlay", "augmented", "its overlay")
    for index, (row, (pixels, labels)) in enumerate(zip(sheets["rows"], augmented, strict=True)):
        image = np.asarray(Image.open(f"{sizes}/train/images/{index}.png"))
        ids = np.asarray(Image.open(f"{sizes}/train/labels/{index}.png"))
        wanted = [image, ids, pictures.overlay(image, ids, label_set), pixels.numpy(),
                  pictures.overlay(pixels.numpy(), labels.numpy(), label_set)]
        for part, one in zip(row, wanted, strict=True):
            np.testing.assert_array_equal(part, one)
    # Labelled: 19·30 + 39·25 = 1545 pixels, of them 9·30 + 19·25 = 745 sky; ignored: 55 of 1600.
    assert sheets["legend"] == ("ground 52%", "sky 48%")
    assert sheets["lines"] == ["folder: train 2 pairs; 2 classes; shown: 2 of train",
                               "shares of classes below: of the labelled pixels of 2 of 2 label maps; 3.4% of all "
                               "pixels are ignored"]
    assert sheets["names"] == [f"{sizes}/train/images/0.png · 20x30x3 uint8 · ground 50%, sky 45%, ignored 5.0%",
                               f"{sizes}/train/images/1.png · 40x25x3 uint8 · ground 50%, sky 48%, ignored 2.5%"]


def test_without_augmentation_and_of_a_source(sheets):
    source = kseg.data.source("shapes", "test", image_size=(32, 40))
    kseg.data.show(source, count=3, augment=False)
    assert sheets["titles"] == ("image", "labels", "overlay") and len(sheets["rows"]) == 3
    assert sheets["names"][2].startswith("shapes/test/99 · 32x40x3 uint8 · background ")
    assert sheets["lines"][0] == "shapes: test 100 pairs; 5 classes; shown: 3 of test"
    kseg.data.show("shapes", "validation", count=1, image_size=(24, 24))
    assert sheets["rows"][0][3].shape == (24, 24, 3)
    assert sheets["lines"][0] == "shapes: validation 100, train 400, test 100 pairs; 5 classes; shown: 1 of validation"


def test_grey_images(sizes, sheets):
    kseg.data.show("folder", data_dir=sizes, channels=1, count=1)
    assert sheets["rows"][0][0].shape == (20, 30, 3) and "20x30x1 uint8" in sheets["names"][0]


def test_errors(sizes, tmp_path):
    with pytest.raises(ValueError, match="`count` must be a positive integer"):
        kseg.data.show("shapes", count=0)
    with pytest.raises(ValueError, match="Did you mean 'deeplab'"):
        kseg.data.show("shapes", augment="deplab")
    with pytest.raises(FileNotFoundError, match="`data_dir` must be the path of a folder"):
        kseg.data.show("folder", output=tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(("share", "text"), [(0, "0%"), (0.0004, "<0.1%"), (0.034, "3.4%"), (0.5, "50%"), (1, "100%")])
def test_percent(share, text):
    assert dataset_sheet._percent(share) == text


def test_command(sizes, sheets, tmp_path, capsys):
    output = str(tmp_path / "out" / "sheet.png")
    assert cli.main(["data", "show", "folder", "--data-dir", sizes, "--data-option", "classes=2", "--count", "1",
                     "--augment", "deeplab", "--image-size", "16", "24", "--output", output]) == 0
    assert capsys.readouterr().out.strip() == output and Image.open(output).size[0] > 1000
    assert sheets["rows"][0][3].shape == (16, 24, 3)
    assert cli.main(["data", "show", "folder", "--data-dir", sizes, "--augment", "none", "--output", output]) == 0
    assert len(sheets["rows"][0]) == 3
    assert cli.main(["data", "show", "nowhere"]) == 1
    assert "`name` must be one of" in capsys.readouterr().err
