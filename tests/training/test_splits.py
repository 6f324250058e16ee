"""The batches of a run: what they hold, how many there are, and that the epoch alone decides them."""

import os

import numpy as np
import pytest
from PIL import Image

from kseg.data import shapes
from kseg.training import TrainingRecipe
from kseg.training.splits import Splits
from tests.data.conftest import make_folder
from tests.data.sources import annotations


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


def test_an_id_that_means_another_class_in_validation_raises(tmp_path):
    for split, names in (("train", ("person", "dog", "brush")), ("val", ("dog", "person", "brush"))):
        annotations.write_images(str(tmp_path / split), annotations.label_maps())
        categories = [{"id": category, "name": name} for category, name in zip((1, 18, 90), names)]
        annotations.dump(str(tmp_path / f"{split}.json"), annotations.coco(annotations.label_maps(),
                                                                           categories=categories))
    recipe = TrainingRecipe(data="coco", data_dir=str(tmp_path))
    with pytest.raises(ValueError) as failure:
        Splits.open(recipe, 3)
    assert str(failure.value) == (
        "`data` must have the same classes in training, ['background', 'person', 'dog', 'brush'], and in validation, "
        "got data=['background', 'dog', 'person', 'brush']. Name them in data_options: classes=['background', …].")
    recipe = TrainingRecipe(data="coco", data_dir=str(tmp_path), data_options={
        "classes": ["background", "person", "dog", "brush"]})
    splits = Splits.open(recipe, 3)
    labels = [source.read_labels(0) for source in (splits.train, splits.validation)]
    np.testing.assert_array_equal(labels[1], np.array([0, 2, 1, 3])[labels[0]])
