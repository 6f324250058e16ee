"""`state.npz`, the whole state of a run, which `resume` goes on from."""

import keras
import numpy as np

from kseg.training import state
from tests.campaigns.mutations import damaged_archive as damage  # noqa: F401 (the campaign asks for it)


def _variables():
    return [keras.Variable(np.zeros((2, 3), "float32")), keras.Variable(np.int64(3), dtype="int64", trainable=False)]


def seeds(folder):
    for history in ([], [{"epoch": 1, "loss": 2.0, "seconds": 3.0, "val_mean_iou": 0.5}]):
        progress = state.Progress(history, {"mean_iou": 0.5, "epoch": 1, "confusion": [[1, 2], [3, 4]]},
                                  [{"epoch": 1, "iou": [0.5, None]}])
        state.save(f"{folder}/seed.npz", _variables(), progress.facts())
        with open(f"{folder}/seed.npz", "rb") as file:
            yield file.read()


def read(content, folder):
    with open(f"{folder}/state.npz", "wb") as file:
        file.write(content)
    progress = state.Progress.read(f"{folder}/state.npz")
    progress.stopped_early(3)
    state.restore(f"{folder}/state.npz", _variables())
    return progress


def check(answer, content):
    assert answer.epochs_done >= 0
