"""`kseg train --adversarial`: options to a recipe, what the folder holds, resuming equals never stopping."""

import csv
import dataclasses
import json
import os

import keras
import numpy as np
import pytest

from kseg import cli
from kseg.cli.recipe_options import recipe
from kseg.data import shapes
from kseg.models.segmenter import Segmenter
from kseg.training import AdversarialRecipe, TrainingRecipe, resume, train
from kseg.training.adversarial.recipe import segmenter_updates
from kseg.training.callbacks.record import Record
from tests.training.tiny import tiny_builder

pytestmark = [pytest.mark.filterwarnings("ignore:after epoch"),  # tiny models may answer one class for an epoch
              pytest.mark.filterwarnings("ignore:`discriminator_accuracy` must stay between")]


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """Return a recipe of two short epochs that starts from a saved tiny segmenter."""
    monkeypatch.setattr(shapes, "COUNTS", {"train": 20, "validation": 5, "test": 5})
    keras.utils.set_random_seed(0)
    tiny_builder(5).save(tmp_path / "trained.keras")
    return AdversarialRecipe(
        start_from=str(tmp_path / "trained.keras"), discriminator="SmallFOV-light", alternate_every=3,
        pretrain_discriminator_steps=6, image_size=(32, 32), batch_size=5, epochs=2, learning_rate=0.01, seed=3)


@pytest.mark.slow
def test_resumed_equals_uninterrupted_and_the_folder_holds_what_is_needed(begun, tmp_path, monkeypatch):
    def interrupt(self, batch, logs=None):
        if self.progress.epoch == 1 and batch == 1:
            raise KeyboardInterrupt

    whole = train(begun, str(tmp_path / "whole"), verbose=0)
    with monkeypatch.context() as patch:
        patch.setattr(Record, "on_train_batch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(begun, str(tmp_path / "killed"), verbose=0)
    killed = resume(str(tmp_path / "killed"), verbose=0)

    with np.load(tmp_path / "whole" / "state.npz") as one, np.load(tmp_path / "killed" / "state.npz") as other:
        assert one.files == other.files
        for name in set(one.files) - {"facts"}:
            np.testing.assert_allclose(one[name], other[name], rtol=0, atol=1e-6)
    for ours, theirs in zip(whole.history, killed.history, strict=True):
        assert ours.keys() == theirs.keys() > {"segmentation_loss", "adversarial_loss", "discriminator_real_loss",
                                               "discriminator_generated_loss", "discriminator_accuracy",
                                               "loss", "mean_iou", "val_loss", "val_mean_iou", "learning_rate"}
        np.testing.assert_allclose([value for name, value in ours.items() if name != "seconds"],
                                   [value for name, value in theirs.items() if name != "seconds"], atol=1e-5)
    assert set(os.listdir(whole.output_dir)) == {
        "run.json", "best.keras", "last.keras", "state.npz", "history.csv", "classes.csv", "curve.png", "panel.png",
        "panels", "report.html", "tensorboard"}
    record = json.loads((tmp_path / "killed" / "run.json").read_text())
    assert AdversarialRecipe.from_dict(record["recipe"]) == begun
    assert (record["status"], record["resumed"], record["epochs_done"]) == ("finished", 1, 2)
    assert record["parameters"]["total"] == killed.model.count_params() == tiny_builder(5).count_params()
    for name in ("best.keras", "last.keras"):
        assert type(keras.models.load_model(tmp_path / "whole" / name)) is Segmenter
    with open(tmp_path / "whole" / "history.csv", encoding="utf-8") as file:
        assert [float(row["val_mean_iou"]) for row in csv.DictReader(file)] == [
            row["val_mean_iou"] for row in whole.history]


@pytest.mark.slow
def test_from_the_command_line(begun, tmp_path, capsys):
    folder = str(tmp_path / "run")
    assert cli.main(["train", "--adversarial", begun.start_from, "--output", folder, "--image-size", "32", "32",
                     "--batch-size", "5", "--epochs", "1", "--discriminator", "SmallFOV-light", "--update",
                     "simultaneous", "--pretrain-discriminator-steps", "2", "--label-encoding", "scaling",
                     "--verbose", "0"]) == 0
    assert "mean" in capsys.readouterr().out
    assert cli.main(["train", "--resume", folder, "--verbose", "0"]) == 0
    assert cli.main(["evaluate", os.path.join(folder, "best.keras"), "--data", "shapes", "--quiet",
                     "--output", str(tmp_path / "report")]) == 0


def _recipe(*words):
    return recipe(cli.parser().parse_args(["train", *words]))


def test_options_become_a_recipe():
    words = ("--adversarial m.keras --epochs 2 --discriminator Stanford --label-encoding scaling "
             "--adversarial-weight 2 --update simultaneous --alternate-every 20 --scaling-threshold 0.8 "
             "--discriminator-stride 4 --discriminator-learning-rate 0.1 --pretrain-discriminator-steps 0")
    assert _recipe(*words.split()) == AdversarialRecipe(
        start_from="m.keras", epochs=2, discriminator="Stanford", label_encoding="scaling", adversarial_weight=2.0,
        update="simultaneous", alternate_every=20, scaling_threshold=0.8, stride=4, discriminator_learning_rate=0.1,
        pretrain_discriminator_steps=0)


def test_a_stored_recipe_is_taken_over_and_overridden(tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"recipe": TrainingRecipe(epochs=7, data="camvid").to_dict()}))
    first = _recipe("--recipe", str(path), "--adversarial", "m.keras", "--update", "simultaneous")
    assert first == AdversarialRecipe(epochs=7, data="camvid", start_from="m.keras", update="simultaneous")
    path.write_text(json.dumps({"recipe": first.to_dict()}))
    assert _recipe("--recipe", str(path)) == first
    again = _recipe("--recipe", str(path), "--adversarial-weight", "3", "--epochs", "2")
    assert (again.adversarial_weight, again.epochs, again.start_from) == (3.0, 2, "m.keras")


@pytest.mark.parametrize("steps, every, updates", [(7, 2, 4), (8, 2, 4), (3, 500, 3), (1200, 500, 700)])
def test_the_schedule_counts_the_segmenters_updates(steps, every, updates):
    assert segmenter_updates(steps, "alternate", every) == updates == sum(
        step // every % 2 == 0 for step in range(steps))
    assert segmenter_updates(steps, "simultaneous", every) == steps


@pytest.mark.parametrize("words, sentence", [
    (["--output", "x", "--update", "simultaneous"],
     "`adversarial` must name a trained .keras file with update, got adversarial=None. "
     "Add for example --adversarial runs/first/best.keras."),
    (["--output", "x", "--adversarial", "none.keras"],
     "`start_from` must be the path of a file, got start_from='none.keras'. Give the best.keras of a finished run."),
    (["--output", "x", "--adversarial", "m.keras", "--in-stages"],
     "`in_stages` must be left out with --adversarial, got in_stages=True. Train the stages first."),
    (["--output", "x", "--adversarial", "none.keras", "--ema", "0.9"],
     "`ema` must be left out with --adversarial, got ema=0.9. The network comes from the file as it is."),
    (["--output", "x", "--adversarial", "none.keras", "--aux"],
     "`aux` must be left out with --adversarial, got aux=True. The network comes from the file as it is."),
])
def test_errors_are_one_sentence(capsys, words, sentence):
    assert cli.main(["train", *words]) == 1
    assert capsys.readouterr().err == f"kseg: {sentence}\n"


@pytest.mark.slow
def test_the_data_has_the_bands_of_the_network_in_the_file(begun, tmp_path):
    tiny_builder(5, in_channels=1).save(tmp_path / "grey.keras")
    start = dataclasses.replace(begun, start_from=str(tmp_path / "grey.keras"), epochs=1, batch_size=20, stride=4,
                                pretrain_discriminator_steps=0, discriminator="Stanford")
    with pytest.raises(ValueError) as caught:
        train(dataclasses.replace(start, data_options={"channels": 3}), str(tmp_path / "refused"))
    assert str(caught.value) == ("`channels` must be the model's in_channels, 1, got channels=3. "
                                 "Set both to the bands of the images.")
    result = train(dataclasses.replace(start, data_options={"channels": 1}), str(tmp_path / "run"), verbose=0)
    assert result.model.in_channels == 1
    assert json.loads((tmp_path / "run" / "run.json").read_text())["recipe"].keys().isdisjoint(
        {"model", "model_options"})


def test_a_model_of_other_classes(tmp_path):
    path = str(tmp_path / "seven.keras")
    tiny_builder(7).save(path)
    with pytest.raises(ValueError) as caught:
        train(AdversarialRecipe(start_from=path, image_size=(32, 32)), str(tmp_path / "run"))
    assert str(caught.value) == (
        f"`start_from` must hold a segmenter of the dataset's 5 classes, not of 7, got start_from={path!r}. "
        "Give the dataset it was trained on.")
    with pytest.raises(TypeError) as caught:
        AdversarialRecipe()
    assert str(caught.value) == ("`start_from` must be the path of a .keras file, got start_from=None. "
                                 "Train a segmenter first, then give its best.keras.")
