"""Label Studio's JSON, against label maps that are known pixel by pixel."""

import math
import os

import numpy as np
import pytest

import kseg
from kseg.data import sources
from tests.data.sources import tool_files

expected, result_of, task_of = tool_files.expected, tool_files.result_of, tool_files.task_of
WIDTH, HEIGHT = tool_files.WIDTH, tool_files.HEIGHT


def percent(points):
    return [[x / WIDTH * 100, y / HEIGHT * 100] for x, y in points]


def polygon(label, *box, number=0, **more):
    return result_of({"points": percent(tool_files.polygon_of(*box)), "closed": True, "polygonlabels": [label]}, number,
                     **more)


def rectangle(label, left, top, right, bottom, rotation=0):
    (x, y), (wide, high) = percent([[left, top], [right - left, bottom - top]])
    return result_of({"x": x, "y": y, "width": wide, "height": high, "rotation": rotation, "rectanglelabels": [label]})


def brush(label, mask):
    return result_of({"format": "rle", "rle": tool_files.brush_runs(tool_files.brush_bytes(mask)),
                      "brushlabels": [label]})


def export(root, *results, name="a.png", **annotation):
    """Write one image and a task with results; return the path of the file."""
    tool_files.save_image(root, f"images/{name}")
    return tool_files.save_json(root, "project.json", [task_of(f"/data/upload/1/{name}", results, **annotation)])


def labels(root, **options):
    return sources.source("label_studio", data_dir=str(root), **options).read(0)[1]


def test_regions_of_every_kind(tmp_path):
    mask = tool_files.inside([[20.3, 1.1], [28.9, 5.2], [24.4, 9.8]])
    centre, radii = percent([[22, 14], [6, 3]])
    export(tmp_path, polygon("person", 2, 3, 12, 10), rectangle("car", 5, 5, 20, 15), brush("stain", mask),
           result_of({"x": centre[0], "y": centre[1], "radiusX": radii[0], "radiusY": radii[1], "rotation": 30,
                      "ellipselabels": ["car"]}), polygon("void", 0, 18, 30, 20), polygon("background", 0, 19, 3, 20))
    wanted = expected((2, 2, 3, 12, 10), (1, 5, 5, 20, 15))
    wanted[mask] = 3
    angle = math.radians(30)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            x, y = column + 0.5 - 22, row + 0.5 - 14
            along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
            if (along / 6) ** 2 + (across / 3) ** 2 <= 1:
                wanted[row, column] = 1
    wanted[18:], wanted[19:, :3] = 255, 0
    assert kseg.data.label_set("label_studio", data_dir=str(tmp_path)).names == ("background", "car", "person", "stain")
    np.testing.assert_array_equal(labels(tmp_path), wanted)


def test_a_rectangle_turns_about_its_upper_left_corner(tmp_path):
    export(tmp_path, rectangle("car", 15, 5, 25, 9, 90))
    np.testing.assert_array_equal(labels(tmp_path), expected((1, 11, 5, 15, 15)))


def test_classes_may_be_given(tmp_path):
    path = export(tmp_path, polygon("person", 2, 3, 12, 10))
    np.testing.assert_array_equal(labels(tmp_path, classes=["background", "car", "person"]),
                                  expected((2, 2, 3, 12, 10)))
    with pytest.raises(ValueError) as failure:
        labels(tmp_path, classes=["background", "persons"])
    image = os.path.join(tmp_path, "images", "a.png")
    assert str(failure.value) == (f"`label` must be one of ('background', 'persons') in {path!r}, result number 0 of "
                                  f"{image!r}, got label='person'. Did you mean 'persons'?")


def test_the_ground_truth_counts_or_else_the_first_annotation_that_nobody_cancelled(tmp_path):
    boxes = [(2, 3, 12, 10), (1, 1, 5, 5), (7, 7, 9, 9), (0, 0, 30, 20)]
    tasks = []
    for number, (truth, cancelled) in enumerate([(None, (0,)), (2, ()), (None, ()), (None, (0, 1, 2, 3)), (1, (1,))]):
        task = task_of(f"{number}.png", [])
        task["annotations"] = [{"result": [polygon("car", *box)], "was_cancelled": place in cancelled,
                                "ground_truth": place == truth} for place, box in enumerate(boxes)]
        tasks.append(task)
        tool_files.save_image(tmp_path, f"{number}.png")
    for name, annotations in (("5.png", []), ("6.png", [{"result": []}])):
        tasks.append({**task_of(name, []), "annotations": annotations})
        tool_files.save_image(tmp_path, name)
    tool_files.save_json(tmp_path, "tasks.json", tasks)
    source = sources.source("label_studio", data_dir=str(tmp_path))
    assert [os.path.basename(source.describe(index)) for index in range(len(source))] == [
        "0.png", "1.png", "2.png", "4.png", "6.png"]
    for index, place in enumerate([1, 2, 0, 0]):
        np.testing.assert_array_equal(source.read(index)[1], expected((1, *boxes[place])))
    assert not source.read(4)[1].any()


def test_labels_may_come_apart_from_their_outline(tmp_path):
    apart = polygon("car", 2, 3, 12, 10)
    outline = {**apart, "type": "polygon", "value": {key: apart["value"][key] for key in ("points", "closed")}}
    label = {**apart, "type": "labels", "value": {**outline["value"], "labels": ["car"]}}
    alone = {**outline, "id": "another"}
    export(tmp_path, outline, label, alone,
           {"id": "c", "type": "choices", "value": {"choices": ["sharp"]}}, {"type": "relation", "from_id": "r0"},
           result_of({"x": 3, "y": 3, "width": 0.5, "keypointlabels": ["car"]}, 7))
    np.testing.assert_array_equal(labels(tmp_path), expected((1, 2, 3, 12, 10)))
    report = kseg.data.check("label_studio", data_dir=str(tmp_path))
    assert report.ok and [row["message"].partition(": ")[2] for row in report.warnings
                          if row["kind"] == "figures without area"] == [
        "left out are 1 of kind keypoint, 1 of kind region without a label"]


@pytest.mark.parametrize("stated, path", [
    ("/data/upload/1/ab12cd34-street.png", "upload/1/ab12cd34-street.png"),
    ("/data/upload/1/ab12cd34-street.png", "images/ab12cd34-street.png"),
    ("/data/upload/1/ab12cd34-street.png", "images/street.png"),
    ("/data/local-files/?d=photos/day%201/street.png", "photos/day 1/street.png"),
    ("/data/local-files/?d=photos/street.png", "street.png"),
    ("s3://bucket/photos/street.png", "photos/street.png"),
    ("https://example.com/photos/street.png?size=9", "images/street.png"),
    ("street.png", "street.png")])
def test_images_are_found_by_what_is_left_of_their_address(tmp_path, stated, path):
    tool_files.save_image(tmp_path, path)
    tool_files.save_json(tmp_path, "export.json", [task_of(stated, [polygon("car", 2, 3, 12, 10)])])
    source = sources.source("label_studio", data_dir=str(tmp_path))
    assert os.path.relpath(source.describe(0), tmp_path) == path
    np.testing.assert_array_equal(source.read(0)[1], expected((1, 2, 3, 12, 10)))


def test_the_image_may_have_another_name_among_the_data(tmp_path):
    tool_files.save_image(tmp_path, "a.png")
    task = task_of("a.png", [])
    for data, found in (({"photo": "a.png", "text": "of a street"}, True), ({"one": "a.png", "two": "b.png"}, False),
                        ({"text": "of a street"}, False), ({}, False), ({"image": ["a.png"]}, False),
                        ({"image": ""}, False)):
        path = tool_files.save_json(tmp_path, "export.json", [{**task, "data": data}])
        if found:
            assert len(sources.source("label_studio", data_dir=str(tmp_path))) == 1
            continue
        with pytest.raises(ValueError) as failure:
            sources.source("label_studio", data_dir=str(tmp_path))
        assert str(failure.value) == (f"`data` must name one image, best as 'image', in {path!r}, task number 0, got "
                                      f"data={data!r}. Keep one image per task, or rename its entry.")


def test_images_outside_are_never_read(tmp_path):
    secret = tool_files.save_image(tmp_path, "secret.png")
    root = tmp_path / "set"
    for stated in ("../secret.png", "/data/local-files/?d=../../secret.png", f"file://{secret}", "%2e%2e/secret.png",
                   "http://[broken/secret.png", "a\0.png", "gs://bucket/secret.png"):
        tool_files.save_json(root, "export.json", [task_of(stated, [])])
        with pytest.raises(ValueError) as failure:
            sources.source("label_studio", data_dir=str(root))
        assert str(failure.value).startswith("`data_dir` must hold every image that ")
        report = kseg.data.check("label_studio", data_dir=str(root))
        assert [row["kind"] for row in report.errors] == ["missing partner", "no pairs"]


def test_splits_have_files_of_their_own(tmp_path):
    for split, label in (("train", "car"), ("val", "person")):
        tool_files.save_image(tmp_path, f"{split}.png")
        tool_files.save_json(tmp_path, f"{split}.json", [task_of(f"{split}.png", [polygon(label, 2, 3, 12, 10)])])
    for options in ({}, {"annotations": "{split}.json"}, {"classes": ["background", "car", "person"]}):
        for split, class_id in (("train", 1), ("validation", 2)):
            source = sources.source("label_studio", split, data_dir=str(tmp_path), **options)
            assert len(source) == 1 and source.label_set.names == ("background", "car", "person")
            np.testing.assert_array_equal(source.read(0)[1], expected((class_id, 2, 3, 12, 10)))
    given = sources.source("label_studio", data_dir=str(tmp_path), annotations="val.json")
    assert given.label_set.names == ("background", "person")
    tool_files.save_text(tmp_path, "test.json", "{")
    assert len(sources.source("label_studio", data_dir=str(tmp_path))) == 1
    with pytest.raises(ValueError, match="must be a JSON file"):
        sources.source("label_studio", "test", data_dir=str(tmp_path))


@pytest.mark.parametrize("result, rule", [
    (result_of({"polygonlabels": ["car"], "points": "x"}), "`points` must be a list in {where}, got points='x'. "),
    (result_of({"polygonlabels": ["car"], "points": [[1, 2], [3, None], [4, 5]]}),
     "`points` must be a number between -1e9 and 1e9 in {where}, got points=None. "),
    (result_of({"polygonlabels": ["car"], "points": [[1, 2], [3, float("nan")], [4, 5]]}),
     "`points` must be a number between -1e9 and 1e9 in {where}, got points=nan. "),
    (result_of({"polygonlabels": ["car"], "points": [[1, 2], [3], [4, 5]]}),
     "`points` must be 3 pairs of x and y in {where}, got "),
    (result_of({"polygonlabels": ["car"], "points": []}), "`polygon` must have "),
    (result_of({"polygonlabels": ["car"], "points": [[1, 2], [3, 3]]}),
     "`polygon` must have at least three corners, in {where}, got "),
    (result_of({"polygonlabels": ["car"], "points": [[101, 2], [130, 3], [130, 4]]}),
     "`polygon` must have a part of the picture, which is 20 pixels high and 30 wide, in {where}, got "),
    (result_of({"rectanglelabels": ["car"], "x": 1, "y": 1, "width": {}, "height": 3}),
     "`width` must be a number between -1e9 and 1e9 in {where}, got width={{}}. "),
    (result_of({"ellipselabels": ["car"], "x": 1, "y": 1, "radiusX": 0, "radiusY": 3}),
     "`radii` must be above 0 in {where}, got radii=(0.0, 0.6). "),
    (result_of({"brushlabels": ["car"], "rle": [1, 2]}), "`rle` must be whole in {where}; it ends in the middle, "),
    (result_of({"brushlabels": ["car"], "rle": tool_files.brush_runs([0] * 64)}),
     "`rle` must have 4 values for each of the picture's 20 × 30 pixels in {where}, got rle=64. "),
    (result_of({"bitmasklabels": ["car"], "imageDataURL": "data:"}), "`kind` must be one of ('brush', 'polygon', "
     "'rectangle', 'ellipse') of a figure in {where}, got kind='bitmask'. "),
    (polygon("car", 2, 3, 12, 10, original_width=60), "`size` must be that of the image, (height, width) = (20, 30), "),
    (polygon("car", 2, 3, 12, 10, original_height=None),
     "`original_height` must be a number between -1e9 and 1e9 in {where}, got original_height=None. "),
    (polygon("car", 2, 3, 12, 10, image_rotation=90), "`result` must have one label, and an image that was not rotated"
     ", in {where}, got result={{'labels': ['car'], 'image_rotation': 90}}. "),
    (result_of({"polygonlabels": ["car", "van"], "points": percent(tool_files.polygon_of(1, 1, 5, 5))}),
     "`result` must have one label, and an image that was not rotated, in {where}, got "),
])
def test_a_broken_region_is_named_and_found(tmp_path, result, rule):
    path = export(tmp_path, result)
    options = {"data_dir": str(tmp_path), "classes": ["background", "car", "van"]}
    image = os.path.join(tmp_path, "images", "a.png")
    with pytest.raises(ValueError) as failure:
        sources.source("label_studio", **options).read(0)
    assert str(failure.value).startswith(rule.format(where=f"{path!r}, result number 0 of {image!r}"))
    report = kseg.data.check("label_studio", **options)
    assert [row["message"] for row in report.errors] == [str(failure.value)]


def test_regions_of_images_of_two_sizes_raise(tmp_path):
    export(tmp_path, polygon("car", 2, 3, 12, 10), polygon("car", 2, 3, 12, 10, original_height=40))
    with pytest.raises(ValueError, match="`size` must be that of the image"):
        labels(tmp_path)


@pytest.mark.parametrize("tasks, rule", [
    ({"id": 1}, "`annotations` must hold a list in {path!r}, got annotations='dict'. "),
    ([3], "`annotations` must be a list in {path!r}, task number 0, got annotations=3. Export the project as 'JSON', "
          "not as 'JSON-MIN'."),
    ([{"id": 1, "image": "a.png", "label": []}], "`annotations` must be a list in {path!r}, task number 0, got "),
    ([{"annotations": {}}], "`annotations` must be a list in {path!r}, task number 0, got annotations={{}}. "),
    ([{"annotations": [3]}], "`annotations` must be a list of objects in {path!r}, task number 0, got annotations="),
    ([{"annotations": [{"result": []}]}], "`data` must be an object in {path!r}, task number 0, got data=None. "),
    ([{"annotations": [{}], "data": {"image": "a.png"}}], "`result` must be a list in {path!r}, task number 0, got "),
    ([{"annotations": [{"result": [[]]}], "data": {"image": "a.png"}}], "`result` must be a list of objects in "),
])
def test_a_file_that_is_no_export_is_named(tmp_path, tasks, rule):
    tool_files.save_image(tmp_path, "a.png")
    path = tool_files.save_json(tmp_path, "tasks.json", tasks)
    with pytest.raises(ValueError) as failure:
        sources.source("label_studio", data_dir=str(tmp_path))
    assert str(failure.value).startswith(rule.format(path=path))


def test_a_broken_task_is_found_among_sound_ones(tmp_path):
    tool_files.save_image(tmp_path, "a.png")
    tool_files.save_json(tmp_path, "tasks.json", [{"id": 1}, task_of("a.png", [polygon("car", 2, 3, 12, 10)])])
    report = kseg.data.check("label_studio", data_dir=str(tmp_path))
    assert [row["kind"] for row in report.errors] == ["unreadable labels"] and report.class_pixels == [530, 70]
