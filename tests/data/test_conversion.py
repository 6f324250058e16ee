"""Any dataset as a plain folder: equal pixel by pixel, whole or not at all, and gone on with after a kill."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import sources
from tests.conftest import structured_image
from tests.data.conftest import make_folder
from tests.data.sources import annotations
from tests.data.sources.test_contract import Least, write_files


def assert_equal(first, second, compare_names=True):
    assert len(first) == len(second)
    if compare_names:
        assert first.label_set == second.label_set
    places = {os.path.splitext(os.path.basename(second.describe(index)))[0]: index for index in range(len(second))}
    for index in range(len(first)):
        stem = os.path.splitext(os.path.basename(first.describe(index)))[0]
        for part, expected in zip(second.read(places[stem]), first.read(index)):
            np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize("name", ["coco", "coco_panoptic", "yolo", "folder", "camvid", "voc2012", "cityscapes",
                                  "ade20k"])
def test_what_was_converted_reads_back_equal(tmp_path, name):
    root, output = str(tmp_path / "set"), str(tmp_path / "plain")
    writers = {"coco": annotations.write_coco, "coco_panoptic": annotations.write_panoptic,
               "yolo": annotations.write_yolo}
    writers.get(name, lambda folder: write_files(name, folder))(root)
    source = sources.source(name, data_dir=root)
    assert kseg.data.convert(name, output, data_dir=root) == {"train": 3}
    assert_equal(source, sources.source("folder", data_dir=output))
    assert sorted(os.listdir(output)) == ["classes.txt", "train"]
    assert sorted(os.listdir(os.path.join(output, "train"))) == ["conversion.json", "images", "labels"]
    for index in range(3):
        with open(os.path.join(output, "train", "images", os.path.basename(source.describe(index))), "rb") as file:
            assert file.read() == source.stored_image(index)  # copied as it is
    for file in os.scandir(os.path.join(output, "train", "labels")):
        picture = Image.open(file.path)
        assert (picture.format, picture.mode) == ("PNG", "L")


def test_images_that_are_no_files_become_png_and_classes_keep_their_colours(tmp_path):
    counts = kseg.data.convert("shapes", tmp_path, ["validation", "test"], image_size=(24, 32))
    assert counts == {"validation": 100, "test": 100}
    assert_equal(sources.source("shapes", "test", image_size=(24, 32)),
                 sources.source("folder", "test", data_dir=str(tmp_path)))
    assert (tmp_path / "classes.txt").read_text().splitlines()[:2] == ["background 32 36 48", "disk 230 97 76"]


def test_a_source_of_the_users_own_and_records_are_converted(tmp_path):
    assert kseg.data.convert(Least(), tmp_path / "own") == {"train": 4}
    back = sources.source("folder", data_dir=str(tmp_path / "own"))
    np.testing.assert_array_equal(back.read(3)[1], Least().read(3)[1])
    root = make_folder(tmp_path / "set", count=3, splits=("train",), suffix=".jpg")
    kseg.data.write_records("folder", str(tmp_path / "records"), data_dir=root, shards=1)
    kseg.data.convert("records", tmp_path / "unpacked", data_dir=str(tmp_path / "records"))
    unpacked, original = sources.source("folder", data_dir=str(tmp_path / "unpacked")), sources.source(
        "folder", data_dir=root)
    assert len(unpacked) == 3
    for index in range(3):
        for part, expected in zip(unpacked.read(index), original.read(index)):
            np.testing.assert_array_equal(part, expected)


def test_grey_pixels_stay_grey(tmp_path):
    kseg.data.convert("shapes", tmp_path, "test", image_size=(8, 8), channels=1)
    picture = Image.open(tmp_path / "test" / "images" / "5.png")
    assert picture.mode == "L"
    np.testing.assert_array_equal(np.asarray(picture)[..., None],
                                  sources.source("shapes", "test", image_size=(8, 8), channels=1).read(5)[0])


def test_the_splits_that_are_there_are_written_and_any_may_be_added(folder, tmp_path):
    output = tmp_path / "plain"
    assert kseg.data.convert("folder", output, "train", data_dir=folder) == {"train": 6}
    assert kseg.data.convert("folder", output, data_dir=folder) == {"train": 6, "validation": 6}
    assert len(sources.source("folder", "validation", data_dir=str(output))) == 6
    with pytest.raises(FileNotFoundError, match="^`split` must have files below data_dir .*, got split='test'"):
        kseg.data.convert("folder", output, ["test"], data_dir=folder)
    with pytest.raises(FileNotFoundError, match="^`data_dir` must be the path of a folder, got data_dir='nowhere'"):
        kseg.data.convert("folder", output, data_dir="nowhere")
    with pytest.raises(ValueError, match="^`split` must be one of .*, got split='trian'. Did you mean 'train'"):
        kseg.data.convert("folder", output, ["trian"], data_dir=folder)


def test_a_run_that_stopped_goes_on_where_it_was(folder, tmp_path):
    class Stop(Exception):
        pass

    def stop(split, done, total):
        if (split, done) == ("train", 4):
            raise Stop

    output = tmp_path / "plain"
    with pytest.raises(Stop):
        kseg.data.convert("folder", output, data_dir=folder, progress=stop)
    images = output / "train" / "images"
    kept = {path.name: path.stat().st_mtime_ns for path in images.iterdir()}
    assert sorted(kept) == ["000.png", "001.png", "002.png", "003.png"]
    (images / ".004.part.png").write_bytes(b"half")  # what a kill leaves behind
    seen = []
    kseg.data.convert("folder", output, data_dir=folder, progress=lambda *values: seen.append(values))
    assert seen == [(split, done, 6) for split in ("train", "validation") for done in range(1, 7)]
    assert {name: (images / name).stat().st_mtime_ns for name in kept} == kept
    assert_equal(sources.source("folder", data_dir=folder), sources.source("folder", data_dir=str(output)),
                 compare_names=False)
    assert not [path for path in output.rglob("*") if path.name.startswith(".")]


def test_a_killed_process_leaves_whole_files_and_the_next_finishes(tmp_path):
    code = "import sys, kseg; kseg.data.convert('shapes', sys.argv[1], 'train', image_size=(40, 40))"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "plain")])
    images = tmp_path / "plain" / "train" / "images"
    while process.poll() is None and not (images.is_dir() and len(list(images.glob("*.png"))) > 20):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    source = sources.source("shapes", image_size=(40, 40))
    written = sorted(images.glob("[0-9]*.png"))
    assert 20 < len(written) < len(source)
    for path in written:
        np.testing.assert_array_equal(np.asarray(Image.open(path)), source.read(int(path.stem))[0])
    kseg.data.convert("shapes", tmp_path / "plain", "train", image_size=(40, 40))
    assert_equal(source, sources.source("folder", data_dir=str(tmp_path / "plain")))


def test_a_folder_of_other_things_is_refused(folder, tmp_path):
    with pytest.raises(FileExistsError) as failure:
        kseg.data.convert("folder", folder, data_dir=folder)
    assert str(failure.value) == ("`output` must be a new folder, or one that an earlier run began; it holds ['train', "
                                  f"'val'], got output={folder!r}. Choose another folder.")
    for name in ("classes.txt", "notes.txt"):
        other = tmp_path / name[:-4]
        other.mkdir()
        (other / name).write_text("mine")
        with pytest.raises(FileExistsError, match=f"it holds \\['{name}'\\]"):
            kseg.data.convert("folder", other, data_dir=folder)
        assert (other / name).read_text() == "mine" and len(list(other.iterdir())) == 1
    (tmp_path / "empty").mkdir()
    kseg.data.convert("folder", tmp_path / "empty", data_dir=folder)


def test_a_folder_begun_from_other_files_is_refused(folder, tmp_path):
    output = tmp_path / "plain"
    kseg.data.convert("folder", output, "train", data_dir=folder, classes=3)
    image = os.path.join(folder, "train", "images", "000.png")
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(image)
    with pytest.raises(FileExistsError) as failure:
        kseg.data.convert("folder", output, "train", data_dir=folder, classes=3)
    assert str(failure.value) == (f"`output` must hold nothing of split 'train' from other files or options, got "
                                  f"output={str(output)!r}. Delete {output}/train to write it anew, or choose another "
                                  "folder.")


def test_splits_of_other_classes_are_refused_before_anything_is_written(tmp_path):
    for split, categories in (("train", annotations.CATEGORIES), ("val", annotations.CATEGORIES[:2])):
        maps = annotations.label_maps(classes=3)
        annotations.write_images(str(tmp_path / "set" / split), maps)
        annotations.dump(str(tmp_path / "set" / f"{split}.json"), annotations.coco(maps, categories=categories))
    with pytest.raises(ValueError) as failure:
        kseg.data.convert("coco", tmp_path / "plain", data_dir=str(tmp_path / "set"))
    assert str(failure.value) == (
        "`splits` must have the same classes, ['background', 'person', 'dog', 'toothbrush']; 'validation' has others, "
        "got splits=['background', 'person', 'dog']. Pass `classes`, or write each split into a folder of its own.")
    assert not (tmp_path / "plain").exists()
    chosen = ["background", "dog", "person"]
    kseg.data.convert("coco", tmp_path / "plain", data_dir=str(tmp_path / "set"), classes=chosen)
    assert kseg.data.label_set("folder", str(tmp_path / "plain")).names == tuple(chosen)


def test_a_broken_pair_raises_and_the_ones_before_it_stay(tmp_path):
    path = annotations.write_coco(str(tmp_path / "set"))
    with open(path, encoding="utf-8") as file:
        content = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(content.replace('102, "iscrowd": 0, "category_id": 1,', '102, "iscrowd": 0, "category_id": 7,'))
    with pytest.raises(ValueError, match="`category_id` must be the id of a category"):
        kseg.data.convert("coco", tmp_path / "plain", data_dir=str(tmp_path / "set"))
    assert sorted(os.listdir(tmp_path / "plain" / "train" / "images")) == ["0.png", "1.png"]


def test_images_of_one_name_in_several_folders_keep_apart(tmp_path):
    maps = annotations.label_maps(2)
    for index, ids in enumerate(maps):
        annotations.save(str(tmp_path / "set" / "images" / "ab"[index] / "x.png"), np.full((*ids.shape, 3), index))
    content = annotations.coco(maps)
    for index, image in enumerate(content["images"]):
        image["file_name"] = f"{'ab'[index]}/x.png"
    annotations.dump(str(tmp_path / "set" / "result.json"), content)
    kseg.data.convert("coco", tmp_path / "plain", data_dir=str(tmp_path / "set"))
    assert sorted(os.listdir(tmp_path / "plain" / "train" / "images")) == ["0000000-x.png", "0000001-x.png"]
    back = sources.source("folder", data_dir=str(tmp_path / "plain"))
    for index, ids in enumerate(maps):
        pixels, labels = back.read(index)
        assert (pixels == index).all()
        np.testing.assert_array_equal(labels, ids)


def test_names_of_classes_that_a_line_cannot_hold_are_written_so_that_it_can(tmp_path):
    class Odd(Least):
        label_set = kseg.LabelSet(("two\nlines", "", "lane 1 2 3", "a, b,"))

    kseg.data.convert(Odd(), tmp_path)
    assert kseg.data.label_set("folder", str(tmp_path)).names == ("two lines", "class 1", "lane 1 2 3", "a, b")


def test_turned_photographs_are_written_as_they_were_read(tmp_path):
    exif = Image.Exif()
    exif[274] = 3
    for part, array, options in (("images", structured_image(24, 40), {"exif": exif}),
                                 ("masks", np.zeros((24, 40), np.uint8), {})):
        (tmp_path / "set" / part).mkdir(parents=True)
        for index in range(3):
            Image.fromarray(array).save(tmp_path / "set" / part / f"{index}.png", **options)
    source = kseg.data.source("folder", data_dir=str(tmp_path / "set"), exif="apply")
    kseg.data.convert(source, tmp_path / "plain")
    again = kseg.data.source("folder", data_dir=str(tmp_path / "plain"))  # no option: nothing is left to be turned
    np.testing.assert_array_equal(again.read(0)[0], structured_image(24, 40)[::-1, ::-1])


def test_classes_of_equal_names_or_colours_stay_apart(tmp_path):
    for number, (names, palette) in enumerate(((("a", "a", "b"), [[1, 1, 1], [2, 2, 2], [3, 3, 3]]),
                                               (("a", "b"), [[1, 1, 1], [1, 1, 1]]))):
        class Twins(kseg.data.Source):
            name, split, channels, label_set = "twins", "train", 3, kseg.LabelSet(names, np.array(palette))

            def __len__(self):
                return 1

            def read(self, index):
                return structured_image(8, 9), np.arange(72, dtype=np.uint8).reshape(8, 9) % len(self.label_set)

        kseg.data.convert(Twins(), tmp_path / str(number))
        again = kseg.data.source("folder", data_dir=str(tmp_path / str(number)))
        assert len(again.label_set) == len(names)
        np.testing.assert_array_equal(again.read(0)[1], Twins().read(0)[1])


def test_a_split_without_a_share_is_not_there(tmp_path):
    for part in ("images", "masks"):
        (tmp_path / "plain" / part).mkdir(parents=True)
        for index in range(5):
            kind = np.full((8, 8, 3), index, np.uint8) if part == "images" else np.full((8, 8), index % 2, np.uint8)
            Image.fromarray(kind).save(tmp_path / "plain" / part / f"{index}.png")
    written = kseg.data.convert("folder", str(tmp_path / "made"), data_dir=str(tmp_path / "plain"), classes=2,
                                split_fractions=(0.8, 0.2))
    assert written == {"train": 4, "validation": 1}


def test_a_run_killed_before_it_wrote_down_what_it_makes_is_begun_anew(folder, tmp_path):
    (tmp_path / "plain" / "train").mkdir(parents=True)
    (tmp_path / "plain" / "train" / ".conversion.part.json").write_text("{")
    assert kseg.data.convert("folder", tmp_path / "plain", data_dir=folder, classes=3) == {"train": 6, "validation": 6}
    assert sorted(os.listdir(tmp_path / "plain" / "train")) == ["conversion.json", "images", "labels"]
