"""Folders of images and masks: which files are a pair, and which classes they have."""

import os
import time

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import sources
from kseg.data.sources.patterns import find_pairs


def save(path, array):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)


def test_folder_counts_its_classes_or_reads_them(folder):
    assert len(kseg.data.label_set("folder", folder)) == 3
    assert kseg.data.label_set("folder", folder, classes=["a", "b", "c"]).names == ("a", "b", "c")
    with open(os.path.join(folder, "classes.txt"), "w", encoding="utf-8") as file:
        file.write("wall\nfloor 1 2 3\nold door\n")
    assert kseg.data.label_set("folder", folder).names == ("wall", "floor", "old door")
    with open(os.path.join(folder, "classes.txt"), "w", encoding="utf-8") as file:
        file.write("wall 0 0 0\nfloor 1 2 3\nold door 9, 9, 9\n")
    assert kseg.data.label_set("folder", folder).palette.tolist() == [[0, 0, 0], [1, 2, 3], [9, 9, 9]]


def test_folder_reads_coloured_masks_by_classes_txt(tmp_path):
    colours = np.array([[0, 0, 0], [200, 10, 10]], np.uint8)
    ids = np.array([[0, 1], [1, 0]])
    save(str(tmp_path / "train/images/a.png"), np.zeros((2, 2, 3)))
    save(str(tmp_path / "train/labels/a.png"), colours[ids])
    (tmp_path / "classes.txt").write_text("ground 0 0 0\nhouse 200 10 10\n")
    np.testing.assert_array_equal(sources.source("folder", data_dir=str(tmp_path)).read(0)[1], ids)


def test_patterns_pair_by_their_wildcards(tmp_path):
    for city, name in (("a", "1"), ("b", "1"), ("b", "2")):
        save(str(tmp_path / f"img/{city}/{name}_rgb.png"), np.zeros((2, 2, 3)))
        save(str(tmp_path / f"gt/{city}/{name}_mask.png"), np.zeros((2, 2)))
    chosen = sources.source("folder", data_dir=str(tmp_path), image_pattern="img/*/*_rgb.png",
                            label_pattern="gt/*/*_mask.png", classes=2)
    assert [os.path.relpath(label, tmp_path) for _, label in chosen.pairs] == [
        "gt/a/1_mask.png", "gt/b/1_mask.png", "gt/b/2_mask.png"]
    deep = find_pairs(str(tmp_path), "train", "img/**/*_rgb.png", "gt/**/*_mask.png")
    assert deep == chosen.pairs


def test_mask_and_image_of_different_size_raise(folder):
    image, label = (os.path.join(folder, "train", part, "000.png") for part in ("images", "labels"))
    save(label, np.zeros((10, 30)))
    with pytest.raises(ValueError) as failure:
        kseg.data.load("folder", "train", data_dir=folder)
    assert str(failure.value) == (
        f"`labels` must have the height and width of their image {image!r}, (20, 30); {label!r} differs, got "
        "labels=(10, 30). Pair the right files, or resize the mask by nearest neighbour.")


def test_links_that_loop_end(folder):
    os.symlink(os.path.join(folder, "train"), os.path.join(folder, "train", "images", "loop"))
    assert len(sources.source("folder", data_dir=folder, classes=3)) == 6
    assert len(find_pairs(folder, "train", "train/images/**/*.png", "train/labels/**/*.png")) == 6


@pytest.mark.slow
def test_100000_files_are_listed_in_seconds(tmp_path):
    for part in ("images", "labels"):
        os.makedirs(tmp_path / "train" / part)
        for index in range(50000):
            os.close(os.open(tmp_path / "train" / part / f"{index}.png", os.O_CREAT))
    start = time.perf_counter()
    assert len(find_pairs(str(tmp_path), "train")) == 50000
    assert time.perf_counter() - start < 20


def test_names_that_differ_in_their_suffix_alone_raise_or_are_reported(folder):
    first, second = (os.path.join(folder, "train", "images", name) for name in ("002.jpg", "002.png"))
    save(first, np.zeros((20, 30, 3)))
    with pytest.raises(ValueError) as failure:
        sources.source("folder", data_dir=folder)
    assert str(failure.value) == (
        f"`data_dir` must hold one file of each name, the suffix aside; {second!r} and {first!r} are two, got "
        f"data_dir={folder!r}. Remove or rename one of them.")
    report = kseg.data.check("folder", "train", data_dir=folder, other_splits=False)
    assert report.pairs == 6 and report.errors == [{
        "kind": "same name", "path": second,
        "message": f"{second} differs from {first} in its suffix alone, and is left out"}]
