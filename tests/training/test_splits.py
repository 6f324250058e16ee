"""The batches of a run: what they hold, how many there are, and that the epoch alone decides them."""

import os

import numpy as np
from PIL import Image

from kseg.data import shapes
from kseg.training import TrainingRecipe
from kseg.training.splits import Splits
from tests.data.conftest import make_folder


def test_border_weights_are_for_training_only(monkeypatch):
    monkeypatch.setattr(shapes, "COUNTS", {"train": 6, "validation": 2, "test": 2})
    recipe = TrainingRecipe(image_size=(32, 32), batch_size=2, data_options={"border_weights": {"cell_classes": [1]}})
    splits = Splits.open(recipe, 3)
    assert len(next(iter(splits.training_batches(lambda: 0)))) == 3
    assert len(next(iter(splits.validation_batches()))) == 2


def test_skipped_pairs_leave_the_number_of_batches_known(tmp_path):
    folder = make_folder(tmp_path / "set")
    recipe = TrainingRecipe(data="folder", data_dir=folder, image_size=(20, 30), batch_size=2, augment=False,
                            data_options={"classes": 3, "on_error": "skip"})
    sound = {at: [labels.numpy() for _, labels in Splits.open(recipe, 3).training_batches(lambda: at)] for at in (0, 1)}
    broken = os.path.join(folder, "train", "images", "002.png")
    ids = np.asarray(Image.open(broken.replace("images", "labels")))
    open(broken, "wb").close()
    batches = Splits.open(recipe, 3).training_batches(lambda: epoch)
    assert len(batches) == 3
    for epoch in (0, 1, 0):
        expected = [one for one in np.concatenate(sound[epoch]) if not np.array_equal(one, ids)]
        given = np.concatenate([labels.numpy() for _, labels in batches])
        np.testing.assert_array_equal(given[:4], expected[:4])
        assert len(batches) == 3


def test_training_data_depends_on_the_epoch_alone(monkeypatch):
    monkeypatch.setattr(shapes, "COUNTS", {"train": 6, "validation": 2, "test": 2})
    recipe = TrainingRecipe(image_size=(32, 32), batch_size=2, class_aware=0.5)
    passes = [[pixels.numpy() for pixels, _ in Splits.open(recipe, 3).training_batches(lambda: epoch)]
              for epoch in (0, 1, 1)]
    np.testing.assert_array_equal(passes[1], passes[2])
    assert not np.array_equal(passes[0], passes[1])
