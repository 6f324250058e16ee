"""Batches by name: shapes, order, epochs, shards, sizes, caches and errors."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kseg
from kseg.data.order import Order
from kseg.data.sources.shapes import ShapesSource


def batches(dataset):
    return [tuple(part.numpy() for part in batch) for batch in dataset]


def equal(first, second):
    return len(first) == len(second) and all(np.array_equal(a, b) for x, y in zip(first, second) for a, b in zip(x, y))


def order(dataset):
    """The images' numbers, which `make_folder` paints into the green channel."""
    return [int(pixels[0, 0, 1]) // 20 for batch in batches(dataset) for pixels in batch[0]]


def test_contract_of_a_batch(folder):
    dataset = kseg.data.load("folder", "train", data_dir=folder, batch_size=4, drop_remainder=False)
    assert len(dataset) == 2
    pixels, labels = next(iter(dataset))
    assert pixels.dtype == tf.uint8 and pixels.shape == (4, 20, 30, 3)
    assert labels.dtype == tf.int32 and labels.shape == (4, 20, 30)
    assert dataset.element_spec[0].shape.as_list() == [None, 20, 30, 3]
    np.testing.assert_array_equal(pixels[..., 0] // 80, labels)


def test_one_pass_is_one_epoch_and_training_drops_the_remainder(folder):
    train = kseg.data.load("folder", "train", data_dir=folder, batch_size=4)
    assert len(train) == len(batches(train)) == 1
    validation = kseg.data.load("folder", "validation", data_dir=folder, batch_size=4)
    assert len(validation) == len(batches(validation)) == 2
    assert order(validation) == list(range(6))


def test_epochs_differ_are_reproducible_and_addressable(folder):
    options = dict(data_dir=folder, image_size=(16, 16), batch_size=3, augment=True, seed=5)
    running = kseg.data.load("folder", "train", **options)
    first, second = batches(running), batches(running)
    assert not equal(first, second)
    again = kseg.data.load("folder", "train", **options)
    assert equal(first, batches(again)) and equal(second, batches(again))
    fixed = kseg.data.load("folder", "train", epoch=1, cache=False, **options)
    assert equal(second, batches(fixed)) and equal(second, batches(fixed))
    at = {"epoch": 1}
    asked = kseg.data.load("folder", "train", epoch=lambda: at["epoch"], **options)
    assert equal(second, batches(asked))
    at["epoch"] = 0
    assert equal(first, batches(asked))
    other = kseg.data.load("folder", "train", **{**options, "seed": 6})
    assert not equal(first, batches(other))


def test_without_a_seed_runs_differ():
    one, two = (batches(kseg.data.load("shapes", "train", image_size=(32, 32), batch_size=40).take(1))
                for _ in range(2))
    assert not equal(one, two)


def test_shuffle_false_keeps_the_order_and_true_is_a_permutation(folder):
    load = lambda **options: kseg.data.load("folder", "train", data_dir=folder, batch_size=2, seed=1, **options)
    assert order(load(shuffle=False)) == list(range(6))
    dataset = load()
    orders = [order(dataset) for _ in range(3)]
    assert all(sorted(one) == list(range(6)) for one in orders) and len(set(map(tuple, orders))) > 1


def test_shards_are_disjoint_and_complete(folder):
    parts = [order(kseg.data.load("folder", "validation", data_dir=folder, batch_size=1, shard=(index, 4)))
             for index in range(4)]
    assert sorted(sum(parts, [])) == list(range(6))
    parts = [order(kseg.data.load("folder", "train", data_dir=folder, batch_size=1, shard=(index, 4)))
             for index in range(4)]
    assert [len(part) for part in parts] == [1, 1, 1, 1]


def test_patches_take_each_image_several_times_and_differently(folder):
    dataset = kseg.data.load("folder", "train", data_dir=folder, image_size=(8, 8), batch_size=18, patches=3, seed=1,
                             augment={"scale": (2.0, 2.0), "class_aware": 0.5}, shuffle=False)
    (pixels, labels), = batches(dataset)
    assert len(labels) == 18
    assert any(not np.array_equal(labels[0], other) for other in labels[1:3])


@pytest.mark.parametrize("cache", [False, "memory", "disk"])
def test_caches_do_not_change_what_comes_out(folder, tmp_path, cache):
    options = dict(data_dir=folder, image_size=(16, 24), batch_size=3, augment="deeplab", seed=2, epoch=0)
    plain = batches(kseg.data.load("folder", "train", cache=None, **options))
    where = str(tmp_path / "cache") if cache == "disk" else cache
    for _ in range(2):
        assert equal(plain, batches(kseg.data.load("folder", "train", cache=where, **options)))
    if cache == "disk":
        assert len(os.listdir(os.path.join(where, os.listdir(where)[0]))) == 6


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_the_cache_may_hold_resized_pairs(folder, tmp_path, cache):
    where = str(tmp_path / "cache") if cache == "disk" else cache
    options = dict(data_dir=folder, batch_size=6)
    kept = kseg.data.load("folder", "validation", cache=where, cache_size=(10, 15), **options)
    expected = batches(kseg.data.load("folder", "validation", image_size=(10, 15), **options))
    assert equal(batches(kept), expected) and equal(batches(kept), expected)
    if cache == "disk":
        assert re.fullmatch("folder-validation-3-10x15-[0-9a-f]{12}", *os.listdir(where))


def test_a_cache_on_disk_answers_for_its_own_source_only(folder, tmp_path):
    def ids(where, **options):
        data = kseg.data.load("folder", "train", data_dir=where, classes=3, batch_size=6, shuffle=False,
                              cache=str(tmp_path / "cache"), **options)
        return next(iter(data))[1].numpy()

    first = ids(folder)
    np.testing.assert_array_equal(ids(folder, label_map={0: 2, 1: 1, 2: 0}), 2 - first)
    other = shutil.copytree(folder, tmp_path / "other")
    for index in range(6):
        Image.fromarray(np.full((20, 30), 1, np.uint8)).save(other / "train" / "labels" / f"{index:03d}.png")
    assert (ids(str(other)) == 1).all()
    Image.fromarray(np.full((20, 30), 2, np.uint8)).save(other / "train" / "labels" / "000.png")
    assert (ids(str(other))[0] == 2).all()
    assert len(os.listdir(tmp_path / "cache")) == 4
    np.testing.assert_array_equal(ids(folder), first)
    assert len(os.listdir(tmp_path / "cache")) == 4


def test_evaluation_resizes_pixels_smoothly_and_labels_to_the_nearest(folder):
    dataset = kseg.data.load("folder", "validation", data_dir=folder, image_size=(10, 15), batch_size=6)
    (pixels, labels), = batches(dataset)
    whole, ids = next(iter(kseg.data.load("folder", "validation", data_dir=folder, batch_size=6)))
    np.testing.assert_allclose(pixels, tf.image.resize(whole, (10, 15), antialias=True), atol=0.51)
    np.testing.assert_array_equal(labels, ids[:, 1::2, 1::2])


def test_images_of_different_size_need_image_size(folder):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(os.path.join(folder, "val", "images", "005.png"))
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(os.path.join(folder, "val", "labels", "005.png"))
    with pytest.raises(tf.errors.InvalidArgumentError) as failure:
        batches(kseg.data.load("folder", "validation", data_dir=folder, batch_size=2))
    path = os.path.join(folder, "val", "images", "005.png")
    assert kseg.data.failure_sentence(failure.value) == (
        f"`image_size` must be given when images differ in size: {path!r} is (8, 8), the first is (20, 30), got "
        "image_size=None. Pass image_size=(height, width), or batch_size=1.")
    assert len(batches(kseg.data.load("folder", "validation", data_dir=folder, batch_size=1))) == 6
    assert len(batches(kseg.data.load("folder", "validation", data_dir=folder, batch_size=2, image_size=(8, 8)))) == 3


def test_unreadable_files_raise_or_are_skipped_with_their_count(folder, caplog):
    path = os.path.join(folder, "val", "images", "002.png")
    open(path, "wb").close()
    with pytest.raises(ValueError) as failure:
        kseg.data.load("folder", "validation", data_dir=folder)
    assert str(failure.value) == (f"`image` must be an image file; this one has no bytes, got image={path!r}. Copy it "
                                  "again or remove the pair.")
    dataset = kseg.data.load("folder", "validation", data_dir=folder, on_error="skip", batch_size=2)
    assert order(dataset) == [0, 1, 3, 4, 5]
    assert "skipped 1 of 6 examples of folder so far" in caplog.text


@pytest.mark.parametrize("part", ["images", "labels"])
def test_the_first_pair_may_be_skipped_too(folder, part):
    open(os.path.join(folder, "val", part, "000.png"), "wb").close()
    dataset = kseg.data.load("folder", "validation", data_dir=folder, on_error="skip", batch_size=2)
    assert dataset.element_spec[0].shape.as_list() == [None, 20, 30, 3]
    assert order(dataset) == [1, 2, 3, 4, 5]


def test_a_source_keeps_its_split_and_channels(folder):
    chosen = kseg.data.source("folder", "validation", data_dir=folder, channels=1)
    dataset = kseg.data.load(chosen, batch_size=6)
    assert next(iter(dataset))[0].shape == (6, 20, 30, 1)
    report = kseg.data.check(chosen)
    assert (report.split, report.pairs) == ("validation", 6)


class FourBands(ShapesSource):
    """Shapes with the mean colour as a fourth band."""

    def read(self, index):
        pixels, labels = super().read(index)
        return np.concatenate([pixels, pixels.mean(-1, keepdims=True).astype(np.uint8)], -1), labels


def test_other_bands_are_augmented_by_every_recipe():
    chosen = FourBands("validation", (24, 32), channels=4)
    for recipe in ("default", "deeplab", "pspnet", "unet"):
        pixels, _ = next(iter(kseg.data.load(chosen, augment=recipe, batch_size=2, seed=1)))
        assert pixels.shape == (2, 24, 32, 4) and pixels.dtype == tf.uint8


def test_grey_pixels_and_single_examples(folder):
    pixels, labels = next(iter(kseg.data.load("folder", "train", data_dir=folder, channels=1, batch_size=None,
                                              augment="unet", image_size=(16, 16))))
    assert pixels.shape == (16, 16, 1) and labels.shape == (16, 16)


@pytest.mark.parametrize("recipe", ["default", "deeplab", "pspnet", "unet"])
@pytest.mark.parametrize("size", [None, (24, 18)])
def test_recipes_by_name(folder, recipe, size):
    dataset = kseg.data.load("folder", "train", data_dir=folder, image_size=size, augment=recipe, batch_size=24,
                             patches=4, seed=0)
    (pixels, labels), = batches(dataset)
    assert pixels.shape[1:3] == labels.shape[1:] == (size or (20, 30))
    assert set(np.unique(labels)) <= {0, 1, 2, 255}
    if recipe != "default":  # colour jitter comes before the fill, so that uncovered pixels are the mean in all
        assert (labels == 255).any()
    assert (pixels[labels == 255] == [124, 116, 104]).all()


def test_mixing_runs_on_batches(folder):
    plan = kseg.data.Recipe(mix="classmix")
    options = dict(data_dir=folder, batch_size=6, seed=0, epoch=0)
    mixed = batches(kseg.data.load("folder", "train", augment=plan, **options))
    plain = batches(kseg.data.load("folder", "train", **options))
    assert not np.array_equal(mixed[0][1], plain[0][1])
    np.testing.assert_array_equal(mixed[0][0][..., 0] // 80, mixed[0][1])


def test_a_function_may_augment(folder):
    dataset = kseg.data.load("folder", "train", data_dir=folder, batch_size=6, shuffle=False,
                             augment=lambda pixels, labels, seed: (255 - pixels, labels))
    (pixels, labels), = batches(dataset)
    np.testing.assert_array_equal((255 - pixels[..., 0]) // 80, labels)


@pytest.mark.parametrize("options, sentence", [
    ({"augment": "psp"}, "`augment` must be one of ('default', 'deeplab', 'pspnet', 'unet'), got augment='psp'. Did "
                         "you mean 'pspnet'?"),
    ({"augment": {"scale": (0.5, 1.0), "class_aware": 0.5}},
     "`class_aware` must be 0 where no scale is above 1, (0.5, 1.0), for nothing is cropped then, got class_aware=0.5. "
     "Write for example scale=(0.5, 2.0)."),
    ({"image_size": 3}, "`image_size` must be two positive integers (height, width), got image_size=3. Write for "
                        "example image_size=(384, 512)."),
    ({"shard": (2, 2)}, "`shard` must be (index, count) with 0 <= index < count, got shard=(2, 2). Write for example "
                        "shard=(0, 2) and shard=(1, 2)."),
    ({"on_error": "ignore"}, "`on_error` must be one of ('raise', 'skip'), got on_error='ignore'. Choose one of "
                             "('raise', 'skip')."),
    ({"batch_size": 0}, "`batch_size` must be a positive integer, got batch_size=0. Pass a whole number of at least "
                        "1."),
    ({"split": "val"}, "`split` must be one of ('train', 'validation', 'test'), got split='val'. Did you mean "
                       "'validation'?"),
])
def test_illegal_arguments(options, sentence):
    with pytest.raises(ValueError) as failure:
        kseg.data.load("shapes", **{"split": "train", **options})
    assert str(failure.value) == sentence


def test_0_255_masks_raise_at_once(folder):
    for index in range(6):
        path = os.path.join(folder, "train", "labels", f"{index:03d}.png")
        Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8) * 255).save(path)
    for options, shown in (({"classes": 2}, "the files read so far hold nothing else than, got labels=[0, 255]. "),):
        with pytest.raises(ValueError) as failure:
            kseg.data.load("folder", "train", data_dir=folder, **options)
        assert str(failure.value) == (
            "`labels` must hold class ids, and 255 only for ignore; " + shown + "These look like 0/255 masks, and 255 "
            "means ignore: pass label_map={0: 0, 255: 1} to read 255 as class 1, or "
                "task='binary' for a model of one class.")
    with pytest.raises(ValueError, match="These look like 0/255 masks"):
        kseg.data.load("folder", "train", data_dir=folder)
    _, labels = next(iter(kseg.data.load("folder", "train", data_dir=folder, label_map={0: 0, 255: 1})))
    assert set(np.unique(labels)) == {0, 1}


def test_border_weights_come_as_sample_weights(folder):
    dataset = kseg.data.load("folder", "train", data_dir=folder, batch_size=2, border_weights={"cell_classes": (1, 2)})
    pixels, labels, weights = next(iter(dataset))
    assert weights.dtype == tf.float32 and weights.shape == labels.shape and weights.numpy().min() >= 1


def test_shuffling_moves_the_first_example():
    dataset = Order(3, seed=3, shuffle=True).of_numbers()
    assert {int(next(iter(dataset))[0]) for _ in range(15)} == {0, 1, 2}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, so that TensorFlow is imported once")
def test_a_program_may_end_with_an_open_iterator(folder):
    """TensorFlow alone hangs or aborts there more often than not: its threads still call Python."""
    program = f"""
import os, tensorflow, kseg
for ending in ("", "", "", "raise SystemExit(3)", "raise SystemExit(3)", "raise SystemExit(3)"):
    child = os.fork()
    if not child:
        break
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (3 if ending else 0)
else:
    raise SystemExit(5)
batches = iter(kseg.data.load("folder", "train", data_dir={str(folder)!r}, batch_size=2, image_size=(720, 960),
                              augment=True, cache=False, patches=99))
next(batches)
exec(ending)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=240, check=False)
    assert done.returncode == 5, done.stderr.decode()[-2000:]


def test_a_full_disk_under_a_cache_is_the_error_sentence(folder, tmp_path, monkeypatch):
    def refuse(path, array):
        raise OSError("1800 requested and 512 written")  # as NumPy says it

    monkeypatch.setattr(np, "save", refuse)
    dataset = kseg.data.load("folder", "train", data_dir=folder, batch_size=None, cache=str(tmp_path / "cache"))
    with pytest.raises(tf.errors.OpError) as caught:
        next(iter(dataset))
    assert re.fullmatch("`path` must be a place that can be written to, got path='.*/[0-9]{7}.npy'. The system says: "
                        "1800 requested and 512 written. Free space or choose another folder.",
                        kseg.data.failure_sentence(caught.value))


@pytest.mark.parametrize("options, words", [
    ({"batch_share": (2, 2)}, r"`batch_share` must be \(index, count\) with 0 <= index < count, got batch_share="),
    ({"batch_share": (0, 2), "batch_size": None}, "`batch_size` must be a positive integer, got batch_size=None")])
def test_a_share_of_batches_needs_batches(options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        kseg.data.load("shapes", "train", image_size=(32, 32), **options)
