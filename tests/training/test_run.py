"""Training runs: what the folder holds, resuming equals never stopping, and errors."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from PIL import Image

from kseg import DataWarning, models
from kseg.data import shapes
from kseg.labels import LabelSet
from kseg.training import TrainingRecipe, resume, train
from kseg.training.callbacks.best_model import BestModel
from kseg.training.callbacks.record import Record
from kseg.training.fitted import Fitted
from kseg.training.run import validated_epochs
from kseg.training.run_folder import RunFolder
from kseg.training.run_page.story import Story
from kseg.training.splits import Splits
from kseg.training.state import Progress
from tests.data.conftest import make_folder
from tests.training.tiny import tiny_builder

pytestmark = pytest.mark.filterwarnings("ignore:after epoch")  # tiny models may answer one class for an epoch
SHORT = {"image_size": (32, 32), "batch_size": 5, "epochs": 4, "learning_rate": 0.01, "warmup_steps": 4, "seed": 3}
TWO_EPOCHS = {**SHORT, "epochs": 2, "ema": 0.5}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    _small(monkeypatch)
    # Drawn by `finished`; it takes longer than these epochs.
    monkeypatch.setattr("kseg.training.callbacks.record.write_learning_curve", lambda *_: None)


def _small(patch):
    patch.setattr(models, "PSPNet", tiny_builder, raising=False)
    patch.setattr(shapes, "COUNTS", {"train": 40, "validation": 10, "test": 10})


def _without_times(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def _killed_in_third_epoch(monkeypatch, recipe, folder):
    """Train until a batch of the third epoch, then stop as an interrupt does."""
    def interrupt(self, batch, logs=None):
        if self.progress.epoch == 2 and batch == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Record, "on_train_batch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, folder, verbose=0)
    with open(os.path.join(folder, "run.json"), encoding="utf-8") as file:
        report = json.load(file)
    assert (report["status"], report["reason"], report["epochs_done"]) == ("interrupted", "KeyboardInterrupt", 2)
    with open(os.path.join(folder, "report.html"), encoding="utf-8") as file:
        assert "It ended with: KeyboardInterrupt" in file.read()


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
    first, second = (Story.read(RunFolder(tmp_path / run)) for run in ("whole", "killed"))  # what their pages tell
    assert (first.status, second.status) == ("finished", "finished")
    assert [epoch for epoch, _ in first.per_class] == [epoch for epoch, _ in second.per_class] == [1, 2, 3, 4]
    np.testing.assert_allclose(*(np.array([scores for _, scores in one.per_class], float) for one in (first, second)),
                               atol=1e-5)
    assert [one["epoch"] for one in second.panels()["epochs"]] == [1, 2, 3, 4]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run of two epochs with a moving average, for the tests that only look at it."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        _small(patch)
        return train(TrainingRecipe(**TWO_EPOCHS), str(folder), verbose=0)


def test_the_folder_holds_what_is_needed(finished):
    assert set(os.listdir(finished.output_dir)) == {
        "run.json", "best.keras", "last.keras", "state.npz", "history.csv", "classes.csv", "curve.png", "panel.png",
        "panels", "report.html", "tensorboard"}
    with open(os.path.join(finished.output_dir, "run.json"), encoding="utf-8") as file:
        record = json.load(file)
    assert TrainingRecipe.from_dict(record["recipe"]) == TrainingRecipe(**TWO_EPOCHS)
    assert record["data"] == {"train_images": 40, "validation_images": 10, "classes": list(shapes.NAMES),
                              "palette": shapes.label_set().palette.tolist()}
    assert record["length"] == {"steps_per_epoch": 8, "epochs": 2}
    assert record["best"]["mean_iou"] == pytest.approx(finished.mean_iou)
    with open(os.path.join(finished.output_dir, "history.csv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_mean_iou"]) for row in rows] == [row["val_mean_iou"] for row in finished.history]
    with open(os.path.join(finished.output_dir, "classes.csv"), encoding="utf-8") as file:
        scores = list(csv.DictReader(file))
    assert [int(row.pop("epoch")) for row in scores] == [1, 2]
    best = {name: float(value) if value else None for name, value in scores[finished.best_epoch - 1].items()}
    assert best == pytest.approx(record["best"]["per_class_iou"], abs=1e-6)
    assert finished.model.label_set == finished.label_set == shapes.label_set()
    assert set(finished.per_class_iou) == set(shapes.NAMES)


def test_best_model_is_the_one_of_its_score(finished):
    """With a moving average too: the averaged weights are scored, and saved."""
    from kseg import data
    from kseg.metrics import confusion_matrix

    assert finished.mean_iou == pytest.approx(max(row["val_mean_iou"] for row in finished.history), abs=1e-6)
    validation = data.load("shapes", "validation", image_size=(32, 32), batch_size=5)
    confusion = sum(confusion_matrix(labels.numpy(), finished.model.predict(pixels, verbose=0).argmax(-1), 5)
                    for pixels, labels in validation)
    assert np.abs(confusion - finished.confusion).sum() <= 4  # a tie may fall the other way


def test_tensorboard_events_hold_scalars_and_the_panel(finished):
    import tensorflow as tf

    folder, tags = os.path.join(finished.output_dir, "tensorboard"), {}
    for record in tf.data.TFRecordDataset([os.path.join(folder, name) for name in os.listdir(folder)]):
        event = tf.compat.v1.Event.FromString(record.numpy())
        tags.update({value.tag: (event.step, value.WhichOneof("value")) for value in event.summary.value})
    assert tags["val_mean_iou"] == (2, "simple_value") and tags["image · truth · prediction"] == (2, "image")


@pytest.mark.slow
def test_callbacks_of_ones_own_see_every_epoch_before_its_state_is_saved(tmp_path):
    class Lowered(keras.callbacks.Callback):
        """Halves the learning rate after each epoch, and notes what it saw."""

        def __init__(self):
            super().__init__()
            self.seen = []

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append((epoch, sorted(logs), os.path.exists(tmp_path / "run" / "history.csv")))
            self.model.optimizer.learning_rate = self.model.optimizer.learning_rate / 2

    own = Lowered()
    recipe = TrainingRecipe(**{**SHORT, "epochs": 2, "warmup_steps": 0}, schedule="constant")
    result = train(recipe, tmp_path / "run", verbose=0, callbacks=[own])
    names = ["loss", "mean_iou", "val_loss", "val_mean_iou"]
    assert own.seen == [(0, names, False), (1, names, True)]
    assert [row["learning_rate"] for row in result.history] == pytest.approx([0.005, 0.0025])
    (tmp_path / "run" / "run.json").write_text(
        (tmp_path / "run" / "run.json").read_text().replace('"finished"', '"running"'))
    resume(tmp_path / "run", verbose=0, callbacks=[own])
    assert len(own.seen) == 2  # no epoch is left


def test_tensorboard_without_its_package_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError) as caught:
        train(TrainingRecipe(**SHORT), tmp_path / "run", callbacks=[keras.callbacks.TensorBoard(tmp_path / "logs")])
    assert str(caught.value) == (
        "`callbacks` needs the package tensorboard, got callbacks='TensorBoard'. "
        'Install it: pip install "kseg[tensorboard]".')
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_is_only_loaded(finished, monkeypatch):
    monkeypatch.setattr(Splits, "open", None)  # neither its data nor its network is opened
    before = os.stat(os.path.join(finished.output_dir, "state.npz")).st_mtime_ns
    again = resume(finished.output_dir, verbose=0)
    assert (again.mean_iou, again.history) == (finished.mean_iou, finished.history)
    assert os.stat(os.path.join(finished.output_dir, "state.npz")).st_mtime_ns == before


@pytest.mark.slow
def test_early_stopping_counts_validations(tmp_path):
    recipe = TrainingRecipe(**{**SHORT, "epochs": 20, "learning_rate": 0.0}, schedule="constant", early_stopping=1,
                            validate_every=2)
    folder = tmp_path / "run"
    history = train(recipe, str(folder), verbose=0).history
    report = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**report, "status": "running"}))  # killed before the last line of it
    assert resume(str(folder), verbose=0).history == history
    assert json.loads((folder / "run.json").read_text())["status"] == "finished"
    assert len(history) < 20 and ["val_mean_iou" in row for row in history] == [False, True] * (len(history) // 2)


@pytest.mark.slow
def test_a_stopped_run_keeps_its_averages_when_killed_at_its_end(tmp_path):
    recipe = TrainingRecipe(**{**SHORT, "epochs": 20, "learning_rate": 1e-5}, ema=0.9, early_stopping=1)
    folder = tmp_path / "run"
    history = train(recipe, str(folder), verbose=0).history
    wanted = keras.models.load_model(folder / "last.keras", compile=False).get_weights()
    (folder / "last.keras").unlink()
    report = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**report, "status": "running"}))
    resume(str(folder), verbose=0)
    found = keras.models.load_model(folder / "last.keras", compile=False).get_weights()
    assert len(history) < 20
    for one, other in zip(wanted, found):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_a_page_that_cannot_be_written_is_said_once_and_ends_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kseg.training.callbacks.refresh.write_run_page", full)
    monkeypatch.setattr("kseg.training.callbacks.kept_panels.keep", full)
    with pytest.warns(UserWarning, match="report.html could not be written .*; training goes on") as caught:
        result = train(TrainingRecipe(**TWO_EPOCHS), tmp_path / "run", verbose=0)
    assert len(result.history) == 2 and sum("report.html" in str(one.message) for one in caught) == 1


def test_a_loss_that_is_not_finite_is_said(tmp_path):
    recipe = TrainingRecipe(**{**SHORT, "learning_rate": 1e6}, optimizer="sgd", validate_every=4)
    with pytest.raises(ValueError) as error:
        train(recipe, str(tmp_path / "run"), verbose=0)
    assert str(error.value) == (
        "`learning_rate` must be low enough for the loss to stay finite, got learning_rate=1000000.0. "
        "Lower it, add warm-up steps or clip the gradients, in a new folder.")


@pytest.mark.slow
def test_a_loss_that_is_finite_no_longer_leaves_the_last_whole_epoch(tmp_path, monkeypatch):
    def poisoned(self, batch, logs=None):
        if self.progress.epoch == 2:
            self.model.trainable_variables[-1].assign(self.model.trainable_variables[-1] * np.nan)

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Record, "on_train_batch_end", poisoned)
        with pytest.raises(ValueError, match="`learning_rate` must be low enough for the loss to stay finite"):
            train(TrainingRecipe(**SHORT), str(folder), verbose=0)
    assert not (folder / "last.keras").exists()
    again, whole = resume(str(folder), verbose=0), train(TrainingRecipe(**SHORT), str(tmp_path / "whole"), verbose=0)
    assert _without_times(again.history) == _without_times(whole.history)


def test_validation_without_a_labelled_pixel_is_said(tmp_path):
    folder = make_folder(tmp_path / "data")
    for file in (tmp_path / "data" / "val" / "labels").iterdir():
        Image.fromarray(np.full((20, 30), 255, np.uint8)).save(file)
    with pytest.raises(ValueError, match="`data` must have labelled pixels in its validation images, got data='none'."):
        train(TrainingRecipe(**{**SHORT, "epochs": 1, "warmup_steps": 0}, data="folder", data_dir=folder,
                             data_options={"classes": 3}), str(tmp_path / "run"), verbose=0)


def test_the_last_epoch_is_always_validated():
    assert validated_epochs(7, 3) == [3, 6, 7] and validated_epochs(2, 5) == [2] and validated_epochs(2, 1) == [1, 2]


def test_collapse_is_warned_of(tmp_path):
    class Metric:
        def confusion(self):
            return np.array([[5, 0, 0], [7, 0, 0], [0, 0, 0]])

    model = tiny_builder(3)
    model.label_set = LabelSet(("sky", "road", "car"))
    progress = Progress([{}, {}], {"mean_iou": 1.0, "epoch": 1, "confusion": None})  # the third epoch is in progress
    callback = BestModel(str(tmp_path / "best.keras"), Fitted(model, model, Metric(), ()), progress)
    with pytest.warns(UserWarning, match="after epoch 3 the model answers 'sky' at every validation pixel; lower the "):
        callback.on_test_end()


def test_a_class_without_a_training_pixel_is_warned_of_once(tmp_path):
    recipe = TrainingRecipe(**{**SHORT, "epochs": 2, "batch_size": 3, "warmup_steps": 0}, augment=None, data="folder",
                            data_dir=make_folder(tmp_path / "set"), data_options={"classes": ["a", "b", "c", "d"]})
    with pytest.warns(DataWarning, match=r"no pixel of the first epoch, got classes=\['3 \(d\)'\]") as caught:
        train(recipe, str(tmp_path / "run"), verbose=0)
    assert [one.filename for one in caught if one.category is DataWarning] == [__file__]


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


def test_a_broken_image_is_named(tmp_path):
    """A file that only a later batch reads: the sentence about it, not TensorFlow's error around it."""
    from PIL import Image

    for split, count in (("train", 30), ("validation", 2)):
        for kind in ("images", "labels"):
            (tmp_path / "data" / split / kind).mkdir(parents=True)
        for index in range(count):
            pixels, labels = shapes.generate(split, index, (32, 32))
            Image.fromarray(pixels).save(tmp_path / "data" / split / "images" / f"{index:02d}.png")
            Image.fromarray(labels).save(tmp_path / "data" / split / "labels" / f"{index:02d}.png")
    broken = tmp_path / "data" / "train" / "images" / "13.png"
    broken.write_bytes(broken.read_bytes()[:200])
    recipe = TrainingRecipe(data="folder", data_dir=str(tmp_path / "data"), data_options={"classes": 5},
                            image_size=(32, 32), batch_size=5, epochs=1)
    with pytest.raises(ValueError) as error:
        train(recipe, str(tmp_path / "run"), verbose=0)
    assert str(broken) in str(error.value) and str(error.value).startswith("`")
    assert "Traceback" not in str(error.value)


@pytest.mark.slow
def test_the_unet_trains_with_border_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(shapes, "COUNTS", {"train": 10, "validation": 5, "test": 5})
    recipe = TrainingRecipe(**{**SHORT, "epochs": 3}, model="UNet", model_options={"filters": 2}, augment=False,
                            data_options={"border_weights": {"cell_classes": (1, 2), "sigma": 1.0}})
    result = train(recipe, str(tmp_path / "run"), verbose=0)
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    last = keras.models.load_model(tmp_path / "run" / "last.keras")
    unweighted = last.evaluate(Splits.open(recipe, 3).validation_batches(), return_dict=True, verbose=0)["loss"]
    assert unweighted == pytest.approx(result.history[-1]["val_loss"], rel=1e-5)


@pytest.mark.slow
def test_runs_that_skip_broken_pairs_resume_exactly(tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "set", count=12)
    for split, index in (("train", 3), ("train", 7), ("val", 1)):
        with open(os.path.join(folder, split, "images", f"{index:03d}.png"), "wb"):
            pass
    recipe = TrainingRecipe(**{**SHORT, "batch_size": 2}, data="folder", data_dir=folder,
                            data_options={"classes": 3, "on_error": "skip"})
    whole = train(recipe, str(tmp_path / "whole"), verbose=0)
    _killed_in_third_epoch(monkeypatch, recipe, str(tmp_path / "killed"))
    killed = resume(str(tmp_path / "killed"), verbose=0)
    for one, other in zip(_without_times(whole.history), _without_times(killed.history), strict=True):
        np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-5, atol=1e-6)
    record = json.loads((tmp_path / "killed" / "run.json").read_text())
    assert record["length"] == {"steps_per_epoch": 6, "epochs": 4}


_KILLED = """
import sys
from kseg import models
from kseg.data import shapes
from kseg.training import TrainingRecipe, train
from tests.training.tiny import tiny_builder
models.PSPNet, shapes.COUNTS = tiny_builder, {"train": 40, "validation": 10, "test": 10}
train(TrainingRecipe(image_size=(32, 32), batch_size=5, epochs=8, ema=0.9, seed=1), sys.argv[1], verbose=0)
"""


@pytest.mark.slow
def test_resumed_after_sigkill_equals_uninterrupted(tmp_path):
    """The process is killed at some moment after its second epoch, whatever it is doing then."""
    process = subprocess.Popen([sys.executable, "-c", _KILLED, str(tmp_path / "killed")])
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        history = tmp_path / "killed" / "history.csv"
        if history.exists() and len(history.read_text().splitlines()) > 2:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    resume(tmp_path / "killed", verbose=0)
    train(TrainingRecipe(image_size=(32, 32), batch_size=5, epochs=8, ema=0.9, seed=1), tmp_path / "whole", verbose=0)
    first, second = (keras.models.load_model(tmp_path / run / "last.keras", compile=False)
                     for run in ("whole", "killed"))
    for one, other in zip(first.get_weights(), second.get_weights()):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
