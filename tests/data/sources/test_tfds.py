"""TensorFlow Datasets as sources, without a network."""

import os
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import kseg
from kseg.data import shapes
from kseg.data.sources import tfds as room
from tests.conftest import structured_image
from tests.data.sources.conftest import pets


@pytest.fixture
def stripes(monkeypatch):
    """Six examples as stored, of one class each and of heights 20 to 25; `reads` lists those that were read."""
    reads, wrong = [], set()

    def stored():
        for index in range(6):
            reads.append(index)
            mask = np.full((20 + index, 30, 1), 9 if index in wrong else 1 + index % 2, np.uint8)
            yield {"image": np.repeat(mask * 50, 3, -1), "segmentation_mask": mask}

    def as_dataset(self, *args, **kwargs):
        return tf.data.Dataset.from_generator(stored, output_signature={
            "image": tf.TensorSpec((None, None, 3), tf.uint8),
            "segmentation_mask": tf.TensorSpec((None, None, 1), tf.uint8)})

    with tfds.testing.mock_data(num_examples=6, as_dataset_fn=as_dataset):
        yield types.SimpleNamespace(reads=reads, wrong=wrong)


def heights(dataset):
    return [int(labels.shape[0]) for _, labels in dataset]


@pytest.mark.slow
def test_the_order_depends_on_seed_and_epoch_alone(stripes):
    orders = {}
    for global_seed in (0, 1, 2):
        tf.random.set_seed(global_seed)
        for seed, epoch in ((7, 0), (7, 1), (8, 0)):
            order = heights(kseg.data.load("tfds:oxford_iiit_pet", batch_size=None, seed=seed, epoch=epoch))
            assert sorted(order) == list(range(20, 26))
            assert orders.setdefault((seed, epoch), order) == order
    assert len({tuple(order) for order in orders.values()}) == 3


@pytest.mark.parametrize("shard, shuffle", [(None, False), (None, True), ((0, 4), False), ((0, 4), True)])
def test_a_cache_on_disk_is_used_by_later_passes_and_runs(stripes, tmp_path, shard, shuffle):
    load = lambda: kseg.data.load("tfds:oxford_iiit_pet", batch_size=None, seed=0, cache=str(tmp_path), shard=shard,
                                  shuffle=shuffle)
    dataset = load()
    first = sorted(heights(dataset))
    assert first == {None: list(range(20, 26)), (0, 4): [20] if shuffle else [20, 24]}[shard]
    once = len(stripes.reads)
    assert sorted(heights(dataset)) == sorted(heights(dataset)) == first and len(stripes.reads) == once
    again = load()
    probed = len(stripes.reads)
    assert sorted(heights(again)) == first and len(stripes.reads) == probed


def test_a_cache_of_shards_of_equal_length_is_not_taken_for_whole_ones(stripes, tmp_path):
    for shuffle in (True, False):
        dataset = kseg.data.load("tfds:oxford_iiit_pet", batch_size=None, seed=0, cache=str(tmp_path), shard=(0, 4),
                                 shuffle=shuffle)
        assert heights(dataset) == heights(dataset) == ([20] if shuffle else [20, 24])


def test_alpha_is_dropped_16_bits_are_reduced_and_other_numbers_raise(mocked):
    image = structured_image(20, 30)
    mask = np.ones((20, 30, 1), np.uint8)
    colour, grey = (kseg.data.source("tfds:oxford_iiit_pet", channels=channels) for channels in (3, 1))
    alpha = np.concatenate([image, np.full((20, 30, 1), 255, np.uint8)], -1)
    luminance = grey._converted(image, mask, 0)[0]
    for stored in (image, alpha, alpha * np.uint16(257)):
        np.testing.assert_array_equal(colour._converted(stored, mask, 0)[0], image)
        np.testing.assert_array_equal(grey._converted(stored, mask, 0)[0], luminance)
    with_alpha = np.concatenate([luminance, np.full_like(luminance, 255)], -1)
    for stored in (luminance, luminance * np.uint16(257), with_alpha):
        np.testing.assert_array_equal(colour._converted(stored, mask, 0)[0], np.repeat(luminance, 3, -1))
    with pytest.raises(ValueError) as failure:
        colour._converted(image / np.float32(255), mask, 4)
    assert str(failure.value) == (
        "`image` must be pixels of 8 or 16 bits [H, W, 1 to 4]; 'tfds:oxford_iiit_pet/train/4' is not, got "
        "image='float32[20, 30, 3]'. Prepare the set with grey or RGB images of 8 bits.")


def test_numbers_of_16_bits_keep_their_range(mocked):
    chosen = kseg.data.source("tfds:oxford_iiit_pet", pixel_range=(0, 4095))
    stored = structured_image(20, 30).astype(np.uint16) * 16 + 3
    pixels, _ = chosen._converted(stored, np.ones((20, 30, 1), np.uint8), 0)
    np.testing.assert_allclose(pixels, stored * (255 / 4095), atol=1e-3)
    assert chosen.pixel_dtype == np.float32
    batch, _ = next(iter(kseg.data.load(chosen, image_size=(8, 8), batch_size=2)))
    assert batch.dtype == tf.float32


def test_check_reports_illegal_examples_and_goes_on(stripes):
    stripes.wrong.update((1, 4))
    report = kseg.data.check("tfds:oxford_iiit_pet", other_splits=False)
    assert [finding["path"] for finding in report.errors] == [f"tfds:oxford_iiit_pet/train/{index}" for index in (1, 4)]
    assert report.errors[0]["message"].startswith("`labels` must hold class ids 0..1 or 255 (ignore); 'tfds:")
    assert report.sizes == {f"{20 + index}x30": 1 for index in (0, 2, 3, 5)}
    assert len(stripes.reads) < 14  # in one pass, however many are wrong
    chosen = kseg.data.source("tfds:oxford_iiit_pet")
    for index in (1, 1, 4):
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"tfds:oxford_iiit_pet/train/{index}"):
            chosen.read(index)
    assert [chosen.read(index)[1].shape[0] for index in (5, 2, 3)] == [25, 22, 23]


def test_streams_take_no_skipping(mocked):
    with pytest.raises(ValueError) as failure:
        kseg.data.load("tfds:oxford_iiit_pet", on_error="skip")
    assert str(failure.value) == (
        "`on_error` must be one of ('raise',) for 'tfds:oxford_iiit_pet', got on_error='skip'. A stream leaves no "
        "example out: prepare the set without the broken ones.")
    with pytest.raises(ValueError, match="`on_error` must be one of .* got on_error='nonsense'"):
        kseg.data.load("tfds:oxford_iiit_pet", on_error="nonsense")


def test_oxford_pets(mocked):
    assert kseg.data.source("tfds:oxford_iiit_pet").label_set.names == ("background", "pet")
    dataset = kseg.data.load("tfds:oxford_iiit_pet", "train", image_size=(16, 16), batch_size=3, seed=1, augment=True)
    assert len(dataset) == 2
    first, second = ([tuple(part.numpy() for part in batch) for batch in dataset] for _ in range(2))
    assert first[0][0].shape == (3, 16, 16, 3) and set(np.unique(first[0][1])) <= {0, 1, 255}
    assert not np.array_equal(first[0][0], second[0][0])
    again = [tuple(part.numpy() for part in batch) for batch in kseg.data.load(
        "tfds:oxford_iiit_pet", "train", image_size=(16, 16), batch_size=3, seed=1, augment=True, epoch=1)]
    np.testing.assert_array_equal(again[0][0], second[0][0])


@pytest.mark.slow
def test_a_cache_on_disk_holds_each_split_shard_and_size_by_itself(mocked, tmp_path):
    where = tmp_path / "cache"
    load = lambda split="train", **options: [tuple(part.numpy() for part in example) for example in kseg.data.load(
        "tfds:oxford_iiit_pet", split, batch_size=None, shuffle=False, **options)]
    for options in ({}, {"split": "test"}, {"channels": 1}, {"cache_size": (8, 8)}, {"shard": (0, 2)},
                    {"shard": (1, 2)}, {"label_map": {1: 0, 2: 1, 3: 2}}, {}):
        for one, other in zip(load(cache=str(where), **options), load(cache=False, **options), strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])
    assert os.listdir(tmp_path) == ["cache"]
    assert len(os.listdir(where)) == 7 and all(name.startswith("tfds-oxford_iiit_pet-t") for name in os.listdir(where))


@pytest.mark.parametrize("shuffle", [False, True])
def test_shards_hold_whole_images_with_all_their_patches(mocked, shuffle):
    parts = [kseg.data.load("tfds:oxford_iiit_pet", "train", batch_size=None, patches=3, shard=(index, 4), seed=0,
                            shuffle=shuffle) for index in range(4)]
    heights = [sorted(labels.shape[0] for _, labels in part) for part in parts]
    assert [len(part) for part in parts] == [len(one) for one in heights] == ([3] * 4 if shuffle else [6, 6, 3, 3])
    assert shuffle or heights == [[20] * 3 + [24] * 3, [21] * 3 + [25] * 3, [22] * 3, [23] * 3]


def test_ids_are_mapped_and_illegal_ones_raise(mocked):
    chosen = kseg.data.source("tfds:oxford_iiit_pet")
    stored = [example["segmentation_mask"][..., 0] for example in pets()]
    for index in (0, 1, 4):
        np.testing.assert_array_equal(chosen.read(index)[1], np.array([0, 1, 0, 255])[stored[index]])
    wrong = kseg.data.source("tfds:oxford_iiit_pet", classes=3)
    with pytest.raises(tf.errors.InvalidArgumentError) as failure:
        wrong.read(0)
    assert kseg.data.failure_sentence(failure.value).startswith(
        "`labels` must hold class ids 0..2 or 255 (ignore); 'tfds:oxford_iiit_pet/train/0' has other pixels by id")


def test_unknown_names_splits_and_classes_raise():
    with pytest.raises(ValueError) as failure:
        kseg.data.source("tfds:no_such_set")
    assert str(failure.value) == ("`name` must name a set of TensorFlow Datasets after 'tfds:', got "
                                  "name='tfds:no_such_set'. See tfds.list_builders() for the names.")
    with pytest.raises(ValueError) as failure:
        room._split(types.SimpleNamespace(
            name="oxford_iiit_pet", info=types.SimpleNamespace(splits={"train": 1, "test": 1})), "validation")
    assert str(failure.value) == ("`split` must be one of ('train', 'test') for 'oxford_iiit_pet', got "
                                  "split='validation'. This set has no such part.")
    with pytest.raises(ValueError) as failure:
        kseg.data.source("tfds:mnist")
    assert str(failure.value) == (
        "`classes` must be given for 'tfds:mnist', whose ids kseg does not know, got classes=None. Pass their number, "
        "names or a LabelSet, and label_map={stored: id} if they do not start at 0.")


@pytest.mark.slow
def test_shapes_are_a_registered_builder(tmp_path):
    builder = tfds.builder("shapes", data_dir=str(tmp_path))
    assert isinstance(builder, room.Shapes)
    chosen = kseg.data.source("tfds:shapes", "validation", data_dir=str(tmp_path))
    assert len(chosen) == 100
    pixels, labels = chosen.read(0)
    matches = [index for index in range(100) if np.array_equal(shapes.generate("validation", index)[1], labels)]
    assert len(matches) == 1
    np.testing.assert_array_equal(shapes.generate("validation", matches[0])[0], pixels)


def test_a_set_is_converted_to_a_plain_folder(mocked, tmp_path):
    source = kseg.data.source("tfds:oxford_iiit_pet")
    assert kseg.data.convert(source, tmp_path) == {"train": 6}
    back = kseg.data.source("folder", data_dir=str(tmp_path))
    assert back.label_set == source.label_set
    for index in range(6):
        for part, expected in zip(back.read(index), source.read(index)):
            np.testing.assert_array_equal(part, expected)
