"""LabelMe's JSON, against label maps that are known pixel by pixel."""

import io
import json
import os

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import sources
from tests.conftest import structured_image
from tests.data.sources import tool_files

expected = tool_files.expected


def folder(root, shapes, path="a.json", image="a.png", **more):
    """Write one image and its annotation; return the path of the latter."""
    if image is not None:
        tool_files.save_image(root, os.path.join(os.path.dirname(path), image))
    return tool_files.save_json(root, path, {
        "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image or "a.png", "imageData": None,
        "imageHeight": 20, "imageWidth": 30, **more})


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "group_id": 3, "shape_type": kind, "flags": {}, **more}


def labels(root, index=0, **options):
    return sources.source("labelme", data_dir=str(root), **options).read(index)[1]


def test_polygons_and_rectangles_in_the_order_of_the_file(tmp_path):
    folder(tmp_path, [shape("person", tool_files.polygon_of(2, 3, 12, 10)),
                      shape("car", [[20, 15], [5, 5]], "rectangle"),  # drawn from its lower right corner
                      shape("person", tool_files.polygon_of(-4, 8, 7, 90), None)])
    np.testing.assert_array_equal(labels(tmp_path), expected((2, 2, 3, 12, 10), (1, 5, 5, 20, 15), (2, 0, 8, 7, 20)))
    smaller = labels(tmp_path, overlap="smaller_on_top")
    np.testing.assert_array_equal(smaller, expected((1, 5, 5, 20, 15), (2, 0, 8, 7, 20), (2, 2, 3, 12, 10)))


def test_a_polygon_of_any_corners_has_the_pixels_whose_centres_are_in_it(tmp_path):
    ring = [[3.2, 2.4], [27.6, 4.8], [21.4, 18.2], [12.8, 9.6], [5.2, 16.4]]
    folder(tmp_path, [shape("car", ring)])
    found = labels(tmp_path)
    tool_files.assert_drawn(found == 1, ring)
    assert found.sum() == pytest.approx(tool_files.inside(ring).sum(), abs=4)


def test_circles_masks_and_turned_rectangles(tmp_path):
    mask = tool_files.inside([[1, 0], [9, 4], [5, 7], [0, 6]], 7, 9)
    folder(tmp_path, [shape("disk", [[10.0, 8.0], [13.0, 12.0]], "circle"),
                      shape("stain", [[20, 11], [28, 17]], "mask", mask=tool_files.text_of(tool_files.png(mask)))])
    wanted = np.zeros((20, 30), np.uint8)
    for row in range(20):
        for column in range(30):
            wanted[row, column] = (column + 0.5 - 10) ** 2 + (row + 0.5 - 8) ** 2 <= 25
    wanted[11:18, 20:29][mask] = 2
    np.testing.assert_array_equal(labels(tmp_path), wanted)
    turned = [[4.2, 14], [8.2, 10], [11.2, 13], [7.2, 17]]
    folder(tmp_path, [shape("tile", turned, "oriented_rectangle")])
    tool_files.assert_drawn(labels(tmp_path) == 1, turned)


def test_names_with_a_meaning_and_lines_without_area(tmp_path):
    path = folder(tmp_path, [shape("car", tool_files.polygon_of(2, 3, 12, 10)),
                             shape("_background_", tool_files.polygon_of(4, 4, 6, 6)),
                             shape("__ignore__", tool_files.polygon_of(8, 4, 10, 6)),
                             shape("car", [[1, 1], [9, 9]], "line"),
                             shape("car", [[1, 1], [9, 9], [4, 5]], "linestrip"),
                             shape("crack", [[1, 1]], "point")])
    np.testing.assert_array_equal(labels(tmp_path), expected((1, 2, 3, 12, 10), (0, 4, 4, 6, 6), (255, 8, 4, 10, 6)))
    report = kseg.data.check("labelme", data_dir=str(tmp_path))
    image = path.replace(".json", ".png")
    assert report.ok and [row["message"] for row in report.warnings if row["kind"] == "figures without area"] == [
        f"{image}: left out are 1 of kind line, 1 of kind linestrip, 1 of kind point"]


def test_classes_are_the_labels_of_all_splits_or_listed_or_given(tmp_path):
    for split, label in (("train", "tree"), ("val", "car"), ("test", "person")):
        folder(tmp_path, [shape(label, tool_files.polygon_of(2, 3, 12, 10))], f"{split}/deep/a.json")
    names = ("background", "car", "person", "tree")
    assert kseg.data.label_set("labelme", data_dir=str(tmp_path)).names == names
    for split, class_id in (("train", 3), ("validation", 1), ("test", 2)):
        source = sources.source("labelme", split, data_dir=str(tmp_path))
        assert len(source) == 1 and source.label_set.names == names
        np.testing.assert_array_equal(source.read(0)[1], expected((class_id, 2, 3, 12, 10)))
    chosen = sources.source("labelme", "validation", data_dir=str(tmp_path), classes=["background", "person", "car"])
    assert chosen.read(0)[1].max() == 2
    tool_files.save_text(tmp_path, "labels.txt", "__ignore__\n_background_\ntree\nperson\ncar\n")
    listed = sources.source("labelme", "validation", data_dir=str(tmp_path))
    assert listed.label_set.names == ("background", "tree", "person", "car") and listed.read(0)[1].max() == 3
    tool_files.save_text(tmp_path, "classes.txt", "car 1 2 3\ntree 4 5 6\n")
    listed = sources.source("labelme", "test", data_dir=str(tmp_path))
    np.testing.assert_array_equal(listed.label_set.palette, [(0, 0, 0), (1, 2, 3), (4, 5, 6)])
    with pytest.raises(ValueError) as failure:
        listed.read(0)
    path = os.path.join(tmp_path, "test", "deep", "a.json")
    assert str(failure.value) == (
        f"`label` must be one of ('background', 'car', 'tree') in {path!r}, shape number 0, got label='person'. "
        "Choose one of ('background', 'car', 'tree').")


def test_a_folder_without_splits_is_for_training(tmp_path):
    folder(tmp_path, [])
    assert len(sources.source("labelme", data_dir=str(tmp_path))) == 1
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("labelme", "validation", data_dir=str(tmp_path))
    assert str(failure.value) == (
        f"`data_dir` must hold split 'validation' of 'labelme', got data_dir={str(tmp_path)!r}. Expected JSON files "
        f"below {tmp_path}/validation. There is a.json, a.png.")


def test_images_are_found_beside_in_other_folders_or_in_the_file(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(structured_image(20, 30)[::-1].copy()).save(buffer, "PNG")
    embedded = {"imageData": tool_files.text_of(buffer.getvalue())}
    box = [shape("car", tool_files.polygon_of(2, 3, 12, 10))]
    folder(tmp_path, box, "labels/a.json", None, imagePath="..\\images\\a.png")
    folder(tmp_path, box, "labels/b.json", None, imagePath="C:\\photos\\b.png")
    folder(tmp_path, box, "labels/c.json", None, imagePath="c.png", **embedded)
    tool_files.save_image(tmp_path, "images/a.png")
    tool_files.save_image(tmp_path, "labels/b.png")
    source = sources.source("labelme", data_dir=str(tmp_path))
    assert [os.path.relpath(source.describe(index), tmp_path) for index in range(3)] == [
        "images/a.png", "labels/b.png", "labels/c.json"]
    for index, wanted in enumerate([structured_image(20, 30)] * 2 + [structured_image(20, 30)[::-1]]):
        pixels, found = source.read(index)
        np.testing.assert_array_equal(pixels, wanted)
        np.testing.assert_array_equal(found, expected((1, 2, 3, 12, 10)))
        np.testing.assert_array_equal(source.read_labels(index), found)
    assert source.stored_image(2) == buffer.getvalue()
    assert kseg.data.check("labelme", data_dir=str(tmp_path)).ok
    assert len(sources.source("labelme", data_dir=str(tmp_path / "images"), annotations=str(tmp_path / "labels"))) == 3
    assert len(sources.source("labelme", data_dir=str(tmp_path), annotations="labels")) == 3


@pytest.mark.parametrize("content, rule", [
    ("{", "`annotations` must be a JSON file, got annotations={path!r}. The parser says: "),
    ("[" * 100000, "`annotations` must be a JSON file, got annotations={path!r}. The parser says: "),
    ("[]", "`annotations` must hold an object in {path!r}, got annotations='list'. "),
    ({}, "`imageData` must be a text in {path!r}, got imageData=None. "),
    ({"imagePath": 3, "imageData": None}, "`imageData` must be a text in {path!r}, got imageData=None. "),
    ({"imagePath": "a.png"}, "`shapes` must be a list in {path!r}, got shapes=None. "),
    ({"imagePath": "a.png", "shapes": [3]}, "`shapes` must be a list of objects in {path!r}, got shapes=[3]. "),
    ({"imagePath": "a.png", "shapes": [{}]}, "`label` must be one of ('background', 'car') in {path!r}, shape number "
     "0, got label=None. "),
    ({"imagePath": "a.png", "shapes": [shape("car", [], "cube")]}, "`kind` must be one of ('polygon', 'rectangle', "
     "'oriented_rectangle', 'circle', 'mask') of a figure in {path!r}, shape number 0, got kind='cube'. "),
    ({"imagePath": "a.png", "shapes": [shape("car", [], ["cube"])]}, "`kind` must be one of ('polygon', "),
    ({"imagePath": "a.png", "shapes": [shape("car", [[1, 2], [3, 4]])]}, "`polygon` must have at least three corners, "
     "in {path!r}, shape number 0, got "),
    ({"imagePath": "a.png", "shapes": [shape("car", [[1, 2], [3, float("nan")], [5, 5]])]},
     "`polygon` must have finite coordinates, in {path!r}, shape number 0, got "),
    ({"imagePath": "a.png", "shapes": [shape("car", {"x": 1})]}, "`polygon` must have "),
    ({"imagePath": "a.png", "shapes": [shape("car", [[100, 2], [300, 2], [300, 5]])]},
     "`polygon` must have a part of the picture, which is 20 pixels high and 30 wide, in {path!r}, shape number 0, "),
    ({"imagePath": "a.png", "shapes": [shape("car", [[1, 2, 3], [4, 5]], "rectangle")]},
     "`points` must be 2 pairs of x and y in {path!r}, shape number 0, got "),
    ({"imagePath": "a.png", "shapes": [shape("car", None, "circle")]},
     "`points` must be 2 pairs of x and y in {path!r}, shape number 0, got points=None. "),
    ({"imagePath": "a.png", "shapes": [shape("car", [[1, 2], [float("inf"), 5]], "circle")]},
     "`points` must be a number between -1e9 and 1e9 in {path!r}, shape number 0, got points=inf. "),
    ({"imagePath": "a.png", "shapes": [shape("car", [[0, 0], [1e8, 1e8]], "mask", mask=tool_files.text_of(
        tool_files.png(np.ones((4, 4), bool))))]},
     "`mask` must have the size of the box of its points, (100000001, 100000001), in {path!r}, shape number 0, got "),
    ({"imagePath": "a.png", "shapes": [shape("car", [[0, 0], [1, 1]], "mask")]}, "`mask` must be a PNG of at most the "
     "picture's 20 × 30 pixels in {path!r}, shape number 0, got mask=None. "),
    ({"imagePath": "a.png", "shapes": [], "imageHeight": 200000, "imageWidth": 200000},
     "`size` must be that of the image, (height, width) = (20, 30), in {path!r} of "),
    ({"imagePath": "a.png", "shapes": [], "imageHeight": [7], "imageWidth": "x"}, "`size` must be that of the image"),
])
def test_a_broken_file_is_named_and_found(tmp_path, content, rule):
    path = tool_files.save_text(tmp_path, "a.json", content if isinstance(content, str) else json.dumps(content))
    tool_files.save_image(tmp_path, "a.png")
    folder(tmp_path, [], "b.json", "b.png")
    options = {"data_dir": str(tmp_path), "classes": ["background", "car"]}
    with pytest.raises(ValueError) as failure:
        sources.source("labelme", **options).read(0)
    assert str(failure.value).startswith(rule.replace("{path!r}", repr(path)))
    report = kseg.data.check("labelme", **options)
    assert report.errors and {row["path"] for row in report.errors} == {path} and sum(report.class_images) == 1
    assert str(failure.value) in {row["message"] for row in report.errors}


def test_an_image_is_never_read_from_outside_the_folders(tmp_path):
    secret = tool_files.save_image(tmp_path, "secret.png")
    root = tmp_path / "set"
    for name in ("../secret.png", "../../secret.png", secret, "deep/../../secret.png", "a\0.png", "x" * 5000):
        path = folder(root, [], "a.json", None, imagePath=name)
        with pytest.raises(ValueError) as failure:
            sources.source("labelme", data_dir=str(root))
        assert str(failure.value).startswith(f"`data_dir` must hold every image that {path!r} names; {name!r} is not ")
        report = kseg.data.check("labelme", data_dir=str(root))
        assert [row["kind"] for row in report.errors] == ["missing partner", "no pairs"]


@pytest.mark.parametrize("data, rule", [
    ("!", "`imageData` must be an image as base64 text in {path!r}, got imageData='!'. "),
    (tool_files.text_of(b"no image"), "`image` must be a complete image file, got image={path!r}. "),
])
def test_a_broken_embedded_image_is_named(tmp_path, data, rule):
    path = folder(tmp_path, [], image=None, imageData=data)
    for read in (lambda source: source.read(0), lambda source: source.read_labels(0)):
        with pytest.raises(ValueError) as failure:
            read(sources.source("labelme", data_dir=str(tmp_path)))
        assert str(failure.value).startswith(rule.replace("{path!r}", repr(path)))
    assert not kseg.data.check("labelme", data_dir=str(tmp_path)).ok
