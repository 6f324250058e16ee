"""Published datasets: their layouts, ids and classes."""

import os

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import sources


def save(path, array):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)


@pytest.mark.parametrize("lists", [False, True])
def test_camvid_in_folders_and_by_segnets_lists(tmp_path, lists):
    ids = np.array([[0, 10], [11, 3]])
    if lists:
        save(str(tmp_path / "val/a.png"), np.zeros((2, 2, 3)))
        save(str(tmp_path / "valannot/a.png"), ids)
        (tmp_path / "val.txt").write_text("/SegNet/CamVid/val/a.png /SegNet/CamVid/valannot/a.png\n")
    else:
        save(str(tmp_path / "val/images/a.jpg"), np.zeros((2, 2, 3)))
        save(str(tmp_path / "val/labels/a.png"), ids)
    chosen = sources.source("camvid", "validation", data_dir=str(tmp_path))
    assert len(chosen) == 1 and len(chosen.label_set) == 11
    np.testing.assert_array_equal(chosen.read(0)[1], [[0, 10], [255, 3]])


def test_camvid_of_published_size(tmp_path):
    """367 and 101 pairs in SegNet's list layout, every count of the class histogram as painted."""
    random = np.random.default_rng(0)
    for split, count in (("train", 367), ("val", 101)):
        expected, lines = np.zeros(12, int), []
        for index in range(count):
            ids = random.integers(0, 12, (6, 8), dtype=np.uint8)
            expected += np.bincount(ids.ravel(), minlength=12)
            save(str(tmp_path / f"{split}/{index:04d}.png"), np.zeros((6, 8, 3)))
            save(str(tmp_path / f"{split}annot/{index:04d}.png"), ids)
            lines.append(f"/SegNet/CamVid/{split}/{index:04d}.png /SegNet/CamVid/{split}annot/{index:04d}.png")
        (tmp_path / f"{split}.txt").write_text("\n".join(lines))
        name = "validation" if split == "val" else split
        report = kseg.data.check("camvid", name, data_dir=str(tmp_path), other_splits=False)
        assert report.ok and report.pairs == count
        assert report.class_pixels == expected[:11].tolist()
        assert report.void_share == pytest.approx(expected[11] / expected.sum())


def test_voc2012_takes_sbds_list_for_training(tmp_path):
    root = tmp_path / "VOCdevkit/VOC2012"
    ids = np.array([[0, 20], [255, 3]], np.uint8)
    for stem in ("a", "b"):
        save(str(root / f"JPEGImages/{stem}.jpg"), np.zeros((2, 2, 3)))
    palette = Image.fromarray(ids).convert("P")
    palette.putdata(ids.ravel().tolist())
    palette.putpalette(kseg.LabelSet.generic(21).palette.ravel().tolist())
    for folder in ("SegmentationClass", "SegmentationClassAug"):
        os.makedirs(root / folder)
        palette.save(root / folder / "a.png")
    save(str(root / "SegmentationClassAug/b.png"), np.zeros((2, 2)))
    lists = root / "ImageSets/Segmentation"
    os.makedirs(lists)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("a\n")
    (lists / "trainaug.txt").write_text("/JPEGImages/a.jpg /SegmentationClassAug/a.png\nb\n")
    assert len(sources.source("voc2012", "train", data_dir=str(tmp_path))) == 2
    validation = sources.source("voc2012", "validation", data_dir=str(tmp_path))
    assert len(validation) == 1 and validation.label_set.names[15] == "person"
    np.testing.assert_array_equal(validation.read(0)[1], ids)


def test_cityscapes_maps_label_ids_to_train_ids(tmp_path):
    save(str(tmp_path / "leftImg8bit/val/ulm/ulm_0_1_leftImg8bit.png"), np.zeros((2, 2, 3)))
    save(str(tmp_path / "gtFine/val/ulm/ulm_0_1_gtFine_labelIds.png"), [[7, 33], [0, 26]])
    save(str(tmp_path / "gtFine/val/ulm/ulm_0_1_gtFine_color.png"), np.zeros((2, 2, 3)))
    chosen = sources.source("cityscapes", "validation", data_dir=str(tmp_path))
    np.testing.assert_array_equal(chosen.read(0)[1], [[0, 18], [255, 13]])
    assert len(chosen.label_set) == 19 and chosen.label_set.names[13] == "car"


def test_ade20k_shifts_by_one(tmp_path):
    save(str(tmp_path / "images/validation/a.jpg"), np.zeros((2, 2, 3)))
    save(str(tmp_path / "annotations/validation/a.png"), [[0, 1], [150, 2]])
    chosen = sources.source("ade20k", "validation", data_dir=str(tmp_path))
    np.testing.assert_array_equal(chosen.read(0)[1], [[255, 0], [149, 1]])
    assert len(chosen.label_set) == 150 and len(set(chosen.label_set.names)) == 150
