"""COCO's instances: classes, what is drawn, where files are found, and files that are broken."""

import json
import os

import numpy as np
import pytest
from pycocotools.coco import COCO

import kseg
from kseg.data import sources
from tests.data.sources import annotations as written


def square(left, top, right, bottom):
    return [left, top, right, top, right, bottom, left, bottom]


def change(path, edit):
    """Edit the JSON at `path`."""
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    edit(content)
    written.dump(path, content)


@pytest.mark.parametrize("segmentation", [written.run_lengths, written.rectangles])
def test_label_maps_written_as_coco_are_read_back(tmp_path, segmentation):
    maps = written.label_maps()
    written.write_coco(str(tmp_path), maps, segmentation=segmentation)
    source = sources.source("coco", data_dir=str(tmp_path))
    assert source.label_set.names == written.NAMES and len(source) == 3
    for index, ids in enumerate(maps):
        np.testing.assert_array_equal(source.read(index)[1], ids)
        assert source.describe(index) == str(tmp_path / "train2017" / f"{index}.png")


def overlapping():
    """Return objects of every kind of segmentation, overlapping, and the image they are on, 40×50."""
    from pycocotools import mask as coco_mask

    ring = np.hypot(*(np.indices((40, 50)) - 20)) // 6 == 2  # a ring has a hole
    compressed = coco_mask.encode(np.asfortranarray(ring.astype(np.uint8)))
    crowd = np.indices((40, 50))[1] > 30
    kinds = [(1, 0, [[3.3, 2.2, 30.1, 4.4, 18.7, 33.3]]), (18, 0, [square(5, 5, 12, 9), [20, 20, 45.5, 21, 33, 38]]),
             (90, 1, written.run_lengths(crowd)), (18, 0, {**compressed, "counts": compressed["counts"].decode()}),
             (1, 0, [[-20, -20, 25, 10, 60, 70, 10, 44]])]
    rows = [{"id": 10 + place, "image_id": 100, "category_id": category, "iscrowd": crowd, "segmentation": segmentation}
            for place, (category, crowd, segmentation) in enumerate(kinds)]
    return {**written.coco([np.zeros((40, 50), np.uint8)]), "annotations": rows}


def test_overlapping_objects_are_drawn_as_pycocotools_draws_each(tmp_path, capsys):
    path = written.write_coco(str(tmp_path), [np.zeros((40, 50), np.uint8)])
    written.dump(path, overlapping())
    reference = COCO(path)
    masks = [(row["category_id"], reference.annToMask(row).astype(bool)) for row in reference.loadAnns(range(10, 15))]
    class_of = {category: class_id for class_id, category in written.CATEGORY_IDS.items()}
    for overlap in (None, "smaller_on_top", "listed"):
        expected = np.zeros((40, 50), np.uint8)
        for category, mask in masks if overlap == "listed" else sorted(masks, key=lambda row: -row[1].sum()):
            expected[mask] = class_of[category]
        labels = sources.source("coco", data_dir=str(tmp_path), overlap=overlap).read(0)[1]
        np.testing.assert_array_equal(labels, expected)
        assert set(np.unique(labels)) == {0, 1, 2, 3}


def test_chosen_classes_have_their_order_and_the_rest_is_background(tmp_path):
    maps = written.label_maps()
    written.write_coco(str(tmp_path), maps)
    source = sources.source("coco", data_dir=str(tmp_path), classes=["nothing", "toothbrush", "person"])
    assert source.label_set.names == ("nothing", "toothbrush", "person")
    np.testing.assert_array_equal(source.read_labels(1), np.array([0, 2, 0, 1])[maps[1]])
    with pytest.raises(ValueError) as failure:
        sources.source("coco", data_dir=str(tmp_path), classes=["background", "persn"])
    path = str(tmp_path / "annotations" / "instances_train2017.json")
    assert str(failure.value) == (f"`classes` must be one of ('dog', 'person', 'toothbrush'), categories of {path!r}, "
                                  "got classes='persn'. Did you mean 'person'?")
    with pytest.raises(TypeError, match="^`classes` must be the names of the classes, or a LabelSet, got classes=4."):
        sources.source("coco", data_dir=str(tmp_path), classes=4)
    with pytest.raises(ValueError, match="^`classes` must begin with the background"):
        sources.source("coco", data_dir=str(tmp_path), classes=["person", "dog"])


def test_a_category_called_background_is_class_0_and_equal_names_are_told_apart(tmp_path):
    categories = [{"id": 1, "name": "person"}, {"id": 18, "name": "Background"}, {"id": 90, "name": "person"}]
    maps = written.label_maps()
    written.write_coco(str(tmp_path), maps, categories=categories)
    source = sources.source("coco", data_dir=str(tmp_path))
    assert source.label_set.names == ("background", "person 1", "person 90")
    np.testing.assert_array_equal(source.read_labels(0), np.array([0, 1, 0, 2])[maps[0]])


def test_colours_of_the_categories_are_the_palette(tmp_path):
    categories = [{**row, "color": [row["id"], 2, 3]} for row in written.CATEGORIES]
    written.write_coco(str(tmp_path), categories=categories)
    assert kseg.data.label_set("coco", str(tmp_path)).palette.tolist() == [[0, 0, 0], [1, 2, 3], [18, 2, 3], [90, 2, 3]]


# Where a tool puts the JSON, its images, and what it calls them.
LAYOUTS = {
    "COCO": ("annotations/instances_train2017.json", "train2017", "{}.png"),
    "COCO in images": ("annotations/instances_train2014.json", "images/train2014", "{}.png"),
    "Roboflow": ("train/_annotations.coco.json", "train", "{}.png"),
    "Roboflow, one folder": ("_annotations.coco.json", ".", "{}.png"),
    "CVAT": ("annotations/instances_default.json", "images", "{}.png"),
    "CVAT with subsets": ("annotations/instances_train.json", "images/train", "{}.png"),
    "CVAT with folders": ("annotations/instances_default.json", "images/default/street", "street/{}.png"),
    "Label Studio": ("result.json", "images", "images/{}.png"),
    "Label Studio, Windows": ("result.json", "images", "images\\{}.png"),
    "names with the path they had": ("result.json", "images", "/data/upload/1/{}.png"),
    "file per split": ("train.json", "images", "{}.png"),
}


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_layouts_of_tools_are_found(tmp_path, name):
    file, folder, file_name = LAYOUTS[name]
    maps = written.label_maps()
    written.write_images(str(tmp_path / folder), maps)
    written.dump(str(tmp_path / file), written.coco(maps, file_name=file_name))
    source = sources.source("coco", data_dir=str(tmp_path))
    assert [os.path.normpath(image) for image, _ in source.pairs] == [
        os.path.normpath(tmp_path / folder / f"{index}.png") for index in range(3)]
    np.testing.assert_array_equal(source.read(2)[1], maps[2])


def test_roboflow_valid_is_the_validation_split(tmp_path):
    maps = written.label_maps()
    written.write_images(str(tmp_path / "valid"), maps)
    written.dump(str(tmp_path / "valid" / "_annotations.coco.json"), written.coco(maps))
    assert len(sources.source("coco", "validation", data_dir=str(tmp_path))) == 3


@pytest.mark.parametrize("annotations", ["exports/{split}.json", "exports", "{root}/exports/{split}.json"])
def test_annotations_say_which_file_is_meant(tmp_path, annotations):
    maps = written.label_maps()
    written.write_images(str(tmp_path / "photos" / "images"), maps)
    folder = tmp_path if annotations[0] == "{" else tmp_path / "photos"
    for place, split in enumerate(("train", "val")):
        written.dump(str(folder / "exports" / f"{split}.json"), written.coco(maps[place:], file_name="{}.png"))
    for split, count in (("train", 3), ("validation", 2)):
        source = sources.source("coco", split, data_dir=str(tmp_path / "photos"),
                                annotations=annotations.replace("{root}", str(tmp_path)))
        assert len(source) == count


def test_what_is_there_and_what_would_fit_is_said(tmp_path):
    folder = str(tmp_path)
    written.dump(str(tmp_path / "labels" / "mine.json"), {})
    written.write_images(str(tmp_path / "photos"), written.label_maps(1))
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("coco", "validation", data_dir=folder)
    assert str(failure.value) == (
        f"`data_dir` must hold split 'validation' of 'coco', got data_dir={folder!r}. Expected one of "
        "['annotations/instances_validation*.json', 'validation/_annotations.coco.json', "
        "'annotations/validation.json', 'validation.json', 'instances_validation*.json'], or pass annotations. "
        "There is labels/mine.json, labels/, photos/.")
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("coco", data_dir=folder, annotations="mine.json")
    assert str(failure.value) == (
        f"`annotations` must be the path of a file or folder, from data_dir {folder!r} or as it is, got "
        "annotations='mine.json'. There is labels/mine.json, labels/, photos/.")
    with pytest.raises(FileNotFoundError, match="^`data_dir` must be the path of a folder, got data_dir=None. Pass"):
        sources.source("coco")


def test_an_export_without_splits_is_not_taken_for_validation(tmp_path):
    written.dump(str(tmp_path / "result.json"), written.coco([]))
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("coco", "validation", data_dir=str(tmp_path))
    assert str(failure.value) == (
        f"`split` must be 'train' for 'result.json' in {str(tmp_path)!r}, which holds one list of images, got "
        "split='validation'. Export or divide the splits into files of their own and pass for example "
        "annotations='{split}.json'.")


def test_two_files_that_fit_raise(tmp_path):
    files = [str(tmp_path / "annotations" / f"instances_train{year}.json") for year in (2014, 2017)]
    for path in files:
        written.dump(path, written.coco([]))
    with pytest.raises(ValueError) as failure:
        sources.source("coco", data_dir=str(tmp_path))
    assert str(failure.value) == ("`annotations` must say which file is meant where several fit split 'train', got "
                                  f"annotations=None. Pass one of {files}.")


def only(part, **fields):
    """Return an edit of the first record of a part of the file; a value None takes the key away."""
    def edit(content):
        for key, value in fields.items():
            content[part][0].update({key: value})
            if value is None:
                del content[part][0][key]
    return edit


def twice(part):
    return lambda content: content[part].append(content[part][0])


# Edits of the file that no image can be read after, and what is said; {path} is that of the JSON.
BROKEN_FILES = {
    "no images": (lambda content: content.pop("images"), "`annotations` must be COCO's: an object with the lists of "
                  "objects 'images', 'annotations' and 'categories'; {path!r} has no such 'images', got "
                  "annotations=['annotations', 'categories']. Export the labels again, or pass annotations=, the path"),
    "images no list": (lambda content: content.update(images={"a": 1}), "{path!r} has no such 'images'"),
    "annotations no objects": (lambda content: content.update(annotations=[1]), "{path!r} has no such 'annotations'"),
    "image without id": (only("images", id=None), "`id` must be a whole number or a text in {path!r}, image number 0, "
                         "got id=None. Correct the file or export it again."),
    "image without name": (only("images", file_name=None), "`file_name` must be a text in {path!r}, image 100, got"),
    "image of a list": (only("images", file_name=["a"]), "`file_name` must be a text in {path!r}, image 100, got"),
    "image twice": (twice("images"), "`id` must belong to one image alone in {path!r}, got id=100. Correct"),
    "category without id": (only("categories", id=None), "`id` must be a whole number in {path!r}, category number 0"),
    "category without name": (only("categories", name=None), "`name` must be a text in {path!r}, category 18, got"),
    "category twice": (twice("categories"), "`id` must belong to one category alone in {path!r}, got id=18."),
    "too many categories": (lambda content: content.update(categories=[{"id": index, "name": str(index)}
                                                                       for index in range(300)]),
                            "`classes` must choose at most 254 of the 300 categories of {path!r}, got classes=None. "),
    "annotation of no image": (only("annotations", image_id=7), "`image_id` must be the id of an image of the file in "
                               "{path!r}, annotation 1, got image_id=7. Add the image to the file, or remove its"),
    "annotation of a list": (only("annotations", image_id=[7]), "{path!r}, annotation 1, got image_id=[7]."),
    "image missing on disk": (only("images", file_name="x.png"), "`data_dir` must hold every image that {path!r} "
                              "names; 'x.png' is not in the folders looked in, "),
    "image outside": (only("images", file_name="../../../etc/passwd"), "'../../../etc/passwd' is not in the folders"),
    "same image twice": (only("images", file_name="1.png"), "'1.png' and '1.png' are both "),
    "panoptic": (lambda content: content["annotations"][0].update(segments_info=[]) or
                 content["annotations"][0].pop("segmentation"), "This is a panoptic file: read it as 'coco_panoptic'."),
}


@pytest.mark.parametrize("name", sorted(BROKEN_FILES))
def test_broken_files_raise_a_sentence_that_names_the_file(tmp_path, name):
    edit, said = BROKEN_FILES[name]
    path = written.write_coco(str(tmp_path))
    change(path, edit)
    with pytest.raises(ValueError) as failure:
        sources.source("coco", data_dir=str(tmp_path))
    assert said.format(path=path) in str(failure.value) and path in str(failure.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"3", b"\xff\xfe{", b"[" * 200000, b'{"images": NaN}',
                                     b"null"])
def test_what_is_no_coco_json_raises(tmp_path, content):
    path = written.write_coco(str(tmp_path))
    with open(path, "wb") as file:
        file.write(content)
    with pytest.raises(ValueError, match="^`annotations` must be (a JSON file|COCO's)") as failure:
        sources.source("coco", data_dir=str(tmp_path))
    assert path in str(failure.value)


# Edits of the first annotation or image, after which only its image cannot be read.
BROKEN_OBJECTS = {
    "category that is missing": (only("annotations", category_id=7), "`category_id` must be the id of a category of "
                                 "the file in {where}, got category_id=7. Add it, or correct the id: there are [1,"),
    "no category": (only("annotations", category_id=None), "{where}, got category_id=None."),
    "category of a list": (only("annotations", category_id=[1]), "{where}, got category_id=[1]."),
    "polygon outside": (only("annotations", segmentation=[square(40, 2, 50, 9)]), "`polygon` must have a part of the "
                        "picture, which is 20 pixels high and 30 wide, in {where}, got polygon=[[40.0, 2.0], "),
    "two corners": (only("annotations", segmentation=[[1, 2, 3, 4]]), "`polygon` must have at least three corners, in "
                    "{where}, got polygon=[[1.0, 2.0], [3.0, 4.0]]."),
    "odd coordinates": (only("annotations", segmentation=[[1, 2, 3, 4, 5, 6, 7]]), "must have an even number of"),
    "NaN": (only("annotations", segmentation=[[1, 2, float("nan"), 4, 5, 6]]), "must have finite coordinates, in"),
    "infinity": (only("annotations", segmentation=[[1, 2, float("inf"), 4, 5, 6]]), "must have finite coordinates"),
    "text for numbers": (only("annotations", segmentation=[["a", "b", 3, 4, 5, 6]]), "must have numbers alone, x and"),
    "RLE of the wrong length": (only("annotations", segmentation={"counts": [3, 4], "size": [20, 30]}),
                                "`counts` must be run lengths that add up to 20 × 30 = 600 pixels, in {where}, got "
                                "counts=7. Export the mask again, or remove the annotation."),
    "compressed RLE cut off": (only("annotations", segmentation={"counts": "0P", "size": [20, 30]}),
                               "`counts` must be a whole string of compressed run lengths, in {where}, got counts='"),
    "RLE of 10 GB": (only("annotations", segmentation={"counts": [10 ** 10], "size": [100000, 100000]}),
                     "`size` must be that of the image, (height, width) = (20, 30), in {where}, got size=[100000, "),
    "RLE that says it has 10 GB": (only("annotations", segmentation={"counts": [10 ** 10], "size": [20, 30]}),
                                   "`counts` must be run lengths that add up to 20 × 30 = 600 pixels, in {where}, got"),
    "RLE without size": (only("annotations", segmentation={"counts": [600]}), "`segmentation` must be polygons, or run "
                         "lengths with 'counts' and 'size', in {where}, got segmentation={{'counts': [600]}}. Export"),
    "box alone": (only("annotations", segmentation=[]), "`segmentation` must be polygons, or run lengths with 'counts' "
                  "and 'size', in {where}, got segmentation=[]. Export outlines or masks: boxes alone do not say"),
    "no segmentation": (only("annotations", segmentation=None), "{where}, got segmentation=None."),
    "segmentation of text": (only("annotations", segmentation="a"), "{where}, got segmentation='a'."),
    "size of another image": (only("images", height=999), "`size` must be that of the image, (height, width) = (20, "
                              "30), in {path!r}, image '0.png', got size=(999, 30). Pair it with the image"),
    "size of 10 GB": (only("images", height=100000, width=100000), "got size=(100000, 100000)."),
    "size of text": (only("images", height="20"), "got size=('20', 30)."),
}


@pytest.mark.parametrize("name", sorted(BROKEN_OBJECTS))
def test_a_broken_object_raises_is_skipped_and_is_found(tmp_path, name, caplog):
    from kseg.data import reader

    edit, said = BROKEN_OBJECTS[name]
    path = written.write_coco(str(tmp_path))
    change(path, edit)
    source = sources.source("coco", data_dir=str(tmp_path))
    said = said.format(path=path, where=f"{path!r}, annotation 1 of '0.png'")
    for read in (source.read, source.read_labels):
        with pytest.raises(ValueError) as failure:
            read(0)
        assert said in str(failure.value) and path in str(failure.value)
    lenient = reader.Reader(source, cache=False, on_error="skip")
    assert [bool(lenient.read(index)[2]) for index in range(3)] == [False, True, True]
    report = kseg.data.check("coco", data_dir=str(tmp_path), other_splits=False)
    assert [finding["kind"] for finding in report.errors] == ["unreadable labels"]
    assert said in report.errors[0]["message"]


def test_check_reports_what_otherwise_raises(tmp_path):
    path = written.write_coco(str(tmp_path))

    def edit(content):
        content["images"][0]["file_name"] = "missing.png"
        content["annotations"].append({"id": 99, "image_id": 5, "category_id": 1, "segmentation": [square(1, 1, 5, 5)]})

    change(path, edit)
    report = kseg.data.check("coco", data_dir=str(tmp_path), other_splits=False)
    assert report.pairs == 2
    assert [(finding["kind"], os.path.basename(finding["path"])) for finding in report.errors] == [
        ("missing partner", "instances_train2017.json"), ("missing partner", "missing.png")]


def test_an_image_without_annotations_is_background(tmp_path):
    path = written.write_coco(str(tmp_path))
    change(path, lambda content: content.update(annotations=[]))
    assert not sources.source("coco", data_dir=str(tmp_path)).read(1)[1].any()


def test_a_turned_image_is_named_with_its_size(tmp_path):
    """The labels of a tool that turned the image by its EXIF orientation do not fit what kseg reads."""
    path = written.write_coco(str(tmp_path))
    change(path, only("images", height=30, width=20))
    with pytest.raises(ValueError, match=r"\(height, width\) = \(20, 30\).*got size=\(30, 20\).*EXIF orientation"):
        sources.source("coco", data_dir=str(tmp_path)).read(0)


def test_a_png_that_says_it_is_huge_raises_for_the_labels_alone_too(tmp_path):
    from tests.data.test_bad_files import bomb

    written.write_coco(str(tmp_path))
    bomb(str(tmp_path / "train2017" / "1.png"))
    source = sources.source("coco", data_dir=str(tmp_path))
    for read in (source.read, source.read_labels):
        with pytest.raises(ValueError, match="decompression bomb"):
            read(1)


def test_options_that_mean_nothing_raise(tmp_path):
    path = written.write_coco(str(tmp_path))
    with pytest.raises(ValueError) as failure:
        sources.source("coco", data_dir=str(tmp_path), label_map={1: 0})
    assert str(failure.value) == ("`label_map` must be None for 'coco', whose files and classes are known, got "
                                  "label_map={1: 0}. Leave it out, or read the files as 'folder'.")
    for name, option in (("folder", {"annotations": path}), ("yolo", {"annotations": path}),
                         ("shapes", {"overlap": "listed"}), ("coco_panoptic", {"overlap": "listed"})):
        argument, = option
        with pytest.raises(ValueError, match=f"^`{argument}` must be None for '{name}', "):
            sources.source(name, data_dir=str(tmp_path), **option)
    with pytest.raises(ValueError, match="^`overlap` must be one of .'smaller_on_top', 'listed'., got overlap='big'"):
        sources.source("coco", data_dir=str(tmp_path), overlap="big")


def test_options_reach_the_source_from_load_weights_and_label_set(tmp_path):
    maps = written.label_maps()
    path = written.write_coco(str(tmp_path), maps)
    os.rename(path, tmp_path / "mine.json")
    options = {"data_dir": str(tmp_path), "annotations": "mine.json", "overlap": "listed",
               "classes": ["background", "dog"]}
    labels = next(iter(kseg.data.load("coco", "train", batch_size=3, shuffle=False, **options)))[1]
    np.testing.assert_array_equal(labels, np.stack(maps) == 2)
    assert kseg.data.label_set("coco", **options).names == ("background", "dog")
    np.testing.assert_array_equal(kseg.data.class_weights("coco", **options),
                                  kseg.data.class_weights((ids == 2 for ids in maps), classes=2))
