"""Datasets by name: layouts, classes, pairs, and what is said when they are not there."""

import os
import time

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import listing, sources


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
    deep = listing.folder_pairs(str(tmp_path), "train", "img/**/*_rgb.png", "gt/**/*_mask.png")
    assert deep == chosen.pairs


def test_missing_partners_and_folders_raise(folder):
    os.remove(os.path.join(folder, "train", "labels", "004.png"))
    with pytest.raises(ValueError) as failure:
        sources.source("folder", data_dir=folder)
    image = os.path.join(folder, "train", "images", "004.png")
    assert str(failure.value) == (
        f"`data_dir` must hold a partner for every file; 1 of 6 have no labels file, the first is {image!r}, got "
        f"data_dir={folder!r}. Add the missing files or remove the lonely ones; names must agree up to the suffix.")
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("folder", "test", data_dir=folder)
    test = os.path.join(folder, "test")
    assert str(failure.value) == (
        f"`split` must have files below data_dir {folder!r}, got split='test'. Expected {test}/images and "
        f"{test}/labels, or pass image_pattern and label_pattern.")
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("camvid", data_dir="nowhere")
    assert str(failure.value) == ("`data_dir` must be the path of a folder, got data_dir='nowhere'. Pass the folder "
                                  "that holds the files of 'camvid'.")
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("voc2012", data_dir=folder)
    assert str(failure.value) == (f"`data_dir` must hold split 'train' of 'voc2012', got data_dir={folder!r}. Expected "
                                  "ImageSets/Segmentation/train.txt below it.")


def test_unknown_names_and_misplaced_arguments_raise(folder):
    with pytest.raises(ValueError) as failure:
        sources.source("camvit", data_dir=folder)
    assert str(failure.value) == (
        "`name` must be one of ('shapes', 'folder', 'camvid', 'voc2012', 'cityscapes', 'ade20k', 'records'), got "
        "name='camvit'. Did you mean 'camvid'?")
    with pytest.raises(ValueError) as failure:
        sources.source("camvid", data_dir=folder, classes=4)
    assert str(failure.value) == ("`classes` must be None for 'camvid', whose files and classes are known, got "
                                  "classes=4. Leave it out, or read the files as 'folder'.")


def test_mask_and_image_of_different_size_raise(folder):
    image, label = (os.path.join(folder, "train", part, "000.png") for part in ("images", "labels"))
    save(label, np.zeros((10, 30)))
    with pytest.raises(ValueError) as failure:
        kseg.data.load("folder", "train", data_dir=folder)
    assert str(failure.value) == (
        f"`labels` must have the height and width of their image {image!r}, (20, 30); {label!r} differs, got "
        "labels=(10, 30). Pair the right files, or resize the mask by nearest neighbour.")


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


def test_links_that_loop_end(folder):
    os.symlink(os.path.join(folder, "train"), os.path.join(folder, "train", "images", "loop"))
    assert len(sources.source("folder", data_dir=folder, classes=3)) == 6
    assert len(listing.folder_pairs(folder, "train", "train/images/**/*.png", "train/labels/**/*.png")) == 6


@pytest.mark.slow
def test_100000_files_are_listed_in_seconds(tmp_path):
    for part in ("images", "labels"):
        os.makedirs(tmp_path / "train" / part)
        for index in range(50000):
            os.close(os.open(tmp_path / "train" / part / f"{index}.png", os.O_CREAT))
    start = time.perf_counter()
    assert len(listing.folder_pairs(str(tmp_path), "train")) == 50000
    assert time.perf_counter() - start < 20


def test_shapes_are_embedded():
    assert kseg.data.label_set("shapes").names == ("background", "disk", "square", "triangle", "cross")
    chosen = sources.source("shapes", "validation", image_size=(32, 48), channels=1)
    pixels, labels = chosen.read(3)
    assert len(chosen) == 100 and pixels.shape == (32, 48, 1) and labels.shape == (32, 48)


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


@pytest.mark.parametrize("reader", [kseg.data.load, kseg.data.check, kseg.data.class_weights,
                                    lambda source, *words, **options: kseg.data.write_records(source, "ram://none",
                                                                                              *words, **options)])
def test_options_of_a_source_that_is_given_itself_raise(folder, reader):
    chosen = sources.source("folder", "train", data_dir=folder)
    for options, rule in (({"split": "validation"}, "None or 'train'"), ({"channels": 1}, "None or 3"),
                          ({"classes": 4}, "None"), ({"label_map": {0: 1}}, "None"), ({"data_dir": "."}, "None")):
        (name, value), = options.items()
        with pytest.raises(ValueError) as failure:
            reader(chosen, **options)
        assert str(failure.value) == (f"`{name}` must be {rule} where a source is given, got {name}={value!r}. Pass it "
                                      "to kseg.data.source, which makes the source.")
    reader(chosen, split="train", channels=3)
