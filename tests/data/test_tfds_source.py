"""TensorFlow Datasets as sources, without a network."""

import os
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import kseg
from kseg.data import shapes, tfds_source


def pets(count=6):
    """Images and trimaps of different sizes, as the Oxford pets have them."""
    random = np.random.default_rng(0)
    for index in range(count):
        size = (20 + index, 30)
        mask = random.integers(1, 4, (*size, 1), dtype=np.uint8)
        yield {"image": np.repeat(mask * 50, 3, -1), "segmentation_mask": mask, "label": index % 2, "species": 0,
               "file_name": f"{index}", "head_bbox": np.zeros(4, np.float32)}


@pytest.fixture
def mocked(monkeypatch):
    def as_dataset(self, *args, **kwargs):
        signature = {"image": tf.TensorSpec((None, None, 3), tf.uint8),
                     "segmentation_mask": tf.TensorSpec((None, None, 1), tf.uint8)}
        return tf.data.Dataset.from_generator(
            lambda: ({key: example[key] for key in signature} for example in pets()), output_signature=signature)

    with tfds.testing.mock_data(num_examples=6, as_dataset_fn=as_dataset):
        yield


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
        tfds_source._split(types.SimpleNamespace(
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
    assert isinstance(builder, tfds_source.Shapes)
    chosen = kseg.data.source("tfds:shapes", "validation", data_dir=str(tmp_path))
    assert len(chosen) == 100
    pixels, labels = chosen.read(0)
    matches = [index for index in range(100) if np.array_equal(shapes.generate("validation", index)[1], labels)]
    assert len(matches) == 1
    np.testing.assert_array_equal(shapes.generate("validation", matches[0])[0], pixels)
