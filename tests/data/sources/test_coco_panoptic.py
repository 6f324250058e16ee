"""COCO's panoptic labels: segments to classes, and files that do not fit."""

import json

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import sources
from tests.data.sources import annotations as written


def test_segments_are_their_categories_and_unlabelled_pixels_are_ignored(tmp_path):
    maps = [ids.copy() for ids in written.label_maps()]
    for ids in maps:
        ids[ids == 0] = 255
    written.write_panoptic(str(tmp_path), maps)
    source = sources.source("coco_panoptic", data_dir=str(tmp_path))
    assert source.label_set.names == written.NAMES and len(source) == 3
    for index, ids in enumerate(maps):
        np.testing.assert_array_equal(source.read(index)[1], ids)
    assert source.describe(2) == str(tmp_path / "train2017" / "2.png")


def test_categories_that_are_not_chosen_are_background(tmp_path):
    written.write_panoptic(str(tmp_path))
    every = sources.source("coco_panoptic", data_dir=str(tmp_path)).read_labels(0)
    chosen = sources.source("coco_panoptic", data_dir=str(tmp_path), classes=["background", "dog"]).read_labels(0)
    np.testing.assert_array_equal(chosen, np.where(every == 255, 255, every == 2))
    assert {0, 1, 255} == set(np.unique(chosen))


def test_the_folder_of_segments_may_be_beside_the_images(tmp_path):
    written.write_panoptic(str(tmp_path))
    before = sources.source("coco_panoptic", data_dir=str(tmp_path)).read_labels(1)
    (tmp_path / "annotations" / "panoptic_train2017").rename(tmp_path / "panoptic_train2017")
    np.testing.assert_array_equal(sources.source("coco_panoptic", data_dir=str(tmp_path)).read_labels(1), before)


def edited(path, edit):
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    edit(content)
    written.dump(path, content)


def first(**fields):
    return lambda content: content["annotations"][0].update(fields)


def segment(**fields):
    return lambda content: content["annotations"][0]["segments_info"][0].update(fields)


@pytest.mark.parametrize("edit, said", [
    (first(segments_info=None), "`segments_info` must be a list in {path!r}, the annotation of '0.png', got"),
    (first(file_name=3), "`file_name` must be a text in {path!r}, the annotation of '0.png', got file_name=3."),
    (first(file_name="none.png"), "`data_dir` must hold every image that {path!r} names; 'none.png' is not in"),
    (lambda content: content["annotations"].pop(0), "`annotations` must be one for image '0.png' in {path!r}, got "
                                                    "annotations=0. Export the labels again, or remove the image."),
])
def test_broken_files_raise(tmp_path, edit, said):
    path = written.write_panoptic(str(tmp_path))
    edited(path, edit)
    with pytest.raises(ValueError) as failure:
        sources.source("coco_panoptic", data_dir=str(tmp_path))
    assert str(failure.value).startswith(said.format(path=path))


@pytest.mark.parametrize("edit, said", [
    (segment(category_id=7), "`category_id` must be the id of a category of the file in segments_info of {png!r}, got "
                             "category_id=7. Add it, or correct the id: there are [1, 18, 90]."),
    (segment(id="a"), "`id` must be a whole number in segments_info of {png!r}, got id='a'."),
    (segment(id=1 << 24), "`id` must be a colour, from 1 to 2**24 - 1, in segments_info of {png!r}, got id=16777216."),
    (segment(id=0), "`id` must be a colour"), (segment(id=-5), "`id` must be a colour"),
    (segment(id=5), "`segments_info` must list every segment of {png!r}, which has 1 others, the first are [70259], "),
    (first(segments_info=[3]), "`segments_info` must be a list of objects for {png!r}, got segments_info=3."),
])
def test_broken_segments_raise_for_their_image_and_are_found(tmp_path, edit, said):
    edited(written.write_panoptic(str(tmp_path)), edit)
    png = str(tmp_path / "annotations" / "panoptic_train2017" / "0.png")
    source = sources.source("coco_panoptic", data_dir=str(tmp_path))
    with pytest.raises(ValueError) as failure:
        source.read(0)
    assert str(failure.value).startswith(said.format(png=png))
    source.read(1)
    errors = kseg.data.check("coco_panoptic", data_dir=str(tmp_path), other_splits=False).errors
    assert [(error["kind"], error["path"]) for error in errors] == [("unreadable labels", png)]


def test_segments_of_another_size_raise(tmp_path):
    written.write_panoptic(str(tmp_path))
    png = tmp_path / "annotations" / "panoptic_train2017" / "0.png"
    Image.open(png).crop((0, 0, 30, 10)).save(png)
    with pytest.raises(ValueError, match="^`labels` must have the height and width of their image"):
        sources.source("coco_panoptic", data_dir=str(tmp_path)).read(0)
