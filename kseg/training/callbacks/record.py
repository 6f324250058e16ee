"""The history of a run, and what is written after each epoch: state, history, learning curve and TensorBoard logs.

TensorFlow no longer brings TensorBoard; its event files are written without.
"""

import csv
import io
import time

import keras
import tensorflow as tf

from kseg import files, tasks
from kseg.models.segmenter import Segmenter
from kseg.training import state
from kseg.training.callbacks.learning_curve import write_learning_curve
from kseg.training.callbacks.panel import Panel
from kseg.training.fitted import Fitted
from kseg.training.run_folder import RunFolder
from kseg.training.state import Progress


class History(keras.callbacks.Callback):
    """Keeps epoch and history in `progress`."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress

    def on_epoch_begin(self, epoch, logs=None):
        self.progress.epoch, self._began = epoch, time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}}
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row["seconds"] = round(time.perf_counter() - self._began, 3)
        self.progress.history.append(row)


class Record(keras.callbacks.Callback):
    """After each epoch writes the state, the history of `progress`, its curve and TensorBoard logs."""

    def __init__(self, folder: RunFolder, fitted: Fitted, progress: Progress, panel: Panel) -> None:
        super().__init__()
        self.folder, self.fitted, self.progress, self.panel = folder, fitted, progress, panel

    def on_train_begin(self, logs=None):
        self._summaries = tf.summary.create_file_writer(self.folder.tensorboard)

    def on_epoch_end(self, epoch, logs=None):
        state.save(self.folder.state, self.fitted.variables, self.progress.facts())
        write_history(self.folder.history, self.progress.history)
        write_classes(self.folder.classes, self.fitted.segmenter, self.progress)
        write_learning_curve(self.folder.curve, self.progress.history)
        self._summarize(self.progress.history[-1])

    def on_train_end(self, logs=None):
        self._summaries.close()

    def _summarize(self, row):
        """Write the numbers of an epoch by name, and the latest panel."""
        summary, picture = tf.compat.v1.Summary, self.panel.pixels
        values = [summary.Value(tag=name, simple_value=value) for name, value in row.items() if name != "epoch"]
        if picture is not None:
            values.append(summary.Value(tag="image · truth · prediction", image=summary.Image(
                height=picture.shape[0], width=picture.shape[1], colorspace=3,
                encoded_image_string=tf.io.encode_png(picture).numpy())))
        with self._summaries.as_default():
            tf.summary.experimental.write_raw_pb(summary(value=values).SerializeToString(), step=row["epoch"])
        self._summaries.flush()


def write_classes(path: str, segmenter: Segmenter, progress: Progress) -> None:
    """Write the intersection over union of each class as CSV, one line per validation; empty: the class is absent."""
    names = tasks.of(segmenter.task).class_names(segmenter.label_set)
    _write_rows(path, [["epoch", *names], *([row["epoch"], *row["iou"]] for row in progress.per_class)])


def write_history(path: str, history: list[dict[str, float]]) -> None:
    """Write the rows of a history as CSV, one line per epoch."""
    names = list(dict.fromkeys(name for row in history for name in row))
    _write_rows(path, [names, *([row.get(name) for name in names] for row in history)])


def _write_rows(path, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    files.write_text(path, text.getvalue())
