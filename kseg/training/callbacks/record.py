"""What is written after each epoch: the state, the history, the learning curve and TensorBoard logs."""

import csv
import io
import time

import keras

from kseg import files
from kseg.training import state
from kseg.training.callbacks.learning_curve import write_learning_curve
from kseg.training.callbacks.panel import Panel
from kseg.training.callbacks.tensorboard import SummaryWriter
from kseg.training.fitted import Fitted
from kseg.training.run_folder import RunFolder
from kseg.training.run_progress import Progress


class Record(keras.callbacks.Callback):
    """Keeps the history, and after each epoch writes the state, `history.csv`, `curve.png` and `tensorboard/`.

    Args:
        folder: `RunFolder`.
        fitted: `Fitted`, whose variables are the state.
        progress: `Progress`, in which the epoch and the history are kept.
        panel: `Panel`, whose picture goes to TensorBoard.
    """

    def __init__(self, folder: RunFolder, fitted: Fitted, progress: Progress, panel: Panel) -> None:
        super().__init__()
        self.folder, self.fitted, self.progress, self.panel = folder, fitted, progress, panel

    def on_train_begin(self, logs=None):
        self._writer = SummaryWriter(self.folder.tensorboard)

    def on_epoch_begin(self, epoch, logs=None):
        self.progress.epoch, self._began = epoch, time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}}
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        row["seconds"] = round(time.perf_counter() - self._began, 3)
        self.progress.history.append(row)
        state.save(self.folder.state, self.fitted.variables, self.progress.facts())
        write_history(self.folder.history, self.progress.history)
        write_learning_curve(self.folder.curve, self.progress.history)
        self._writer.write(epoch + 1, {name: value for name, value in row.items() if name != "epoch"},
                           self.panel.pixels)

    def on_train_end(self, logs=None):
        self._writer.close()


def write_history(path: str, history: list[dict[str, float]]) -> None:
    """Write the rows of a history as CSV, one line per epoch."""
    names = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    files.write_text(path, text.getvalue())
