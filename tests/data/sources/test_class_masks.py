"""Binary folders of 0/255 masks, and multi-label folders: masks of each class, arrays."""

import logging
import os

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg import data
from kseg.data import sources
from kseg.labels import LabelSet

NAMES = ("crack", "stain")
SIZE = (20, 30)


def save(path, array):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)


def masks(index):
    """Two overlapping masks `[H, W, 2]` of 0 and 1, told by the red and green of the image."""
    rows, columns = np.mgrid[:SIZE[0], :SIZE[1]]
    return np.stack([(rows + index) // 5 % 2, (columns + index) // 6 % 2], -1)


def pixels(index):
    return np.dstack([masks(index) * 200, np.full(SIZE, index * 10)]).astype(np.uint8)


def write(root, write_labels, count=4):
    for split in ("train", "val"):
        for index in range(count):
            save(f"{root}/{split}/images/{index}.png", pixels(index))
            write_labels(f"{root}/{split}/labels", index)
    return str(root)


@pytest.fixture
def black_and_white(tmp_path):
    return write(tmp_path / "set", lambda folder, index: save(f"{folder}/{index}.png", masks(index)[..., 0] * 255))


@pytest.fixture
def per_class(tmp_path):
    return write(tmp_path / "set", lambda folder, index: [
        save(f"{folder}/{name}/{index}.png", masks(index)[..., place] * 255) for place, name in enumerate(NAMES)])


def test_masks_of_0_and_255_are_background_and_foreground(black_and_white, caplog):
    with caplog.at_level(logging.WARNING, logger="kseg"):
        source = data.source("folder", data_dir=black_and_white, task="binary")
    assert caplog.messages == [
        "folder train: the masks hold nothing but 0 and 255, which are read as background and foreground"]
    assert source.label_set.names == ("background", "foreground") and source.task == "binary"
    for index in range(4):
        np.testing.assert_array_equal(source.read(index)[1], masks(index)[..., 0])


@pytest.mark.parametrize("classes, names", [
    (None, ("background", "foreground")), (1, ("background", "foreground")), (["crack"], ("background", "crack")),
    (["ground", "crack"], ("ground", "crack")), (LabelSet(("ground", "crack")), ("ground", "crack"))])
def test_names_of_a_binary_folder(black_and_white, classes, names):
    source = data.source("folder", data_dir=black_and_white, task="binary", classes=classes)
    assert source.label_set.names == names
    np.testing.assert_array_equal(source.read(0)[1], masks(0)[..., 0])


def test_where_another_value_occurs_255_means_ignore(tmp_path, caplog):
    folder = write(tmp_path / "set", lambda folder, index: save(
        f"{folder}/{index}.png", np.where(masks(index)[..., 1], 255, masks(index)[..., 0])))
    labels = data.source("folder", data_dir=folder, task="binary").read(0)[1]
    np.testing.assert_array_equal(labels, np.where(masks(0)[..., 1], 255, masks(0)[..., 0]))
    assert not caplog.messages


def test_a_file_that_breaks_the_rule_is_named(black_and_white, monkeypatch):
    monkeypatch.setattr("kseg.data.sources.class_masks._LOOKED_AT", 2)  # the first and the last
    path = f"{black_and_white}/train/labels/1.png"
    save(path, masks(1)[..., 0])
    source = data.source("folder", data_dir=black_and_white, task="binary")
    with pytest.raises(ValueError) as caught:
        source.read(1)
    assert str(caught.value) == (
        f"`labels` must hold nothing but 0 and 255 (foreground), as other files of the split do; {path!r} has other "
        "values, got labels=[0, 1]. Correct the file; or pass label_map={0: 0, 1: 1} if 1 is foreground and 255 means "
        "ignore.")
    report = data.check("folder", data_dir=black_and_white, task="binary")
    assert [finding["kind"] for finding in report.errors] == ["illegal ids"]


def test_a_mask_per_class(per_class):
    source = data.source("folder", data_dir=per_class, task="multilabel")
    assert source.label_set.names == NAMES and source.label_axes == (2,)
    for index in range(4):
        image, labels = source.read(index)
        np.testing.assert_array_equal(labels, masks(index))
        np.testing.assert_array_equal(image, pixels(index))
    turned = data.source("folder", data_dir=per_class, task="multilabel", classes=NAMES[::-1])
    np.testing.assert_array_equal(turned.read(1)[1], masks(1)[..., ::-1])
    assert data.label_set("folder", per_class, task="multilabel").names == NAMES


def test_classes_keep_their_order_where_a_split_has_other_folders(per_class):
    os.rename(f"{per_class}/val/labels/crack", f"{per_class}/val/labels/another")
    with pytest.raises(ValueError, match="must hold a partner"):
        data.source("folder", "train", data_dir=per_class, task="multilabel")  # it has no masks of "another"


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays(tmp_path, suffix):
    def write_array(folder, index):
        os.makedirs(folder, exist_ok=True)
        labels = masks(index).astype(np.uint8)
        labels[:2] = 255
        (np.save if suffix == ".npy" else np.savez_compressed)(f"{folder}/{index}{suffix}", labels)

    folder = write(tmp_path / "set", write_array)
    source = data.source("folder", data_dir=folder, task="multilabel", classes=["crack", "stain"])
    labels = source.read(2)[1]
    np.testing.assert_array_equal(labels[2:], masks(2)[2:])
    assert (labels[:2] == 255).all()
    assert data.source("folder", data_dir=folder, task="multilabel").label_set.names == ("class 0", "class 1")
    with pytest.raises(ValueError, match=r"must be an array \[H, W, 3\], one map per class"):
        data.source("folder", data_dir=folder, task="multilabel", classes=3).read(0)
    np.save(f"{folder}/train/labels/0.npy", np.zeros((4, 4)))
    if suffix == ".npy":
        with pytest.raises(ValueError, match=r"must be an array of integers \[H, W, classes\].*float64\[4, 4\]"):
            source.read(0)


def test_patterns_with_the_class(tmp_path):
    folder = write(tmp_path / "set", lambda folder, index: [
        save(f"{folder}/{index}_{name}.png", masks(index)[..., place]) for place, name in enumerate(NAMES)])
    options = {"data_dir": folder, "task": "multilabel", "label_pattern": "{split}/labels/*_{class}.png",
               "image_pattern": "{split}/images/*.png"}
    source = data.source("folder", classes=list(NAMES), **options)
    np.testing.assert_array_equal(source.read(3)[1], masks(3))
    with pytest.raises(ValueError, match="`classes` must be the names that stand for {class}"):
        data.source("folder", **options)


def test_wrong_files_are_named(per_class):
    os.remove(f"{per_class}/train/labels/stain/2.png")
    with pytest.raises(ValueError, match="1 of 4 have no labels file, the first is '.*images/2.png'"):
        data.source("folder", data_dir=per_class, task="multilabel")
    report = data.check("folder", data_dir=per_class, task="multilabel")
    assert [finding["kind"] for finding in report.errors] == ["missing partner"] and report.pairs == 3
    save(f"{per_class}/train/labels/stain/2.png", masks(2)[:5, :, 1] * 255)
    source = data.source("folder", data_dir=per_class, task="multilabel")
    with pytest.raises(ValueError, match=r"must have one size for all classes of an image, \(20, 30\) of .*crack/2"):
        source.read(2)


@pytest.mark.parametrize("name, task, sentence", [
    ("shapes", "binary", "`task` must fit the 5 classes of the dataset, background, disk, square, triangle, cross, got "
     "task='binary'. A binary task takes labels of background and foreground: merge the ids with label_map."),
    ("shapes", "multilabel", "`task` must be 'multiclass', what the labels of 'shapes' are for, got task='multilabel'. "
     "Labels of several classes per pixel are read by 'folder'."),
    ("shapes", "multi", "`task` must be one of ('multiclass', 'binary', 'multilabel'), got task='multi'. Did you mean "
     "'multilabel'?"),
])
def test_tasks_that_a_dataset_cannot_have(name, task, sentence):
    with pytest.raises(ValueError) as caught:
        data.source(name, task=task)
    assert str(caught.value) == sentence


def test_batches_caches_and_records_keep_the_axis_of_classes(per_class, tmp_path):
    options = {"data_dir": per_class, "task": "multilabel", "batch_size": 2}
    wanted = np.stack([masks(index) for index in range(4)])
    for more in ({"cache": False}, {"cache": "memory"}, {"cache": tmp_path / "cache"}, {"cache": tmp_path / "cache"}):
        batches = list(kseg.data.load("folder", shuffle=False, **options, **more))
        assert batches[0][1].dtype == "int32" and batches[0][1].shape == (2, *SIZE, 2)
        np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]), wanted)
        np.testing.assert_array_equal(batches[1][0][1], pixels(3))
    small = next(iter(kseg.data.load("folder", image_size=(10, 15), **options, shuffle=False)))[1]
    np.testing.assert_array_equal(small, wanted[:2, 1::2, 1::2])
    data.write_records("folder", str(tmp_path / "records"), "train", shards=2, data_dir=per_class, task="multilabel")
    records = data.source("records", data_dir=str(tmp_path / "records"), task="multilabel")
    assert records.label_set == data.source("folder", data_dir=per_class, task="multilabel").label_set
    np.testing.assert_array_equal(np.stack([records.read(index)[1] for index in range(4)]), wanted)


def test_counts_and_class_weights(per_class):
    report = data.check("folder", data_dir=per_class, task="multilabel")
    assert report.ok and report.class_names == list(NAMES) and report.void_share == 0
    assert report.class_pixels == [sum(int(masks(index)[..., place].sum()) for index in range(4)) for place in (0, 1)]
    shares = np.array(report.class_pixels) / (4 * SIZE[0] * SIZE[1])
    weights = data.class_weights("folder", data_dir=per_class, task="multilabel")
    np.testing.assert_allclose(weights, np.median(shares) / shares, rtol=1e-6)


@pytest.mark.parametrize("plan", [
    {"scale": (0.5, 0.5)}, {"scale": (1.5, 1.5), "class_aware": 1.0}, {"flip": 1.0, "flip_vertical": 1.0},
    {"rotation": 30.0, "shift": 0.2}, {"elastic": 4.0}, {"mix": "cutmix"}, {"mix": "classmix"}], ids=str)
def test_augmentation_moves_labels_with_the_pixels(per_class, plan):
    """The bands of the image are its masks: where all of a pixel comes from one source, they still agree."""
    batches = kseg.data.load("folder", data_dir=per_class, task="multilabel", image_size=(40, 60), batch_size=4, seed=3,
                             augment=plan)
    images, labels = (part.numpy() for part in next(iter(batches)))
    assert labels.shape == (4, 40, 60, 2) and set(np.unique(labels)) <= {0, 1, 255}
    uncovered = (labels == 255).any(-1)
    assert ((labels == 255).all(-1) == uncovered).all()  # nothing is known of any class there
    assert uncovered.any() == bool({"rotation", "elastic"} & set(plan) or plan.get("scale") == (0.5, 0.5))
    pure = ~uncovered[..., None] & ((images[..., :2] < 20) | (images[..., :2] > 180))
    assert pure.mean() > 0.1
    np.testing.assert_array_equal(labels[pure], images[..., :2][pure] > 100)


def test_border_weights_are_of_one_class_per_pixel(per_class):
    with pytest.raises(ValueError, match="`border_weights` must be None for task='multilabel'"):
        kseg.data.load("folder", data_dir=per_class, task="multilabel", border_weights={})


def test_a_source_has_its_own_task(per_class):
    source = sources.source("folder", data_dir=per_class, task="multilabel")
    assert len(kseg.data.load(source, task="multilabel")) == 1
    with pytest.raises(ValueError, match="`task` must be None or 'multilabel' where a source is given"):
        kseg.data.load(source, task="binary")


def test_a_plain_folder_has_one_class_per_pixel(per_class, tmp_path):
    with pytest.raises(ValueError, match="`task` must be one of labels with one class per pixel"):
        data.convert("folder", tmp_path / "plain", data_dir=per_class, task="multilabel")


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_arrays_in_memory(task):
    images = np.stack([pixels(index) for index in range(4)])
    labels = np.stack([masks(index) for index in range(4)]).astype(np.uint8)
    labels = labels[..., 0] if task == "binary" else labels
    for stored in (labels, labels == 1, labels * 255, list(labels)):
        batch = next(iter(kseg.data.from_arrays(images, stored, task=task, batch_size=4, shuffle=False)))
        np.testing.assert_array_equal(batch[0], images)
        np.testing.assert_array_equal(batch[1], labels)
    with pytest.raises(ValueError, match="`labels` must have the height and width of their image"):
        kseg.data.from_arrays(images, labels[..., :5] if task == "binary" else labels[..., 0], task=task)


def test_a_sheet_shows_the_colours_of_classes(per_class, tmp_path):
    sheet = data.show("folder", data_dir=per_class, task="multilabel", count=2, augment={"flip": 1.0},
                      output=tmp_path / "sheet.png")
    found = {tuple(colour) for colour in sheet.reshape(-1, 3)}
    palette = data.label_set("folder", per_class, task="multilabel").palette.astype(int)
    assert {tuple(colour) for colour in (*palette, palette.sum(0) // 2)} <= found  # each class, and both
