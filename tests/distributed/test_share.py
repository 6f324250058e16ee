"""The shares of the batches are, together, the batches of one process."""

import numpy as np
import pytest
import tensorflow as tf

from kseg import data
from kseg.training import TrainingRecipe
from kseg.training.splits import Splits
from tests.data.conftest import make_folder


def _numbers(batches):
    """Return which image each example of the batches is, by its green channel."""
    return [(pixels.numpy()[:, 0, 0, 1] // 20).tolist() for pixels, _ in batches]


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    root = make_folder(tmp_path_factory.mktemp("set"), count=11, size=(20, 20))
    recipe = TrainingRecipe(data="folder", data_dir=root, data_options={"classes": 3}, image_size=(20, 20),
                            batch_size=4, augment=False)
    return Splits.open(recipe, 3)


def test_training_batches(splits):
    whole = _numbers(splits.training_batches(lambda: 1))
    parts = [_numbers(splits.training_batches(lambda: 1, (index, 2))) for index in range(2)]
    assert [len(part) for part in parts] == [2, 2]
    assert [first + second for first, second in zip(*parts)] == whole


def test_validation_batches(splits):
    whole = _numbers(splits.validation_batches())
    parts = [splits.validation_batches((index, 2)) for index in range(2)]
    assert [len(part) for part in parts] == [2, 1]
    assert [len(batch) for part in parts for batch in _numbers(part)] == [4, 3, 4]
    assert sorted(sum(map(_numbers, parts), [])) == sorted(whole)
    many = [_numbers(splits.validation_batches((index, 6))) for index in range(6)]  # more than there are batches
    assert all(many) and sorted(np.concatenate(sum(many, [])).tolist()) == sorted(np.concatenate(whole).tolist())


def test_a_stream_is_dealt_image_by_image(monkeypatch):
    whole, labels = (np.concatenate(list(parts)) for parts in zip(*data.load(
        "shapes", "validation", image_size=(8, 8)).as_numpy_iterator()))
    shapes = data.source("shapes", "validation", image_size=(8, 8))
    stream = tf.data.Dataset.from_tensor_slices((whole, labels.astype(np.uint8), np.arange(len(whole))))
    monkeypatch.setattr(type(shapes), "stream", lambda self: stream)
    parts = [data.load(shapes, batch_size=30, batch_share=(index, 3)) for index in range(3)]
    assert [len(part) for part in parts] == [2, 2, 2]
    for index, part in enumerate(parts):
        np.testing.assert_array_equal(np.concatenate([pixels for pixels, _ in part]), whole[index::3])
