"""Layouts of folders as people have them: which files are pairs, and what is said where that is not clear."""

import os

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import sources
from kseg.data.sources.affixes import globs, has_label_word

# Layout: (image, label, splits); {s} is the split's folder, {i} the number of a file.
LAYOUTS = {
    "folders in split folders": ("{s}/images/{i}.jpg", "{s}/labels/{i}.png", ("train", "val")),
    "masks in split folders": ("{s}/Image/{i}.jpg", "{s}/Masks/{i}_mask.png", ("training", "validation")),
    "split folders in folders": ("images/{s}/{i}.jpg", "masks/{s}/{i}.png", ("train", "valid")),
    "split folders in folders, deep": ("imgs/{s}/ulm/{i}.jpg", "gt/{s}/ulm/{i}.png", ("train", "val")),
    "folders named after splits": ("{s}/{i}.jpg", "{s}_masks/{i}_mask.gif", ("train", "val")),
    "both named after splits": ("{s}_images/{i}.jpg", "{s}_labels/{i}.png", ("train", "val")),
    "annot": ("{s}/{i}.png", "{s}annot/{i}.png", ("train", "val")),
    "beside each other in split folders": ("{s}/{i}.png", "{s}/{i}_mask.png", ("train", "val")),
    "without splits": ("images/{i}.jpg", "masks/{i}.png", ("",)),
    "without splits, deep": ("images/ulm/{i}.jpg", "annotations/ulm/{i}.png", ("",)),
    "VOC's folders": ("JPEGImages/{i}.jpg", "SegmentationClass/{i}.png", ("",)),
    "words on both sides": ("images/{i}_rgb.png", "labels/{i}_gt.png", ("",)),
    "beside each other": ("{i}.jpg", "{i}_mask.png", ("",)),
    "beside each other, word in front": ("img_{i}.png", "mask_{i}.png", ("",)),
    "beside each other, other suffix": ("{i}.jpg", "{i}.png", ("",)),
    "beside each other, arrays": ("{i}.jpg", "{i}.npy", ("",)),
    "arrays": ("images/{i}.tif", "labels/{i}.npz", ("",)),
}
NUMBERS = tuple(range(8, 13))  # of one and two digits


def write(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, labels)
    elif path.suffix == ".npz":
        np.savez(path, labels)
    else:
        Image.fromarray(labels).save(path)


def make(root, image, label, splits=("",), numbers=NUMBERS):
    """Write pairs whose labels are the number of the file; return {split folder: expected pairs}."""
    pairs = {}
    for split in splits:
        for number in numbers:
            pair = [root / pattern.format(s=split, i=number) for pattern in (image, label)]
            write(pair[0], np.full((4, 6, 3), number, np.uint8))
            write(pair[1], np.full((4, 6), number, np.uint8))
            pairs.setdefault(split, []).append(tuple(map(str, pair)))
    return pairs


def opened(root, split="train", **options):
    return sources.source("folder", split, data_dir=str(root), **{"classes": 20, **options})


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_recognised_and_read_pixel_by_pixel(name, tmp_path):
    image, label, splits = LAYOUTS[name]
    written = make(tmp_path, image, label, splits)
    if splits == ("",):
        found = [pair for split in sources.SPLITS for pair in opened(tmp_path, split).pairs]
        assert sorted(found) == sorted(written[""])
    else:
        for folder, split in zip(splits, ("train", "validation")):
            assert sorted(opened(tmp_path, split).pairs) == sorted(written[folder])
    source = opened(tmp_path)
    for index, (path, _) in enumerate(source.pairs):
        pixels, labels = source.read(index)
        number = int("".join(filter(str.isdigit, os.path.basename(path))))
        assert (labels == number).all() and labels.shape == (4, 6)
        assert abs(pixels.astype(int) - number).max() <= 2  # JPEG
    assert kseg.data.check("folder", data_dir=str(tmp_path), classes=20).ok


def test_the_first_layout_of_the_order_is_taken(tmp_path):
    last = make(tmp_path, "{i}.jpg", "{i}_mask.png")
    assert opened(tmp_path).pairs[0][0].startswith(os.path.dirname(last[""][0][0]))
    for image, label, splits in (("images/{i}.jpg", "masks/{i}.png", ("",)),
                                 ("{s}/{i}.jpg", "{s}_masks/{i}.png", ("train", "val")),
                                 ("images/{s}/{i}.jpg", "masks/{s}/{i}.png", ("train", "val")),
                                 ("{s}/images/{i}.jpg", "{s}/masks/{i}.png", ("train", "val"))):
        written = make(tmp_path, image, label, splits)
        expected = {pair for pairs in written.values() for pair in pairs}
        assert set(opened(tmp_path).pairs) <= expected


def test_a_split_that_is_not_there_is_not_taken_from_another_layout(tmp_path):
    make(tmp_path, "images/{i}.jpg", "masks/{i}.png")
    make(tmp_path, "{s}/images/{i}.jpg", "{s}/masks/{i}.png", ("train",))
    with pytest.raises(FileNotFoundError) as failure:
        opened(tmp_path, "validation")
    assert str(failure.value) == (
        f"`split` must have files below data_dir {str(tmp_path)!r}, got split='validation'. Expected {tmp_path}/valida"
        f"tion/images and {tmp_path}/validation/masks, or pass image_pattern and label_pattern. To divide the files of "
        f"'train', pass data_dir='{tmp_path}/train'.")
    assert len(opened(tmp_path / "train", "validation")) == 1


def test_several_annotators_are_an_error_that_shows_the_patterns(tmp_path):
    for image, folder in (("images/{i}.jpg", "masks/"), ("{i}.png", "")):
        root = tmp_path / (folder.strip("/") or "beside")
        written = make(root, image, folder + "{i}_mask_1.png")
        second = make(root, image, folder + "{i}_mask_2.png")
        with pytest.raises(ValueError) as failure:
            opened(root)
        pattern = os.path.dirname(image) + "/*" if folder else "*"
        assert str(failure.value) == (
            "`data_dir` must hold one label file for each image; there are several readings: image_pattern="
            f"{pattern!r}, label_pattern='{folder}*_mask_1.*'; image_pattern={pattern!r}, label_pattern="
            f"'{folder}*_mask_2.*', got data_dir={str(root)!r}. Pass the label_pattern you mean.")
        for annotator, pairs in ((1, written), (2, second)):
            found = [pair for split in sources.SPLITS for pair in
                     opened(root, split, label_pattern=f"{folder}*_mask_{annotator}.png").pairs]
            assert sorted(found) == sorted(pairs[""])


def test_two_folders_of_labels_are_an_error_that_shows_both(tmp_path):
    make(tmp_path, "images/{i}.jpg", "masks/{i}.png")
    expected = make(tmp_path, "images/{i}.jpg", "labels/{i}.png")
    with pytest.raises(ValueError) as failure:
        opened(tmp_path)
    assert str(failure.value) == (
        "`data_dir` must hold one label file for each image; there are several readings: image_pattern='images/*', "
        "label_pattern='labels/*'; image_pattern='images/*', label_pattern='masks/*', got data_dir="
        f"{str(tmp_path)!r}. Pass the label_pattern you mean.")
    assert set(opened(tmp_path, label_pattern="labels/*").pairs) <= set(expected[""])


@pytest.mark.parametrize("image, label, held, advice", [
    ("photos_a/{i}.jpg", "truth/{i}_seg.png", "5 .jpg in photos_a (10.jpg), 5 .png in truth (10_seg.png)",
     "Pass image_pattern='photos_a/*.jpg', label_pattern='truth/*_seg.png', split_fractions=(0.8, 0.1, 0.1); 5 names "
     "fit."),
    ("data/train/sat/{i}.jpg", "data/train/map/{i}.png", "5 .png in data/train/map (10.png), 5 .jpg in data/train/sat "
     "(10.jpg)",
     "Pass image_pattern='data/{split}/sat/*.jpg', label_pattern='data/{split}/map/*.png'; 5 names fit."),
    ("a/{i}.jpg", "b/x{i}.png", "5 .jpg in a (10.jpg), 5 .png in b (x10.png)",
     "Expected images/ and masks/, train/images and train/masks, images/train and masks/train, or a.jpg beside "
     "a_mask.png. Or pass image_pattern and label_pattern."),
])
def test_the_error_shows_what_was_found_and_the_patterns_that_fit(image, label, held, advice, tmp_path):
    written = make(tmp_path, image, label)
    with pytest.raises(FileNotFoundError) as failure:
        opened(tmp_path)
    assert str(failure.value) == (
        f"`data_dir` must hold images and label files in a layout that kseg knows; there are {held}, got "
        f"data_dir={str(tmp_path)!r}. {advice}")
    if advice.startswith("Pass"):
        options = {name: value for name, value in (part.split("='") for part in advice.split("', ")[:2])
                   for name in [name.removeprefix("Pass ")] for value in [value.split("'")[0]]}
        assert sorted(opened(tmp_path, **options).pairs) == sorted(written[""])


def test_an_empty_folder_is_said_to_be_empty(tmp_path):
    with pytest.raises(FileNotFoundError, match="must hold images and label files; none is below it"):
        opened(tmp_path)


def test_patterns_without_a_split_give_all_files_to_each_and_say_so(tmp_path, caplog):
    written = make(tmp_path, "a/{i}.jpg", "b/{i}.png")
    for split in ("train", "validation"):
        assert sorted(opened(tmp_path, split, image_pattern="a/*", label_pattern="b/*").pairs) == sorted(written[""])
    assert caplog.text.count("says nothing about splits") == 1


def test_a_final_suffix_may_be_any(tmp_path):
    written = make(tmp_path, "a/{i}.x.jpg", "b/{i}.x_m.png")
    assert sorted(opened(tmp_path, image_pattern="a/*.*", label_pattern="b/*_m.*").pairs) == sorted(written[""])


@pytest.mark.parametrize("name, expected", [
    ("a_mask", True), ("mask-3", True), ("a_label_2", True), ("a.GT", True), ("a_mask2", True), ("unmasked", False),
    ("a_masked", False), ("segment", False), ("gt", True), ("labels/a", False)])
def test_words_for_labels(name, expected):
    assert has_label_word(name) is expected


@pytest.mark.parametrize("images, labels, expected", [
    (["a", "b"], ["a", "b", "c"], [("*", "*", 2)]),
    (["a", "a_b"], ["a_mask", "a_b_mask"], [("*", "*_mask", 2)]),
    (["1", "2"], ["gt_1", "gt_2"], [("*", "gt_*", 2)]),
    (["img_1", "img_12"], ["mask_1", "mask_12"], [("img_*", "mask_*", 2)]),
    (["d/1", "e/1"], ["d/1-x", "e/1-x"], [("*", "*-x", 2)]),
    (["a"], ["b"], []),
    (["a1", "a2"], ["b1", "b2"], []),
])
def test_names_that_fit(images, labels, expected):
    assert globs(images, labels) == expected
