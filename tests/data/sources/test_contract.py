"""What every source of the table answers, and what the rest of kseg does with a source that has but the least."""

import concurrent.futures
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import decode, sources
from kseg.data.sources.base import Findings, digest
from tests.conftest import structured_image
from tests.data.sources import annotations, tool_files, volumes

# Image and label files of the number {} for each dataset of files, and an id its masks may store.
LAYOUTS = {
    "folder": ("train/images/{}.png", "train/labels/{}.png", 1),
    "camvid": ("train/images/{}.png", "train/labels/{}.png", 3),
    "voc2012": ("JPEGImages/{}.jpg", "SegmentationClass/{}.png", 15),
    "cityscapes": ("leftImg8bit/train/ulm/{}_leftImg8bit.png", "gtFine/train/ulm/{}_gtFine_labelIds.png", 7),
    "ade20k": ("images/training/{}.jpg", "annotations/training/{}.png", 1),
}
WRITERS = {"coco": annotations.write_coco, "coco_panoptic": annotations.write_panoptic,
           "yolo": annotations.write_yolo, "labelme": tool_files.write_labelme, "cvat": tool_files.write_cvat,
           "cvat_masks": tool_files.write_cvat_masks, "label_studio": tool_files.write_label_studio,
           "supervisely": tool_files.write_supervisely,
           "nifti": volumes.write_nifti}  # root → path of a file with annotations
NAMES = [name if name != "tfds:" else "tfds:oxford_iiit_pet" for name in sources._TABLE]


def write_files(name, root):
    """Write three pairs of 20×30 in the layout of a dataset; return the path of the first mask."""
    image, label, stored = LAYOUTS[name]
    for index in range(3):
        ids = np.full((20, 30), stored, np.uint8)
        ids[:, :10 + index] = 0
        for path, array in ((image, structured_image(20, 30)), (label, ids)):
            path = os.path.join(root, path.format(index))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Image.fromarray(array).save(path)
    if name == "voc2012":
        os.makedirs(os.path.join(root, "ImageSets", "Segmentation"))
        with open(os.path.join(root, "ImageSets", "Segmentation", "train.txt"), "w", encoding="utf-8") as file:
            file.write("0\n1\n2\n")
    return os.path.join(root, label.format(0))


@pytest.fixture(params=NAMES)
def case(request, tmp_path, mocked):
    """(open, change): a function that opens the source of the table, and one that changes what it reads."""
    name, options = request.param, {}
    if name in LAYOUTS:
        options = {"data_dir": str(tmp_path)}
        mask = write_files(name, str(tmp_path))
        change = lambda: Image.fromarray(np.asarray(Image.open(mask))[::-1, ::-1]).save(mask)
    elif name in WRITERS:
        options = {"data_dir": str(tmp_path)}
        file = WRITERS[name](str(tmp_path))

        def change():
            with open(file, "ab") as stored:
                stored.write(b"\n")
    elif name == "records":
        mask = write_files("folder", str(tmp_path / "set"))
        options = {"data_dir": str(tmp_path / "records")}
        write = lambda: kseg.data.write_records("folder", options["data_dir"], data_dir=str(tmp_path / "set"))
        write()

        def change():
            Image.fromarray(np.asarray(Image.open(mask))[::-1, ::-1]).save(mask)
            for file in os.listdir(options["data_dir"]):
                os.remove(os.path.join(options["data_dir"], file))
            write()
    else:
        change = lambda: options.update({"image_size": (24, 32)} if name == "shapes" else {
            "label_map": {1: 0, 2: 1, 3: 2}})
    return lambda: sources.source(name, "train", **options), change


def test_the_cases_are_the_table():
    assert set(LAYOUTS) | set(WRITERS) | {"shapes", "records", "tfds:"} == set(sources._TABLE)


def test_every_source_has_its_attributes_and_reads_its_pairs(case):
    source = case[0]()
    assert isinstance(source, kseg.data.Source) and source.split == "train" and source.channels == 3
    assert isinstance(source.name, str) and len(source) >= 3
    for index in range(3):
        pixels, labels = source.read(index)
        assert pixels.dtype == labels.dtype == np.uint8 and pixels.shape == (*labels.shape, 3)
        assert set(np.unique(labels)) <= {*range(len(source.label_set)), 255}
        np.testing.assert_array_equal(source.read_labels(index), labels)
    assert len({source.describe(index) for index in range(3)}) == 3
    known = source.known_label_set()
    assert known is None or known == source.label_set == kseg.data.label_set(source.name)


def test_every_source_may_be_read_from_threads_in_any_order(case):
    source = case[0]()
    once = [source.read(index) for index in range(3)]
    order = [2, 0, 1] * 4
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        for index, example in zip(order, threads.map(source.read, order)):
            for part, expected in zip(example, once[index]):
                np.testing.assert_array_equal(part, expected)


def test_the_identity_of_every_source_changes_with_what_it_reads_alone(case):
    opened, change = case
    identity = opened().identity()
    before = digest(opened())
    assert json.loads(json.dumps(identity)) == identity
    assert digest(opened()) == before
    change()
    assert digest(opened()) != before


def test_the_stored_image_of_every_source_is_what_it_reads(case):
    source = case[0]()
    content = source.stored_image(1)
    if content is not None:
        np.testing.assert_array_equal(decode.read_pixels(content), source.read(1)[0])


def test_the_stream_of_every_source_is_what_it_reads(case):
    source = case[0]()
    stream = source.stream()
    for pixels, labels, index in stream.take(3) if stream is not None else ():
        for part, expected in zip((pixels, labels), source.read(int(index))):
            np.testing.assert_array_equal(part, expected)


def test_every_sound_source_passes_its_probe_and_its_check(case):
    source = case[0]()
    findings = Findings()
    source.probe()
    for index in range(3):
        np.testing.assert_array_equal(source.check(index, findings), source.read_labels(index))
    assert not findings.errors


def test_training_reads_the_labels_that_are_counted(case):
    source = case[0]()
    dataset = kseg.data.load(source, batch_size=None, shuffle=False, cache=False).take(3)
    for index, (pixels, labels) in enumerate(dataset):
        expected = source.read(index)
        np.testing.assert_array_equal(pixels, expected[0])
        np.testing.assert_array_equal(labels, expected[1])


class Least(kseg.data.Source):
    """A format of the user's own: what has no default, and nothing else."""

    name, split, channels, label_set = "least", "train", 3, kseg.LabelSet(("ground", "house"))

    def __init__(self, broken=()):
        self.broken = broken

    def __len__(self):
        return 4

    def read(self, index):
        if index in self.broken:
            raise ValueError(f"`labels` must be there, got labels={index}. Draw them.")
        return structured_image(16, 24), np.full((16, 24), index % 2, np.uint8)


def test_a_source_with_the_least_is_trained_on_checked_weighed_and_written(tmp_path):
    source = Least()
    pixels, labels = next(iter(kseg.data.load(source, image_size=(8, 12), batch_size=4, augment=True)))
    assert pixels.shape == (4, 8, 12, 3) and labels.shape == (4, 8, 12)
    report = kseg.data.check(source)
    assert report.ok and report.pairs == 4 and report.class_images == [2, 2]
    np.testing.assert_array_equal(kseg.data.class_weights(source), [1, 1])
    kseg.data.write_records(source, str(tmp_path))
    written = kseg.data.source("records", data_dir=str(tmp_path))
    np.testing.assert_array_equal(written.read(3)[0], source.read(3)[0])
    assert kseg.data.check(Least(broken=(1,))).errors == [{
        "kind": "unreadable", "path": "least/train/1",
        "message": "`labels` must be there, got labels=1. Draw them."}]


def test_what_is_neither_a_name_nor_a_source_raises():
    with pytest.raises(TypeError) as failure:
        kseg.data.load(7)
    assert str(failure.value) == ("`name` must be the name of a dataset or a source, got name=7. Derive the class of "
                                  "your own sources from kseg.data.Source.")


def test_files_are_checked_and_weighed_without_tensorflow(tmp_path):
    write_files("folder", str(tmp_path))
    code = ("import sys, kseg; options = dict(data_dir=sys.argv[1]); kseg.data.check('folder', **options); "
            "kseg.data.class_weights('folder', **options); sys.exit('tensorflow' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0


@pytest.mark.slow
def test_the_function_check_stays_in_place_when_its_module_is_imported():
    code = "import kseg.data.check, kseg; from kseg.data.check import CheckReport; kseg.data.check('shapes', 'test')"
    subprocess.run([sys.executable, "-c", code], check=True)
