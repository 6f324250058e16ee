"""Many images on a real Ray cluster of two processors: equal to kseg.predict, each once, whoever is killed."""

import glob
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kseg
from kseg import distributed
from kseg.labels import LabelSet
from kseg.models import Segmenter
from tests.conftest import structured_image

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow
LABELS = LabelSet(("dark", "red", "green"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    keras.utils.set_random_seed(3)
    pixels = keras.Input((None, None, 3))
    logits = keras.layers.Conv2D(3, 9, padding="same", dtype="float32")(keras.layers.Rescaling(1 / 255)(pixels))
    path = tmp_path_factory.mktemp("model") / "tiny.keras"
    Segmenter(pixels, logits, label_set=LABELS).save(path)
    return str(path)


def write_images(folder, count, size=40):
    """Write images of two sizes and kinds, some of the same name in different subfolders."""
    for index in range(count):
        place = folder / ("left", "right", "")[index % 3]
        place.mkdir(parents=True, exist_ok=True)
        image = np.roll(structured_image(size, size + 8 * (index % 2)), 3 * index, axis=1)
        Image.fromarray(image).save(place / f"{index // 3}.{('png', 'jpg')[index % 2]}")
    return folder


def lines_of(output):
    """Return (key, error or None, whether it was segmented) of every whole line that workers wrote."""
    return [json.loads(line) for path in glob.glob(f"{output}/manifest/*.jsonl") for line in open(path)
            if line.endswith("\n")]


def assert_equal_to_predict(model, images, output):
    model, count = kseg.load_model(model), 0
    for path in sorted(images.rglob("*.*")):
        labels = Image.open((output / "labels" / path.relative_to(images)).with_suffix(".png"))
        assert labels.mode == "P"
        np.testing.assert_array_equal(np.asarray(labels), kseg.predict(model, path), err_msg=str(path))
        count += 1
    assert count == len(list((output / "labels").rglob("*.png")))


def times_of(output):
    return {path: path.stat().st_mtime_ns for path in (output / "labels").rglob("*.png")}


def test_folder_with_broken_images_goes_on_and_grows(cluster, model, tmp_path, capsys):
    images, output = write_images(tmp_path / "in", 20), tmp_path / "out"
    (images / "broken.jpg").write_bytes(b"no image")
    job = distributed.predict(model, images, output, workers=2, progress=True)
    assert (job.written, job.kept, list(job.errors)) == (20, 0, ["broken.jpg"])
    assert "must be a complete image file" in job.errors["broken.jpg"]
    assert pathlib.Path(job.errors_file).read_text().splitlines()[1].startswith("broken.jpg,")
    before = times_of(output)
    structured = structured_image(30, 30)
    Image.fromarray(structured).save(images / "broken.jpg")  # repaired
    Image.fromarray(structured).save(images / "left" / "new.png")
    job = distributed.predict(model, images, output, workers=1)
    assert (job.written, job.kept, job.errors, job.errors_file) == (2, 20, {}, None)
    assert not (output / "errors.csv").exists()
    assert before.items() <= times_of(output).items()
    assert_equal_to_predict(model, images, output)
    with pytest.raises(FileExistsError, match="`output` must be a new folder or that of the same job, not of another "
                                              "flip, got output="):
        distributed.predict(model, images, output, flip=True)
    with pytest.raises(FileExistsError, match="not of another images and format"):
        distributed.predict(model, images / "left", output, format="parquet")


def records(folder, count):
    """Return key → pixels, written as Parquet, tar and TFRecord below `folder`."""
    found = {f"street/{index}": structured_image(24 + index % 2, 32) for index in range(count)}
    encoded = {}
    for key, pixels in found.items():
        with io.BytesIO() as file:
            Image.fromarray(pixels).save(file, "png")
            encoded[key] = file.getvalue()
    for kind in ("parquet", "tar", "tfrecord"):
        (folder / kind).mkdir(parents=True)
    half = list(encoded)[:count // 2], list(encoded)[count // 2:]
    for part, keys in enumerate(half):
        table = pyarrow.table({"key": keys, "image": [encoded[key] for key in keys], "more": [0] * len(keys)})
        parquet.write_table(table, folder / "parquet" / f"{part}.parquet", row_group_size=4)
        with tarfile.open(folder / "tar" / f"{part}.tar", "w") as tar:
            for key in keys:
                for suffix, content in (("png", encoded[key]), ("json", b"{}")):
                    info = tarfile.TarInfo(f"{key}.{suffix}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
        with tf.io.TFRecordWriter(str(folder / "tfrecord" / f"{part}.tfrecord")) as file:
            for key in keys:
                features = {"image": encoded[key], "path": key.encode()}
                file.write(tf.train.Example(features=tf.train.Features(feature={
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                    for name, value in features.items()})).SerializeToString())
    return found


def test_records_are_read_lazily_into_the_same_images(cluster, tmp_path):
    from kseg.distributed.image_sets import image_of, image_set
    from kseg.distributed.streaming import quiet_data

    found = records(tmp_path, 10)
    for kind in ("parquet", "tar", "tfrecord"):
        images = image_set(tmp_path / kind)
        assert images.count == (10 if kind == "parquet" else None)
        with quiet_data():
            rows = images.dataset(frozenset(), 2).take_all()
        assert len(rows) == 10
        for row in rows:
            image = image_of(row, images.columns)
            with image.as_file() as path:
                np.testing.assert_array_equal(np.asarray(Image.open(path)), found[image.key])
            assert not os.path.exists(path)


def test_a_tar_that_ends_too_early(cluster, model, tmp_path):
    records(tmp_path, 6)
    for path in (tmp_path / "tar").glob("*.tar"):
        path.write_bytes(path.read_bytes()[:700])  # in the middle of the first image
    with pytest.raises(ValueError, match="`images` must be records that can be read, got images="):
        distributed.predict(model, tmp_path / "tar", tmp_path / "out", workers=1)


def test_parquet_to_parquet(cluster, model, tmp_path):
    found, output = records(tmp_path, 10), tmp_path / "out"
    job = distributed.predict(model, tmp_path / "parquet", output, workers=2, format="parquet")
    assert (job.written, job.kept, job.errors) == (10, 0, {})
    names = sorted(os.listdir(output / "parquet"))
    rows = parquet.read_table(output / "parquet").to_pylist()
    assert sorted(row["key"] for row in rows) == sorted(found)
    loaded = kseg.load_model(model)
    for row in rows:
        labels = np.asarray(Image.open(io.BytesIO(row["labels"])))
        assert labels.shape == (row["height"], row["width"])
        np.testing.assert_array_equal(labels, kseg.predict(loaded, found[row["key"]]))
    for line in glob.glob(f"{output}/manifest/*.jsonl"):
        os.remove(line)  # a part is its own record
    job = distributed.predict(model, tmp_path / "parquet", output, workers=1, format="parquet")
    assert (job.written, job.kept) == (0, 10)
    assert sorted(os.listdir(output / "parquet")) == names


def wait_for(condition, seconds=240):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


SLOW = {"scales": (0.5, 1.0, 1.5), "flip": True}


def assert_each_once(model, images, output, before, count):
    assert 0 < len(before) < count
    assert before.items() <= times_of(output).items()  # nothing done was touched
    lines, keys = lines_of(output), sorted(str(path.relative_to(images)) for path in images.rglob("*.*"))
    assert sorted({key for key, _, _ in lines}) == keys
    segmented = [key for key, _, new in lines if new]
    assert len(set(segmented)) == len(segmented) >= count - 1  # the dead may have written one and not said so
    loaded = kseg.load_model(model)
    for path in images.rglob("*.*"):
        stored = np.asarray(Image.open((output / "labels" / path.relative_to(images)).with_suffix(".png")))
        np.testing.assert_array_equal(stored, kseg.predict(loaded, path, **SLOW))


def test_killed_worker_is_replaced_and_no_image_done_twice(cluster, model, tmp_path):
    images, output, killed = write_images(tmp_path / "in", 24, 200), tmp_path / "out", []

    def kill():
        wait_for(lambda: len(lines_of(output)) >= 2)
        path, = glob.glob(f"{output}/manifest/*.jsonl")
        os.kill(int(path.split("-")[-2]), signal.SIGKILL)
        killed.append(times_of(output))

    thread = threading.Thread(target=kill)
    thread.start()
    job = distributed.predict(model, images, output, workers=1, **SLOW)
    thread.join()
    assert job.written + job.kept == 24 and not job.errors
    assert len(glob.glob(f"{output}/manifest/*.jsonl")) == 2  # of the dead and of its heir
    assert_each_once(model, images, output, killed[0], 24)


def test_killed_program_goes_on(cluster, model, tmp_path):
    images, output = write_images(tmp_path / "in", 24, 200), tmp_path / "out"
    command = [sys.executable, "-m", "kseg.cli", "predict", model, str(images), "--output", str(output), "--ray",
               "local", "--workers", "1", "--flip", "--scales", "0.5", "1.0", "1.5", "--quiet"]
    program = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.getcwd()},
                               stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for(lambda: len(lines_of(output)) >= 2 or program.poll() is not None)
    program.send_signal(signal.SIGKILL)
    program.wait()
    time.sleep(2)  # its workers end by themselves
    before = times_of(output)
    job = distributed.predict(model, images, output, workers=1, **SLOW)
    assert job.written + job.kept == 24 and job.kept >= 2 and not job.errors
    assert_each_once(model, images, output, before, 24)


class Dying:
    def __init__(self, place):
        self.place = place

    def __call__(self, rows):
        if rows[0]["id"] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return rows


class Refusing:
    def __init__(self, place):
        raise FileNotFoundError(f"no {place} here")


def test_what_happens_to_workers_is_said(cluster):
    from kseg.distributed.cluster import Workers
    from kseg.distributed.streaming import in_pieces, on_one_worker, quiet_data, stream

    crew = Workers(1, 1, 0)
    with quiet_data():
        with pytest.raises(FileNotFoundError, match="^no model here$"):
            list(stream(in_pieces([{"id": number} for number in range(4)], 1), Refusing, {"place": "model"}, crew, 2))
        with pytest.raises(ChildProcessError, match=r"`workers` must live, and 4 have died over \{'id': 0\} or one of "
                                                    "the 1 after it, .* take fewer workers or a smaller batch_size"):
            list(stream(in_pieces([{"id": number} for number in range(4)], 1), Dying, {"place": "here"}, crew, 2))
    with pytest.raises(ChildProcessError, match="`workers` must live, and Ray has lost one"):
        on_one_worker(os._exit, 1)
    with pytest.raises(ChildProcessError, match="`workers` must fit into the memory of their machines"):
        on_one_worker(exhaust)


def exhaust():
    raise MemoryError("no more")


def test_a_model_that_workers_do_not_see(cluster, model, tmp_path):
    from kseg.distributed.batch_prediction import check_model
    from kseg.distributed.sent_model import SentModel
    from kseg.distributed.streaming import on_one_worker

    path = tmp_path / "gone.keras"
    path.write_bytes(pathlib.Path(model).read_bytes())
    sent = SentModel(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="`model` must be a path that every worker sees, got model="):
        on_one_worker(check_model, sent, {}, None)
    loaded = kseg.load_model(model)
    assert on_one_worker(check_model, SentModel(loaded), {}, None) is None  # its content is sent
    assert SentModel(loaded).digest == SentModel(kseg.load_model(model)).digest
    with pytest.raises(ValueError, match="`overlap` must be a number between 0 and 0.99"):
        on_one_worker(check_model, SentModel(model), {"overlap": 2}, None)
