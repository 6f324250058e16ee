"""YOLO's polygons: layouts, names of classes, and lines that are broken."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import sources
from tests.data.sources import annotations as written


@pytest.mark.parametrize("images, labels", [("images/train", "labels/train"), ("train/images", "train/labels"),
                                            ("images", "labels"), ("images/training", "labels/training")])
def test_label_maps_written_as_polygons_are_read_back(tmp_path, images, labels):
    maps = written.label_maps()
    written.write_yolo(str(tmp_path), maps, images, labels)
    source = sources.source("yolo", data_dir=str(tmp_path))
    assert source.label_set.names == ("background", "person", "dog", "brush")
    assert [image for image, _ in source.pairs] == [str(tmp_path / images / f"{index}.png") for index in range(3)]
    for index, ids in enumerate(maps):
        np.testing.assert_array_equal(source.read(index)[1], ids)


@pytest.mark.parametrize("names", ["names: {0: person, 1: dog, 2: brush}\n", "names:\n  - person\n  - dog\n  - brush\n",
                                   "path: ../x\nnc: 3\nnames:\n  0: person\n  2: brush\n  1: dog\n"])
def test_names_of_a_yaml_file(tmp_path, names):
    written.write_yolo(str(tmp_path), names=names)
    assert kseg.data.label_set("yolo", str(tmp_path)).names == ("background", "person", "dog", "brush")


def test_names_of_classes_txt_or_given(tmp_path):
    maps = written.label_maps()
    written.write_yolo(str(tmp_path), maps)
    chosen = sources.source("yolo", data_dir=str(tmp_path), classes=["background", "dog"])
    np.testing.assert_array_equal(chosen.read_labels(0), maps[0] == 2)
    os.remove(tmp_path / "data.yaml")
    with pytest.raises(ValueError, match=r"^`classes` must be given where none of \['data.yaml', .* is in .*, got "):
        sources.source("yolo", data_dir=str(tmp_path))
    for classes in (4, ["ground", "a", "b", "c"]):
        given = sources.source("yolo", data_dir=str(tmp_path), classes=classes)
        assert len(given.label_set) == 4
        np.testing.assert_array_equal(given.read_labels(0), maps[0])
    (tmp_path / "classes.txt").write_text("person\ndog\nbrush\n")
    assert kseg.data.label_set("yolo", str(tmp_path)).names == ("background", "person", "dog", "brush")


@pytest.mark.parametrize("names", ["names: 3\n", "- a\n", "names: []\n", "names: [a\n", "names: {a: b}\n", "\x00"])
def test_broken_yaml_raises_a_sentence_that_names_it(tmp_path, names):
    written.write_yolo(str(tmp_path), names=names)
    with pytest.raises(ValueError, match="^`(names|data_dir|id)` must .*data.yaml"):
        sources.source("yolo", data_dir=str(tmp_path))


def test_polygons_are_in_fractions_of_the_image_and_cut_off_at_its_border(tmp_path):
    path = written.write_yolo(str(tmp_path), [np.zeros((20, 30), np.uint8)])
    with open(path, "w", encoding="utf-8") as file:
        file.write("1 0.5 0.25 1.5 0.25 1.5 0.75 0.5 0.75\n\n0 0.6 0.3 0.7 0.3 0.7 0.6 0.6 0.6\n")
    expected = np.zeros((20, 30), np.uint8)
    expected[5:15, 15:] = 2
    listed = expected.copy()
    listed[6:12, 18:21] = 1
    np.testing.assert_array_equal(sources.source("yolo", data_dir=str(tmp_path)).read_labels(0), listed)
    with open(path, "a", encoding="utf-8") as file:
        file.write("1 0.5 0.25 1.5 0.25 1.5 0.75 0.5 0.75\n")
    np.testing.assert_array_equal(sources.source("yolo", data_dir=str(tmp_path), overlap="listed").read_labels(0),
                                  expected)


def test_a_photograph_that_is_shown_turned_is_refused(tmp_path):
    """The text states no size, and tools differ in which side they draw on."""
    written.write_yolo(str(tmp_path))
    source = sources.source("yolo", data_dir=str(tmp_path))
    exif = Image.Exif()
    exif[274] = 6
    with Image.open(source.pairs[0][0]) as picture:
        pixels = np.asarray(picture)
    Image.fromarray(pixels).save(source.pairs[0][0], exif=exif)
    with pytest.raises(ValueError, match="^`image` must be stored upright for .*0.txt"):
        source.read(0)
    assert source.read(1)[1].size


def test_all_images_are_no_training_set_where_there_are_splits(tmp_path):
    written.write_yolo(str(tmp_path))
    (train, _), *_ = sources.source("yolo", data_dir=str(tmp_path)).pairs
    for part in ("images", "labels"):
        os.makedirs(tmp_path / "other" / part / "val")
    shutil.copy(train, tmp_path / "other" / "images" / "val")
    (tmp_path / "other" / "labels" / "val" / "0.txt").write_text("")
    shutil.copy(tmp_path / "data.yaml", tmp_path / "other")
    assert len(sources.source("yolo", "validation", data_dir=str(tmp_path / "other"))) == 1
    with pytest.raises(FileNotFoundError, match="must hold split 'train'"):
        sources.source("yolo", "train", data_dir=str(tmp_path / "other"))


def test_an_image_without_labels_is_background_and_check_says_so(tmp_path):
    path = written.write_yolo(str(tmp_path))
    os.remove(path)
    source = sources.source("yolo", data_dir=str(tmp_path))
    assert len(source) == 3 and not source.read(0)[1].any()
    report = kseg.data.check("yolo", data_dir=str(tmp_path), other_splits=False)
    image = str(tmp_path / "images" / "train" / "0.png")
    warning = f"{image}: has no label file, and is taken for background alone"
    assert report.ok and {"kind": "no label file", "path": image, "message": warning} in report.warnings


def test_labels_without_an_image_and_images_without_any_labels_raise(tmp_path):
    written.write_yolo(str(tmp_path))
    extra = tmp_path / "labels" / "train" / "extra.txt"
    extra.write_text("")
    with pytest.raises(ValueError) as failure:
        sources.source("yolo", data_dir=str(tmp_path))
    assert str(failure.value) == (f"`data_dir` must hold an image for every label file; {str(extra)!r} has none, got "
                                  f"data_dir={str(tmp_path)!r}. Add the image or remove the file.")
    (tmp_path / "labels").rename(tmp_path / "texts")
    with pytest.raises(FileNotFoundError, match="^`data_dir` must hold label files \\(.txt\\) in "):
        sources.source("yolo", data_dir=str(tmp_path))
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("yolo", "test", data_dir=str(tmp_path))
    assert str(failure.value) == (
        f"`data_dir` must hold split 'test' of 'yolo', got data_dir={str(tmp_path)!r}. Expected images in one of "
        "['images/test', 'images/testing', 'test/images', 'testing/images']. There is data.yaml, images/, texts/.")


@pytest.mark.parametrize("line, said", [
    ("0 0.5 0.5 0.2 0.2", "`labels` must be a polygon of at least three corners in {path!r}, line 1, got labels='0 0.5 "
                          "0.5 0.2 0.2'. This is a box: export the labels for segmentation."),
    ("7 0 0 1 0 1 1", "`class` must be one of [0, 1, 2] in {path!r}, line 1, got class=7. Add its name to data.yaml"),
    ("-1 0 0 1 0 1 1", "`class` must be one of [0, 1, 2]"),
    ("0 10 10 20 10 20 15", "`labels` must be fractions of the image's width and height in {path!r}, line 1, got"),
    ("0 0 0 1 0 1", "`labels` must have x and y of each corner in {path!r}, line 1, got labels='5 numbers'."),
    ("0", "`labels` must have x and y of each corner"), ("0 0 0", "`polygon` must have at least three corners, in"),
    ("a 0 0 1 0 1 1", "`labels` must be a class and numbers in {path!r}, line 1, got labels='a 0 0 1 0 1 1'."),
    ("0 a 0 1 0 1 1", "`labels` must be a class and numbers"), ("1.5 0 0 1 0 1 1", "`labels` must be a class and"),
    ("0 nan 0 1 0 1 1", "`polygon` must have finite coordinates, in {path!r}, line 1, got"),
    ("0 inf 0 1 0 1 1", "`labels` must be fractions"),
    ("0 1.2 0 1.4 0 1.4 1", "`polygon` must have a part of the picture, which is 20 pixels high and 30 wide, in"),
])
def test_broken_lines_raise_for_their_image_and_are_found(tmp_path, line, said):
    path = written.write_yolo(str(tmp_path))
    with open(path, "w", encoding="utf-8") as file:
        file.write(line + "\n")
    source = sources.source("yolo", data_dir=str(tmp_path))
    with pytest.raises(ValueError) as failure:
        source.read(0)
    assert str(failure.value).startswith(said.format(path=path))
    source.read(1)
    errors = kseg.data.check("yolo", data_dir=str(tmp_path), other_splits=False).errors
    assert [(error["kind"], error["path"]) for error in errors] == [("unreadable labels", path)]


def test_a_label_file_that_is_no_text_raises(tmp_path):
    path = written.write_yolo(str(tmp_path))
    with open(path, "wb") as file:
        file.write(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="^`labels` must lead to a text file in UTF-8, got labels="):
        sources.source("yolo", data_dir=str(tmp_path)).read(0)
