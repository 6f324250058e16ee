"""TFRecords: what goes in comes out, any program reads them, and a kill leaves no broken shard."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg.data import record_writer, sources


def test_what_goes_in_comes_out(folder, tmp_path):
    target = str(tmp_path / "records")
    steps = []
    record_writer.write_records("folder", target, "train", shards=4, data_dir=folder,
                                progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    before, after = sources.source("folder", data_dir=folder), sources.source("records", data_dir=target)
    assert len(after) == 6 and after.label_set == before.label_set
    for index in range(6):
        for one, other in zip(before.read(index), after.read(index)):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(before.read_labels(index), after.read_labels(index))
    options = dict(image_size=(16, 16), batch_size=3, seed=4, epoch=0, augment=True)
    for one, other in zip(kseg.data.load("folder", "train", data_dir=folder, **options),
                          kseg.data.load("records", "train", data_dir=target, **options)):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_grey_records_stay_grey(folder, tmp_path):
    target = str(tmp_path / "records")
    record_writer.write_records("folder", target, "train", data_dir=folder, channels=1)
    options = dict(data_dir=target, batch_size=1, shuffle=False)
    pixels, _ = next(iter(kseg.data.load("records", "train", **options)))
    assert pixels.shape == (1, 20, 30, 1)
    np.testing.assert_array_equal(pixels[0], sources.source("folder", data_dir=folder, channels=1).read(0)[0])
    assert next(iter(kseg.data.load("records", "train", channels=3, **options)))[0].shape == (1, 20, 30, 3)


def test_they_are_plain_tfrecords(folder, tmp_path):
    target = str(tmp_path / "records")
    record_writer.write_records("folder", target, "train", shards=2, data_dir=folder)
    files = sorted(str(path) for path in (tmp_path / "records").glob("*.tfrecord"))
    assert [os.path.basename(path) for path in files] == ["train-00000-of-00002.tfrecord",
                                                          "train-00001-of-00002.tfrecord"]
    features = {"image": tf.io.FixedLenFeature([], tf.string), "labels": tf.io.FixedLenFeature([], tf.string),
                "index": tf.io.FixedLenFeature([], tf.int64)}
    chosen = sources.source("folder", data_dir=folder)
    for number, record in enumerate(tf.data.TFRecordDataset(files)):
        example = tf.io.parse_single_example(record, features)
        assert int(example["index"]) == number
        pixels, labels = chosen.read(number)
        np.testing.assert_array_equal(tf.io.decode_png(example["image"]), pixels)
        np.testing.assert_array_equal(tf.io.decode_png(example["labels"])[..., 0], labels)


def test_resized_records(folder, tmp_path):
    record_writer.write_records("folder", str(tmp_path / "small"), "train", image_size=(10, 15), data_dir=folder)
    stored = sources.source("records", data_dir=str(tmp_path / "small")).read(0)
    expected = next(iter(kseg.data.load("folder", "train", data_dir=folder, image_size=(10, 15), shuffle=False)))
    np.testing.assert_array_equal(stored[0], expected[0][0])
    np.testing.assert_array_equal(stored[1], expected[1][0])


def test_a_killed_run_is_resumed_without_a_broken_shard(folder, tmp_path, monkeypatch):
    target = str(tmp_path / "records")
    real, calls = record_writer._example, []

    def killed(chosen, index, size):
        if index == 4:
            raise KeyboardInterrupt
        calls.append(index)
        return real(chosen, index, size)

    monkeypatch.setattr(record_writer, "_example", killed)
    with pytest.raises(KeyboardInterrupt):
        record_writer.write_records("folder", target, "train", shards=3, data_dir=folder)
    assert sorted(name for name in os.listdir(target) if name.endswith(".tfrecord")) == [
        "train-00000-of-00003.tfrecord", "train-00001-of-00003.tfrecord"]
    with pytest.raises(FileNotFoundError) as failure:
        sources.source("records", data_dir=target)
    assert str(failure.value) == (
        f"`data_dir` must hold the finished records of split 'train' (train.json), got data_dir={target!r}. Write them "
        "with kseg.data.write_records; run it again if it was interrupted.")
    calls.clear()
    monkeypatch.setattr(record_writer, "_example", lambda chosen, index, size: calls.append(index) or real(
        chosen, index, size))
    record_writer.write_records("folder", target, "train", shards=3, data_dir=folder)
    assert calls == [4, 5]
    assert len(sources.source("records", data_dir=target)) == 6


@pytest.mark.parametrize("change", ["label_map", "image_size", "file"])
def test_records_of_another_source_are_not_mixed_in(folder, tmp_path, change):
    target = str(tmp_path / "records")
    record_writer.write_records("folder", target, "train", shards=3, data_dir=folder, classes=3)
    os.remove(os.path.join(target, "train.json"))  # as a killed run leaves it
    os.remove(os.path.join(target, "train-00002-of-00003.tfrecord.json"))
    options = {"label_map": {"label_map": {0: 2, 1: 1, 2: 0}}, "image_size": {"image_size": (10, 15)}, "file": {}}
    if change == "file":
        path = os.path.join(folder, "train", "labels", "000.png")
        os.utime(path, (1, 1))
    with pytest.raises(ValueError) as failure:
        record_writer.write_records("folder", target, "train", shards=3, data_dir=folder, classes=3, **options[change])
    assert str(failure.value) == (
        "`folder` must hold no records of split 'train' from other files, classes, ids or another size, got "
        f"folder={target!r}. Delete its train* files to write them anew, or choose another folder.")


def test_any_filesystem_that_tensorflow_opens(folder):
    record_writer.write_records("folder", "ram://records/folder", "train", shards=2, data_dir=folder)
    after = sources.source("records", data_dir="ram://records/folder")
    before = sources.source("folder", data_dir=folder)
    for index in (0, 5):
        for one, other in zip(before.read(index), after.read(index)):
            np.testing.assert_array_equal(one, other)


SLOW_WRITER = """
import sys, time
from kseg.data import record_writer
real = record_writer._example
record_writer._example = lambda *words: (time.sleep(0.4), real(*words))[1]
record_writer.write_records("folder", sys.argv[2], "train", shards=3, data_dir=sys.argv[1])
"""


@pytest.mark.slow
def test_a_process_killed_while_it_writes_leaves_whole_shards_only(folder, tmp_path):
    target = str(tmp_path / "records")
    writer = subprocess.Popen([sys.executable, "-c", SLOW_WRITER, folder, target])
    first = os.path.join(target, "train-00000-of-00003.tfrecord.json")
    for _ in range(600):
        if os.path.exists(first):
            break
        time.sleep(0.1)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    kept = {name: os.stat(os.path.join(target, name)).st_mtime_ns for name in os.listdir(target)
            if name.endswith(".tfrecord")}
    assert kept and not os.path.exists(os.path.join(target, "train.json"))
    for name in kept:
        assert sum(1 for _ in tf.data.TFRecordDataset(os.path.join(target, name))) == 2  # reads every checksum
    record_writer.write_records("folder", target, "train", shards=3, data_dir=folder)
    assert all(os.stat(os.path.join(target, name)).st_mtime_ns == written for name, written in kept.items())
    assert len(list(tf.data.TFRecordDataset([os.path.join(target, name) for name in sorted(os.listdir(target))
                                             if name.endswith(".tfrecord")]))) == 6


def test_a_changed_record_raises(folder, tmp_path):
    target = str(tmp_path / "records")
    record_writer.write_records("folder", target, "train", shards=1, data_dir=folder)
    path = os.path.join(target, "train-00000-of-00001.tfrecord")
    with open(path, "r+b") as file:
        file.seek(60)
        file.write(b"\xab\xcd\xef")
    with pytest.raises(ValueError) as failure:
        sources.source("records", data_dir=target).read(0)
    assert str(failure.value) == (
        f"`data_dir` must hold the records as they were written; this one has changed, got data_dir='{path}@12'. "
        "Delete the shard and run kseg.data.write_records again.")


def without(key):
    return lambda kept: kept.pop(key)


@pytest.mark.parametrize("file, spoil", [
    ("train.json", without("files")), ("train.json", without("label_set")), ("train.json", without("channels")),
    ("train.json", lambda kept: kept.update(channels=2.5)), ("train.json", lambda kept: kept.update(task="colours")),
    ("train.json", lambda kept: kept.update(files=["../train-00000-of-00001.tfrecord"])),
    ("train.json", lambda kept: kept.update(files=["b.tfrecord"])),
    ("train.json", lambda kept: kept["label_set"].update(palette=[[1, 2, 2 ** 40]])),
    ("train-00000-of-00001.tfrecord.json", without("records")),
    ("train-00000-of-00001.tfrecord.json", lambda kept: kept["records"][0].pop()),
    ("train-00000-of-00001.tfrecord.json", lambda kept: kept["records"][0].__setitem__(1, 2 ** 62)),
    ("train-00000-of-00001.tfrecord.json", lambda kept: kept["records"][0].__setitem__(0, "12")),
])
def test_a_damaged_index_is_refused_by_the_sentence(folder, tmp_path, file, spoil):
    target = tmp_path / "records"
    record_writer.write_records("folder", str(target), "train", shards=1, data_dir=folder)
    kept = json.loads((target / file).read_text())
    spoil(kept)
    (target / file).write_text(json.dumps(kept))
    with pytest.raises(ValueError) as failure:
        sources.source("records", data_dir=str(target))
    assert str(failure.value).startswith(
        f"`data_dir` must hold the index of split 'train' as it was written, got data_dir={str(target)!r}. It is damag")


def test_a_shard_that_was_cut_off_is_refused_record_by_record(folder, tmp_path):
    target = tmp_path / "records"
    record_writer.write_records("folder", str(target), "train", shards=1, data_dir=folder)
    path = target / "train-00000-of-00001.tfrecord"
    path.write_bytes(path.read_bytes()[:-20])
    found = sources.source("records", data_dir=str(target))
    found.read(0)
    for place in (2 ** 62, 10 ** 9, found.rows[-1][1]):
        found.rows[-1] = (str(path), place, *found.rows[-1][2:])
        with pytest.raises(ValueError, match="must hold the records as they were written; this one has changed"):
            found.read(len(found) - 1)


def test_a_source_is_filed_as_its_own_split(folder, tmp_path):
    chosen = sources.source("folder", "validation", data_dir=folder)
    assert os.path.basename(record_writer.write_records(chosen, str(tmp_path / "records"))) == "validation.json"
    after = sources.source("records", "validation", data_dir=str(tmp_path / "records"))
    np.testing.assert_array_equal(after.read(5)[0], chosen.read(5)[0])


def test_equal_sets_give_equal_bytes(folder, tmp_path):
    """Protocol buffers order the entries of a map as they like, unless told."""
    record_writer.write_records("folder", str(tmp_path), "train", shards=1, data_dir=folder)
    content = (tmp_path / "train-00000-of-00001.tfrecord").read_bytes()
    first = content[:len(content) // 6]
    places = [first.index(b"\n" + bytes([len(name)]) + name) for name in (b"image", b"index", b"labels", b"path")]
    assert places == sorted(places)


def test_a_disk_that_refuses_is_the_error_sentence_and_leaves_no_draft(folder, tmp_path, monkeypatch):
    def refuse(*arguments, **keywords):
        raise tf.errors.ResourceExhaustedError(None, None, "/disk/a.part; No space left on device")

    monkeypatch.setattr(tf.io.TFRecordWriter, "write", refuse)
    with pytest.raises(OSError) as caught:
        record_writer.write_records("folder", str(tmp_path / "records"), "train", shards=1, data_dir=folder)
    path = str(tmp_path / "records" / "train-00000-of-00001.tfrecord")
    assert str(caught.value) == (f"`path` must be a place that can be written to, got path={path!r}. The system says: "
                                 "No space left on device. Free space or choose another folder.")
    assert os.listdir(tmp_path / "records") == []
    with pytest.raises(OSError, match="`path` must be a place that can be written to"):
        record_writer.write_records("folder", os.path.join(folder, "train", "images", "000.png"), "train",
                                    data_dir=folder)
