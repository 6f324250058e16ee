"""Training runs: what the folder holds, resuming equals never stopping, and errors."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from kseg import models
from kseg.data import shapes
from kseg.labels import LabelSet
from kseg.training import TrainingRecipe, resume, train
from kseg.training.callbacks import BestModel, Record
from tests.training.tiny import tiny_builder

pytestmark = pytest.mark.filterwarnings("ignore:after epoch")  # tiny models may answer one class for an epoch
SHORT = {"image_size": (32, 32), "batch_size": 5, "epochs": 4, "learning_rate": 0.01, "warmup_steps": 4, "seed": 3}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(models, "PSPNet", tiny_builder, raising=False)
    monkeypatch.setattr(shapes, "COUNTS", {"train": 40, "validation": 10, "test": 10})


def _without_times(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def _killed_in_third_epoch(monkeypatch, recipe, folder):
    """Train until a batch of the third epoch, then stop as an interrupt does."""
    def interrupt(self, batch, logs=None):
        if self.epoch == 2 and batch == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Record, "on_train_batch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, folder, verbose=0)


@pytest.mark.parametrize("options", [
    {"ema": 0.9, "multipliers": {"encoder": 0.1, "head": 2.0}, "early_stopping": 50},
    pytest.param({"optimizer": "sgd", "mixed_precision": "mixed_float16", "loss": {"cross_entropy": 1.0, "dice": 0.5}},
                 marks=pytest.mark.slow),
], ids=["adamw, ema", "sgd, float16"])
def test_resumed_equals_uninterrupted(tmp_path, monkeypatch, options):
    recipe = TrainingRecipe(**SHORT, **options)
    whole = train(recipe, str(tmp_path / "whole"), verbose=0)
    _killed_in_third_epoch(monkeypatch, recipe, str(tmp_path / "killed"))
    killed = resume(str(tmp_path / "killed"), verbose=0)
    assert len(killed.history) == 4
    for name in ("last.keras", "best.keras"):
        first, second = (keras.models.load_model(tmp_path / run / name, compile=False) for run in ("whole", "killed"))
        for one, other in zip(first.get_weights(), second.get_weights()):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    for one, other in zip(_without_times(whole.history), _without_times(killed.history)):
        assert one.keys() == other.keys()
        np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-5, atol=1e-6)
    assert (whole.best_epoch, whole.confusion.tolist()) == (killed.best_epoch, killed.confusion.tolist())
    record = json.loads((tmp_path / "killed" / "run.json").read_text())
    assert (record["status"], record["resumed"], record["epochs_done"]) == ("finished", 1, 4)


def test_the_folder_holds_what_is_needed(tmp_path):
    result = train(TrainingRecipe(**{**SHORT, "epochs": 2}), str(tmp_path / "run"), verbose=0)
    files = set(os.listdir(tmp_path / "run"))
    assert files == {"run.json", "best.keras", "last.keras", "state.npz", "history.csv", "curve.png", "panel.png",
                     "tensorboard"}
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert TrainingRecipe.from_dict(record["recipe"]) == TrainingRecipe(**{**SHORT, "epochs": 2})
    assert record["data"] == {"train_images": 40, "validation_images": 10, "classes": list(result.label_set.names)}
    assert record["length"] == {"steps_per_epoch": 8, "epochs": 2}
    assert record["best"]["mean_iou"] == pytest.approx(result.mean_iou)
    with open(tmp_path / "run" / "history.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_mean_iou"]) for row in rows] == [row["val_mean_iou"] for row in result.history]
    assert result.model.label_set == result.label_set


def test_best_model_is_the_one_of_its_score(tmp_path):
    from kseg import data
    from kseg.metrics import confusion_matrix

    result = train(TrainingRecipe(**{**SHORT, "epochs": 2}, ema=0.5), str(tmp_path / "run"), verbose=0)
    assert result.mean_iou == pytest.approx(max(row["val_mean_iou"] for row in result.history), abs=1e-6)
    validation = data.load("shapes", "validation", image_size=(32, 32), batch_size=5)
    confusion = sum(confusion_matrix(labels.numpy(), result.model.predict(pixels, verbose=0).argmax(-1), 5)
                    for pixels, labels in validation)
    assert np.abs(confusion - result.confusion).sum() <= 4  # a tie may fall the other way


def test_tensorboard_events_hold_scalars_and_the_panel(tmp_path):
    import tensorflow as tf

    train(TrainingRecipe(**{**SHORT, "epochs": 1, "warmup_steps": 0}), str(tmp_path / "run"), verbose=0)
    events = os.listdir(tmp_path / "run" / "tensorboard")
    tags = {}
    for record in tf.data.TFRecordDataset([str(tmp_path / "run" / "tensorboard" / name) for name in events]):
        event = tf.compat.v1.Event.FromString(record.numpy())
        tags.update({value.tag: (event.step, value.WhichOneof("value")) for value in event.summary.value})
    assert tags["val_mean_iou"] == (1, "simple_value") and tags["image · truth · prediction"] == (1, "image")


def test_early_stopping_ends_the_run(tmp_path):
    recipe = TrainingRecipe(**{**SHORT, "epochs": 20, "learning_rate": 0.0}, schedule="constant", early_stopping=1)
    assert len(train(recipe, str(tmp_path / "run"), verbose=0).history) < 20


def test_collapse_is_warned_of(tmp_path):
    class Metric:
        def confusion(self):
            return np.array([[5, 0, 0], [7, 0, 0], [0, 0, 0]])

    callback = BestModel(str(tmp_path / "best.keras"), Metric(), LabelSet(("sky", "road", "car")))
    callback.best = {"mean_iou": 1.0, "epoch": 1, "confusion": None}
    callback.on_epoch_begin(2)
    with pytest.warns(UserWarning, match="after epoch 3 the model answers 'sky' at every validation pixel; lower the "):
        callback.on_test_end()


def test_a_run_is_not_overwritten(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(FileExistsError) as error:
        train(TrainingRecipe(), str(tmp_path))
    assert str(error.value) == (f"`output_dir` must not hold a run yet, got output_dir={str(tmp_path)!r}. "
                                "Choose another folder, or resume the run that is there.")


def test_resuming_where_nothing_is(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        resume(str(tmp_path))
    assert str(error.value) == ("`output_dir` must be the path of a file, "
                                f"got output_dir={str(tmp_path / 'run.json')!r}. "
                                "Give the folder that `kseg train` wrote.")


_SCRIPT = """
import sys
from kseg import models
from kseg.training import TrainingRecipe, resume, train
from tests.training.tiny import tiny_builder
models.PSPNet = tiny_builder
if sys.argv[1] == "resume":
    resume(sys.argv[2], verbose=0)
else:
    recipe = TrainingRecipe(image_size=(32, 32), batch_size=20, epochs=int(sys.argv[1]), ema=0.9, seed=1)
    train(recipe, sys.argv[2], verbose=0)
"""


@pytest.mark.slow
def test_resumed_after_sigkill_equals_uninterrupted(tmp_path):
    """The process is killed at some moment after its second epoch, whatever it is doing then."""
    command = [sys.executable, "-c", _SCRIPT]
    process = subprocess.Popen([*command, "8", str(tmp_path / "killed")])
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        history = tmp_path / "killed" / "history.csv"
        if history.exists() and len(history.read_text().splitlines()) > 2:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    subprocess.run([*command, "resume", str(tmp_path / "killed")], check=True)
    subprocess.run([*command, "8", str(tmp_path / "whole")], check=True)
    first, second = (keras.models.load_model(tmp_path / run / "last.keras", compile=False)
                     for run in ("whole", "killed"))
    for one, other in zip(first.get_weights(), second.get_weights()):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
