"""Supervisely's projects, against label maps that are known pixel by pixel."""

import base64
import json
import os
import zlib

import cv2
import numpy as np
import pytest

import kseg
from kseg.data import sources
from tests.data.sources import tool_files

expected, polygon_of = tool_files.expected, tool_files.polygon_of
CLASSES = [{"title": "road", "shape": "polygon", "color": "#00FF00"}, {"title": "car", "shape": "bitmap",
           "color": "#ff0000"}, {"title": "ignore", "shape": "any", "color": "#0000ff"}]


def project(root, *objects, path="ds1", classes=CLASSES, **annotation):
    """Write a project of one image; return the path of its annotation."""
    tool_files.save_json(root, "meta.json", {"classes": classes, "tags": []})
    tool_files.save_image(root, f"{path}/img/a.png")
    return tool_files.save_json(root, f"{path}/ann/a.png.json", {**tool_files.supervisely_annotation(objects),
                                                                 **annotation})


def polygon(label, exterior, *interior, **more):
    return {"classTitle": label, "geometryType": "polygon", "points": {"exterior": exterior, "interior": interior},
            **more}


def bitmap(label, mask, left, top, mode="P"):
    return {"classTitle": label, "geometryType": "bitmap", "bitmap": {
        "data": tool_files.text_of(tool_files.png(mask, mode), compressed=True), "origin": [left, top]}}


def labels(root, **options):
    return sources.source("supervisely", data_dir=str(root), **options).read(0)[1]


def test_corners_are_pixels_and_outlines_belong_to_what_they_surround(tmp_path):
    project(tmp_path, polygon("road", polygon_of(2, 3, 12, 10), polygon_of(5, 5, 8, 7), polygon_of(10, 6, 10, 8)),
            polygon("car", polygon_of(25.7, 15.2, 90, 90)),
            {"classTitle": "ignore", "geometryType": "rectangle",
             "points": {"exterior": [[20, 1], [22, 2]], "interior": []}})
    wanted = expected((1, 2, 3, 13, 11), (0, 5, 5, 9, 8), (0, 10, 6, 11, 9), (2, 25, 15, 30, 20), (255, 20, 1, 23, 3))
    np.testing.assert_array_equal(labels(tmp_path), wanted)


def test_a_polygon_is_filled_as_supervisely_fills_it(tmp_path):
    exterior = [[3, 2], [27, 4], [40, 18], [12, 9], [5, 16]]
    interior = [[8, 5], [20, 6], [16, 9]]
    project(tmp_path, polygon("road", exterior, interior))
    wanted = np.zeros((20, 30), np.uint8)
    cv2.fillPoly(wanted, [np.array(exterior, np.int32)], 1)
    cv2.fillPoly(wanted, [np.array(interior, np.int32)], 0)
    found = labels(tmp_path)
    np.testing.assert_array_equal(found, wanted)
    inner = tool_files.inside([[x + 0.5, y + 0.5] for x, y in exterior]) & ~tool_files.inside(
        [[x + 0.5, y + 0.5] for x, y in interior])
    assert (found[inner] == 1).mean() > 0.9 and found.sum() - inner.sum() < 60  # by centres, but for the outlines


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_bitmaps_are_placed_at_their_origin(tmp_path, mode):
    mask = tool_files.inside([[1, 0], [9, 4], [5, 7], [0, 6]], 7, 9)
    project(tmp_path, bitmap("car", mask, 4, 2, mode), bitmap("road", mask, 25, 16, mode))
    wanted = np.zeros((20, 30), np.uint8)
    wanted[2:9, 4:13][mask] = 2
    wanted[16:, 25:][mask[:4, :5]] = 1
    np.testing.assert_array_equal(labels(tmp_path), wanted)


def test_the_last_object_is_on_top_and_lines_are_left_out(tmp_path):
    line = {"classTitle": "road", "geometryType": "line", "points": {"exterior": [[1, 1], [9, 9]], "interior": []}}
    project(tmp_path, polygon("car", polygon_of(2, 3, 12, 10)), polygon("road", polygon_of(5, 5, 20, 15)), line,
            {**line, "geometryType": "point"}, {"classTitle": "road", "geometryType": "graph", "nodes": {}})
    np.testing.assert_array_equal(labels(tmp_path), expected((2, 2, 3, 13, 11), (1, 5, 5, 21, 16)))
    np.testing.assert_array_equal(labels(tmp_path, overlap="smaller_on_top"),
                                  expected((1, 5, 5, 21, 16), (2, 2, 3, 13, 11)))
    report = kseg.data.check("supervisely", data_dir=str(tmp_path))
    assert report.ok and [row["message"].partition(": ")[2] for row in report.warnings
                          if row["kind"] == "figures without area"] == [
        "left out are 1 of kind point, 1 of kind line, 1 of kind graph"]


def test_old_files_do_not_say_the_kind_of_an_object(tmp_path):
    box, mask = polygon("road", polygon_of(2, 3, 12, 10), bitmap=None), bitmap("car", np.ones((2, 3), bool), 20, 4)
    del box["geometryType"], mask["geometryType"]
    project(tmp_path, box, {**mask, "points": {"exterior": [], "interior": []}})
    np.testing.assert_array_equal(labels(tmp_path), expected((1, 2, 3, 13, 11), (2, 20, 4, 23, 6)))


def test_classes_are_in_the_order_and_colours_of_the_project_and_may_be_chosen(tmp_path):
    project(tmp_path, polygon("road", polygon_of(2, 3, 12, 10)), polygon("car", polygon_of(5, 5, 20, 15)))
    label_set = kseg.data.label_set("supervisely", data_dir=str(tmp_path))
    assert label_set.names == ("background", "road", "car")
    np.testing.assert_array_equal(label_set.palette, [(0, 0, 0), (0, 255, 0), (255, 0, 0)])
    np.testing.assert_array_equal(labels(tmp_path, classes=["background", "car"]), expected((1, 5, 5, 21, 16)))


def test_datasets_are_splits_if_they_have_such_names(tmp_path):
    for place, label in (("ds1", "road"), ("ds2/datasets/deep", "car")):
        project(tmp_path, polygon(label, polygon_of(2, 3, 12, 10)), path=place)
    assert len(sources.source("supervisely", data_dir=str(tmp_path))) == 2
    project(tmp_path, polygon("car", polygon_of(2, 3, 12, 10)), path="val")
    project(tmp_path, polygon("road", polygon_of(2, 3, 12, 10)), path="Train/datasets/summer")
    for split, class_id in (("train", 1), ("validation", 2)):
        source = sources.source("supervisely", split, data_dir=str(tmp_path))
        assert len(source) == 1
        np.testing.assert_array_equal(source.read(0)[1], expected((class_id, 2, 3, 13, 11)))
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("supervisely", "test", data_dir=str(tmp_path))
    assert str(failure.value) == (
        f"`data_dir` must hold split 'test' of 'supervisely', got data_dir='{tmp_path}'. Expected the dataset 'test' "
        "with folders 'ann' and 'img', but there are ['Train/datasets/summer', 'ds1', 'ds2/datasets/deep', 'val'].")


BOMB = base64.b64encode(zlib.compress(tool_files.png(np.ones((2, 2), bool)) + bytes(1 << 26))).decode()


@pytest.mark.parametrize("row, rule", [
    ({}, "`label` must be one of ('background', 'road', 'car') in {where}, got label=None. "),
    (polygon("rod", polygon_of(2, 3, 12, 10)), "`label` must be one of ('background', 'road', 'car') in {where}, got "
     "label='rod'. Did you mean 'road'?"),
    ({"classTitle": "road", "geometryType": "polygon"}, "`points` must be an object in {where}, got points=None. "),
    (polygon("road", None), "`polygon` must have "),
    (polygon("road", [[1, 2], [3, 4]]), "`polygon` must have at least three corners, in {where}, got "),
    (polygon("road", [[1, 2], [3, float("inf")], [4, 4]]), "`polygon` must have finite coordinates, in {where}, got "),
    (polygon("road", polygon_of(2, 3, 12, 10), [[1, 2]]), "`polygon` must have at least three corners, in {where}"),
    (polygon("road", polygon_of(200, 3, 212, 10)), "`polygon` must have a part of the picture, "),
    ({"classTitle": "road", "geometryType": "rectangle", "points": {"exterior": [[1, 2]]}},
     "`exterior` must be 2 pairs of x and y in {where}, got exterior=[[1, 2]]. "),
    ({"classTitle": "car", "geometryType": "bitmap"}, "`bitmap` must be an object in {where}, got bitmap=None. "),
    ({"classTitle": "car", "geometryType": "bitmap", "bitmap": {"data": "eJz"}}, "`origin` must be a pair of x and y "),
    ({"classTitle": "car", "geometryType": "bitmap", "bitmap": {"data": "eJz", "origin": [1, 2]}},
     "`mask` must be a PNG as base64 text in {where}, got mask='eJz'. "),
    ({"classTitle": "car", "geometryType": "bitmap", "bitmap": {"data": BOMB, "origin": [1, 2]}},
     "`mask` must be a whole PNG, packed by zlib, of at most 68536 bytes in {where}, got mask='68536 bytes and more'"),
    ({"classTitle": "car", "geometryType": "bitmap", "bitmap": {"data": BOMB[:200], "origin": [1, 2]}}, "`mask` must"),
    (bitmap("car", np.ones((30, 40), bool), 0, 0), "`mask` must be a PNG of at most the picture's 20 × 30 pixels in "),
    (bitmap("car", np.ones((3, 4), bool), 10 ** 8, 0), "`mask` must have a part of the picture, "),
    ({"classTitle": "car", "geometryType": "cuboid"}, "`kind` must be one of ('polygon', 'rectangle', 'bitmap') of a "
     "figure in {where}, got kind='cuboid'. "),
])
def test_a_broken_object_is_named_and_found(tmp_path, row, rule):
    path = project(tmp_path, row)
    with pytest.raises(ValueError) as failure:
        labels(tmp_path)
    assert str(failure.value).startswith(rule.replace("{where}", f"{path!r}, object number 0"))
    report = kseg.data.check("supervisely", data_dir=str(tmp_path))
    assert [(row["path"], row["message"]) for row in report.errors] == [(path, str(failure.value))]


@pytest.mark.parametrize("content, rule", [
    ("{", "`annotations` must be a JSON file, got annotations={path!r}. "),
    ({}, "`size` must be an object in {path!r}, got size=None. "),
    ({"size": {"height": 20, "width": 30}}, "`objects` must be a list in {path!r}, got objects=None. "),
    ({"size": {"height": 20, "width": 30}, "objects": [1]}, "`objects` must be a list of objects in {path!r}, got "),
    ({"size": {"height": 1 << 20, "width": 1 << 20}, "objects": []}, "`size` must be that of the image, "),
    ({"size": {}, "objects": []}, "`size` must be that of the image, (height, width) = (20, 30), in {path!r} of "),
])
def test_a_broken_file_is_named_and_found(tmp_path, content, rule):
    path = project(tmp_path)
    tool_files.save_text(tmp_path, "ds1/ann/a.png.json", content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ValueError) as failure:
        labels(tmp_path)
    assert str(failure.value).startswith(rule.replace("{path!r}", repr(path)))
    assert [row["path"] for row in kseg.data.check("supervisely", data_dir=str(tmp_path)).errors] == [path]


def test_files_without_a_partner_and_projects_without_classes_are_named(tmp_path):
    project(tmp_path)
    image = tool_files.save_image(tmp_path, "ds1/img/b.png")
    file = tool_files.save_json(tmp_path, "ds1/ann/c.png.json", {})
    with pytest.raises(ValueError) as failure:
        sources.source("supervisely", data_dir=str(tmp_path))
    assert str(failure.value) == (f"`data_dir` must hold a partner for every file; {image!r} has none, got data_dir="
                                  f"'{tmp_path}'. Add the missing file or remove this one.")
    errors = kseg.data.check("supervisely", data_dir=str(tmp_path)).errors
    assert [(row["kind"], row["path"]) for row in errors] == [("missing partner", image), ("missing partner", file)]
    meta = os.path.join(tmp_path, "meta.json")
    for content, rule in (({}, f"`classes` must be a list in {meta!r}, got classes=None. "),
                          ({"classes": [{}]}, f"`title` must be a text in {meta!r}, got title=None. ")):
        tool_files.save_json(tmp_path, "meta.json", content)
        with pytest.raises(ValueError) as failure:
            sources.source("supervisely", data_dir=str(tmp_path))
        assert str(failure.value).startswith(rule)
    os.remove(meta)
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("supervisely", data_dir=str(tmp_path))
    assert str(failure.value) == (f"`data_dir` must hold the meta.json of 'supervisely', got data_dir='{tmp_path}'. "
                                  "There is ds1/.")
