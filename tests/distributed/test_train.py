"""Training by several Ray workers equals training by one process, also when a worker is killed; and its errors."""

import contextlib
import json
import os
import signal
import threading
import time

import numpy as np
import pytest

from kseg import training
from kseg.distributed import resume, train
from kseg.distributed.storage import Storage
from kseg.training import AdversarialRecipe, TrainingRecipe
from kseg.training.run_folder import RunFolder
from kseg.training.state import Progress
from tests.data.conftest import make_folder

TINY = {"data": "folder", "data_options": {"classes": 3}, "image_size": (32, 32), "batch_size": 4, "patches": 2,
        "model": "UNet", "model_options": {"filters": 4, "dropout": 0.0}, "clipnorm": 1.0, "epochs": 4,
        "optimizer": "sgd", "learning_rate": 0.1}  # Adam makes whole steps of the rounding of gradients near 0


def _workers_of(process):
    """Yield the ids of the Ray Train workers that `process` started: children of its raylet."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if not file.read().startswith(b"ray::RayTrainWorker"):
                    continue
            if _parent(_parent(name)) == process:
                yield int(name)


def _parent(process):
    with open(f"/proc/{process}/stat", encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[1])


class _Killer(threading.Thread):
    """Kills a worker with SIGKILL as soon as the first epoch is written."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.killed_after = folder, None

    def run(self):
        while self.killed_after is None:
            if os.path.exists(self.folder.state):
                os.kill(max(_workers_of(os.getpid())), signal.SIGKILL)
                self.killed_after = Progress.read(self.folder.state).epochs_done
            time.sleep(0.02)


def _course(history, *names):
    return [[row[name] for name in names] for row in history]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:after epoch")  # a tiny model may answer one class for an epoch
def test_two_workers_of_which_one_is_killed_equal_one_process(cluster, tmp_path, capsys):
    """Pixels that augmentation uncovers are ignored, unevenly; a URL is where the run goes."""
    recipe = TrainingRecipe(data_dir=make_folder(tmp_path / "set", count=11, size=(40, 40)), **TINY)
    alone = training.train(recipe, tmp_path / "alone", verbose=0)
    killer = _Killer(RunFolder(tmp_path / "shared"))
    killer.start()
    url = f"local://{tmp_path}/shared"  # known to fsspec, and to be copied to as s3:// is
    together = train(recipe, url, workers=2, verbose=2)
    assert 1 <= killer.killed_after < recipe.epochs

    shown = capsys.readouterr().out
    assert "a worker died" in shown and f"epoch {recipe.epochs}/{recipe.epochs}" in shown
    for names, tolerance in ((("loss", "val_loss", "learning_rate"), 2e-5),
                             (("mean_iou", "val_mean_iou"), 1e-3)):  # a pixel of 11264 may be a tie
        np.testing.assert_allclose(_course(together.history, *names), _course(alone.history, *names), atol=tolerance)
    assert together.output_dir == url
    assert together.confusion.sum() == alone.confusion.sum()  # each validation pixel once
    for one, other in zip(together.model.get_weights(), alone.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    assert sorted(os.listdir(tmp_path / "shared")) == sorted(os.listdir(tmp_path / "alone"))
    with open(tmp_path / "shared" / "run.json", encoding="utf-8") as file:
        report = json.load(file)
    assert report["status"] == "finished" and report["resumed"] == 1 and report["machine"]["workers"] == 2

    assert resume(url, workers=2).mean_iou == together.mean_iou  # a finished run is only loaded
    with pytest.raises(FileExistsError, match="`output` must not hold a run yet"):
        train(recipe, url)


@pytest.mark.slow
def test_more_workers_than_there_is_room_for(cluster, tmp_path):
    with pytest.raises(ValueError, match=r"`workers` must be no more than the cluster has room for, 1 CPU each "
                                         r"\(\d+ of \d+ CPUs free, after 0.5 s\), got workers=500"):
        train(TrainingRecipe(batch_size=500), tmp_path / "run", workers=500, patience=0.5)
    assert not os.path.exists(tmp_path / "run")


@pytest.mark.parametrize("workers, words", [
    (3, r"`workers` must divide batch_size=8, got workers=3. Each step's batch is split evenly over them; for example "
        r"batch_size=6."),
    (9, r"`workers` must be at most batch_size=8, got workers=9. .* for example batch_size=9."),
])
def test_a_batch_that_cannot_be_split(tmp_path, workers, words):
    with pytest.raises(ValueError, match=words):
        train(TrainingRecipe(), tmp_path / "run", workers=workers)


def test_statistics_are_not_synchronised_between_workers(tmp_path):
    with pytest.raises(ValueError, match="`synchronize_batch_normalization` must be False for several workers"):
        train(TrainingRecipe(synchronize_batch_normalization=True), tmp_path / "run")


def test_adversarial_recipes_are_for_one_process(tmp_path):
    with pytest.raises(TypeError, match="`recipe` must be a kseg.training.TrainingRecipe to be trained by several"):
        train(AdversarialRecipe(start_from="x.keras"), tmp_path / "run")


def test_a_folder_with_the_run_of_another_recipe(tmp_path):
    os.makedirs(tmp_path / "run")
    values = {"recipe": TrainingRecipe(epochs=3).to_dict(), "status": "running"}
    (tmp_path / "run" / "run.json").write_text(json.dumps(values))
    with pytest.raises(FileExistsError, match="`output` must not hold the run of another recipe"):
        train(TrainingRecipe(epochs=4), tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="`output` must hold a run"):
        resume(tmp_path / "none")


def test_urls_that_nobody_opens():
    with pytest.raises(ValueError, match="`output` must be a path, or a URL that fsspec knows"):
        Storage("nowhere://runs/first")
    assert Storage("file:///runs/first").place == "/runs/first" and not Storage("file:///runs/first").is_url
