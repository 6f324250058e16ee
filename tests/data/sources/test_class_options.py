"""Masks in colours and how users say which class each is: maps, `classes.txt`, published sets by name."""

import json
import logging
import os

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import sources
from kseg.data.sources.cityscapes import CityscapesSource
from kseg.data.sources.named_classes import NAMES, named
from kseg.labels import LabelSet

COLOURS = np.array([[102, 102, 51], [0, 60, 0], [200, 10, 10], [7, 7, 7]], np.uint8)
IDS = np.random.default_rng(0).integers(0, 4, (6, 9))


def save(path, array, **options):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    picture = array if isinstance(array, Image.Image) else Image.fromarray(np.asarray(array, np.uint8))
    picture.save(path, **options)


@pytest.fixture
def folder(tmp_path):
    """One pair of 6×9 whose mask has the four colours; the class of each pixel is `IDS`."""
    save(tmp_path / "train/images/a.png", np.zeros((6, 9, 3)))
    save(tmp_path / "train/labels/a.png", COLOURS[IDS])
    return str(tmp_path)


def labels(folder, **options):
    source = sources.source("folder", data_dir=folder, **options)
    return source.read(0)[1], source.label_set


def test_two_colours_are_one_class_and_any_other_is_void(folder):
    found, label_set = labels(folder, label_map={(102, 102, 51): 2, (0, 60, 0): 2, (200, 10, 10): 0, "other": 255})
    np.testing.assert_array_equal(found, np.array([2, 2, 0, 255])[IDS])
    assert len(label_set) == 3
    assert label_set.palette.tolist() == [[200, 10, 10], [128, 0, 0], [102, 102, 51]]  # class 1 has no colour: VOC's


def test_other_may_be_a_class_and_without_it_a_colour_not_named_is_an_error(folder):
    found, _ = labels(folder, label_map={(0, 60, 0): 1, "other": 0})
    np.testing.assert_array_equal(found, np.array([0, 1, 0, 0])[IDS])
    with pytest.raises(ValueError, match="must use the named colours only; .*a.png' has 3 others"):
        labels(folder, label_map={(0, 60, 0): 1})


def test_keys_of_a_label_map_may_be_text_as_json_has_them(folder):
    written = json.loads('{"102,102,51": 2, "(0, 60, 0)": 2, "[200 10 10]": 0, "#070707": 1}')
    np.testing.assert_array_equal(labels(folder, label_map=written)[0], np.array([2, 2, 0, 1])[IDS])


@pytest.mark.parametrize("label_map", [{(1, 2): 0}, {"red": 1}, {"1,2": 0}, {1.5: 0}, {(0, 60, 0): "tree"}, [1, 2],
                                       {(0, 60, 0.5): 1}, {True: 1}])
def test_other_keys_and_values_are_refused_by_the_sentence(folder, label_map):
    with pytest.raises(TypeError) as failure:
        labels(folder, label_map=label_map)
    assert str(failure.value) == (
        '`label_map` must be a dict from stored values, colours (red, green, blue) or "other" to class ids, got '
        f'label_map={label_map!r}. Write for example {{0: 0, 255: 1}}, or {{(102, 102, 51): 1, "other": 255}}, in JSON '
        '{"102,102,51": 1}.')


@pytest.mark.parametrize("options, said", [
    ({"label_map": {(0, 60, 256): 1}}, "`label_map` must map values and colours of 0..255, got label_map={(0, 60, 25"),
    ({"label_map": {(0, 60, 0): 5}, "classes": 2}, "`label_map` must map values 0..255 to class ids 0..1 or 255, got "),
    ({"label_map": {(0, 60, 0): 255}}, "`label_map` must lead to at least one class where `classes` is None, got "),
    ({"label_map": {0: 0, 1: 1}, "nearest_colour": 9}, "`nearest_colour` must be None where no colours are known, "),
    ({"nearest_colour": 9}, "`nearest_colour` must be None where no colours are known, got nearest_colour=9"),
    ({"classes": "isprs", "nearest_colour": -1}, "`nearest_colour` must be a number between 0 and 442, got "),
    ({"classes": "ispr"}, "`classes` must be one of ('camvid', 'cityscapes', 'isprs', 'loveda', 'voc2012'), got "),
])
def test_illegal_options_are_refused_by_the_sentence(folder, options, said):
    with pytest.raises(ValueError) as failure:
        labels(folder, **options)
    assert str(failure.value).startswith(said)


def test_indexed_and_grey_masks_are_read_by_their_colours_where_no_values_are_named(tmp_path):
    picture = Image.fromarray((3 - IDS).astype(np.uint8))  # the indices are in another order than the classes
    picture.putpalette(COLOURS[::-1].tobytes())
    grey = np.array([0, 255, 0, 255], np.uint8)[IDS]
    masks = {"indexed": (picture, {}), "grey": (grey, {}), "black and white": (Image.fromarray(grey > 0), {"bits": 1})}
    for name, (mask, options) in masks.items():
        save(tmp_path / name / "train/images/a.png", np.zeros((6, 9, 3)))
        save(tmp_path / name / "train/labels/a.png", mask, **options)
    by_colour = {tuple(colour): index for index, colour in enumerate(COLOURS.tolist())}
    np.testing.assert_array_equal(labels(str(tmp_path / "indexed"), label_map=by_colour)[0], IDS)
    np.testing.assert_array_equal(labels(str(tmp_path / "indexed"), label_map={**by_colour, 0: 0, 1: 1, 2: 2, 3: 3})[0],
                                  3 - IDS)
    for name in ("grey", "black and white"):
        found = labels(str(tmp_path / name), label_map={(0, 0, 0): 1, (255, 255, 255): 0})[0]
        np.testing.assert_array_equal(found, np.array([1, 0, 1, 0])[IDS])


def test_other_takes_stored_values_too(tmp_path):
    save(tmp_path / "train/images/a.png", np.zeros((6, 9, 3)))
    save(tmp_path / "train/labels/a.png", IDS)
    np.testing.assert_array_equal(labels(str(tmp_path), label_map={2: 0, 3: 1, "other": 255})[0],
                                  np.array([255, 255, 0, 1])[IDS])
    np.testing.assert_array_equal(labels(str(tmp_path), classes=2, label_map={"other": 0})[0],
                                  np.array([0, 1, 0, 0])[IDS])


def test_repeated_names_in_classes_txt_are_colours_of_one_class(folder):
    with open(os.path.join(folder, "classes.txt"), "w", encoding="utf-8-sig") as file:
        file.write("ground 102 102 51\nhouse 200 10 10\n\nground, 0, 60, 0\nwater 7 7 7\n")
    found, label_set = labels(folder)
    assert label_set.names == ("ground", "house", "water")
    assert label_set.palette.tolist() == [[102, 102, 51], [200, 10, 10], [7, 7, 7]]
    np.testing.assert_array_equal(found, np.array([0, 0, 1, 2])[IDS])


@pytest.mark.parametrize("text, line, rule", [
    ("a 1 2 3\nb 1 2 3\n", "b 1 2 3", "must give each colour, of three numbers 0..255, to one class"),
    ("a 1 2 300\n", "a 1 2 300", "must give each colour, of three numbers 0..255, to one class"),
    ("a 1 2 " + "9" * 5000, "a 1 2 " + "9" * 5000, "must give each colour, of three numbers 0..255, to one class"),
    ("a\nb\na\n", "a", "must give a repeated name another colour, `name r g b`"),
])
def test_contradictions_in_classes_txt_raise(folder, text, line, rule):
    path = os.path.join(folder, "classes.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    with pytest.raises(ValueError) as failure:
        labels(folder)
    shown = repr(line) if len(line) < 100 else repr(line)[:197] + "..."
    assert str(failure.value).startswith(f"`classes.txt` {rule}, got classes.txt={shown}. Correct the line in {path}")


@pytest.mark.parametrize("file, name", [("classes.txt", "data_dir"), ("train.txt", "split_lists")])
def test_text_that_is_not_utf_8_is_refused_by_the_sentence(folder, file, name):
    path = os.path.join(folder, file)
    with open(path, "wb") as written:
        written.write("Straße".encode("latin-1"))
    with pytest.raises(ValueError) as failure:
        sources.source("folder", data_dir=folder, split_lists=None if file == "classes.txt" else "{split}.txt")
    assert str(failure.value).startswith(f"`{name}` must lead to a text file in UTF-8, got {name}={path!r}. The deco")


def test_colours_of_a_label_map_stand_for_those_of_the_classes(folder):
    black = LabelSet(("black", "tree"), np.array([[0, 0, 0], [102, 102, 51]]))
    found, label_set = labels(folder, classes=black, label_map={(0, 60, 0): 1, "other": 0})
    np.testing.assert_array_equal(found, np.array([0, 1, 0, 0])[IDS])
    assert label_set == black
    found, _ = labels(folder, classes=LabelSet(("a", "b", "c", "d"), COLOURS), label_map={0: 1, 1: 1, 2: 2, 3: 255})
    np.testing.assert_array_equal(found, np.array([1, 1, 2, 255])[IDS])
    found, _ = labels(folder, classes=LabelSet(("a", "b"), COLOURS[:2]), label_map={"other": 255})
    np.testing.assert_array_equal(found, np.array([0, 1, 255, 255])[IDS])


def test_antialiased_rims_take_the_nearest_colour_and_are_counted(tmp_path, caplog):
    hard = COLOURS[np.kron(IDS % 2, np.ones((8, 8), np.int64))]
    soft = Image.fromarray(hard).resize((40, 27), Image.Resampling.LANCZOS)
    save(tmp_path / "images/a.png", np.zeros((27, 40, 3)))
    save(tmp_path / "masks/a.png", soft)
    options = {"data_dir": str(tmp_path), "label_map": {tuple(COLOURS[0].tolist()): 0, tuple(COLOURS[1].tolist()): 1},
               "nearest_colour": 40}
    distances = np.sqrt(((np.asarray(soft, np.int64)[:, :, None] - COLOURS[:2]) ** 2).sum(-1))
    expected = np.where(distances.min(-1) <= 40, distances.argmin(-1), 255)
    with caplog.at_level(logging.WARNING, "kseg"):
        batches = kseg.data.load("folder", "train", batch_size=1, shuffle=False, **options)
    np.testing.assert_array_equal(next(iter(batches))[1][0], expected)
    near, strange = ((distances.min(-1) > 0) & (expected != 255)).sum(), (expected == 255).sum()
    assert near > 50 and strange > 5
    assert (f"in 1 label files looked at, {100 * near / expected.size:.2f}% of the pixels take the class of the "
            f"nearest named colour, and {100 * strange / expected.size:.2f}% are of none and become 255") in caplog.text
    report = kseg.data.check("folder", "train", other_splits=False, **options)
    path = str(tmp_path / "masks/a.png")
    assert report.ok and {"kind": "inexact colours", "path": path, "message": (
        f"{path}: {near} of {expected.size} pixels take the class of the nearest colour, {strange} are of no named "
        "colour and become 255")} in report.warnings


def test_the_identity_of_a_source_changes_with_its_colours(folder):
    found = [sources.source("folder", data_dir=folder, classes=2, label_map={**label_map, "other": 255}).identity()
             for label_map in ({(0, 60, 0): 1}, {(0, 60, 0): 0}, {(0, 60, 1): 1})]
    assert json.loads(json.dumps(found)) == found and len({json.dumps(one) for one in found}) == 3


# Of each published set a few colours and ids, as its makers give them.
PUBLISHED = {
    "isprs": {(255, 255, 255): "impervious surface", (0, 0, 255): "building", (0, 255, 255): "low vegetation",
              (0, 255, 0): "tree", (255, 255, 0): "car", (255, 0, 0): "clutter", (0, 0, 0): None},
    "loveda": {0: None, 1: "background", 2: "building", 3: "road", 4: "water", 5: "barren", 6: "forest",
               7: "agriculture"},
    "camvid": {(64, 192, 0): "building", (0, 0, 64): "pole", (128, 0, 192): "road", (128, 128, 192): "pavement",
               (192, 192, 0): "tree", (0, 64, 64): "sign", (64, 64, 128): "fence", (192, 128, 192): "car",
               (64, 128, 64): "pedestrian", (192, 0, 192): "bicyclist", (128, 128, 128): "sky", (0, 0, 0): None},
    "cityscapes": {(128, 64, 128): "road", (119, 11, 32): "bicycle", (111, 74, 0): None, (0, 0, 90): None},
    "voc2012": {(0, 0, 0): "background", (128, 0, 0): "aeroplane", (0, 64, 128): "tv/monitor", (224, 224, 192): None,
                20: "tv/monitor", 255: None},
}


@pytest.mark.parametrize("name", NAMES)
def test_published_classes_by_name(name, tmp_path):
    label_set, label_map = named(name)
    assert set(label_map.values()) == {*range(len(label_set)), 255}
    for kind in (int, tuple):
        keys = [key for key in PUBLISHED[name] if isinstance(key, kind)]
        if keys:
            place = tmp_path / kind.__name__
            save(place / "train/images/a.png", np.zeros((1, len(keys), 3)))
            save(place / "train/labels/a.png", [keys])
            found, classes = labels(str(place), classes=name)
            assert classes == label_set
            assert [None if one == 255 else label_set.names[one] for one in found[0]] == [
                PUBLISHED[name][key] for key in keys]


def test_published_colours_are_those_that_the_readers_draw():
    assert len([key for key in named("camvid")[1] if isinstance(key, tuple)]) == 33  # 32, and SegNet's pavement
    assert named("cityscapes")[0] is CityscapesSource.LABELS
    for name in ("camvid", "cityscapes", "isprs", "voc2012"):
        label_set, label_map = named(name)
        assert all(label_map[tuple(colour)] == index for index, colour in enumerate(label_set.palette.tolist()))


def test_a_map_beside_a_name_adds_to_it(tmp_path):
    save(tmp_path / "train/images/a.png", np.zeros((1, 3, 3)))
    save(tmp_path / "train/labels/a.png", [[(255, 0, 0), (0, 0, 255), (9, 9, 9)]])
    found, _ = labels(str(tmp_path), classes="isprs", label_map={(255, 0, 0): 255, "other": 255})
    assert found.tolist() == [[255, 1, 255]]
