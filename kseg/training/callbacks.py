"""What happens at the end of an epoch: best model, pictures, logs, and the state to go on from.

With a moving average of the weights, Keras's SwapEMAWeights puts the averages into the model for validation only;
`BestModel` and `Panel` therefore act when validation ends, before the weights are swapped back, and `Record` saves
the state after that.
"""

import csv
import io
import json
import os
import time
import warnings

import keras
import numpy as np

from kseg import checks
from kseg.metrics import iou_from_confusion, mean_of_present
from kseg.metrics.confusion_metric import most_likely_class
from kseg.training import panels, state


class _OfSegmenter(keras.callbacks.Callback):
    """A callback whose model is the segmenter, also where an `AdversarialTrainer` fits it."""

    def set_model(self, model):
        super().set_model(getattr(model, "segmenter", model))


class BestModel(_OfSegmenter):
    """Saves the model whenever the validation mean IoU is the best so far; written beside, then moved into place.

    Args:
        path: str, `.keras`.
        metric: the compiled `MeanIoU`.
        label_set: `LabelSet`.
    """

    def __init__(self, path, metric, label_set):
        super().__init__()
        self.path, self.metric, self.label_set = path, metric, label_set
        self.best = {"mean_iou": -1.0, "epoch": 0, "confusion": None}
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_test_end(self, logs=None):
        confusion = self.metric.confusion()
        self._warn_of_collapse(confusion)
        score = mean_of_present(iou_from_confusion(confusion))
        if np.isnan(score):
            raise ValueError(checks.sentence("data", "must have labelled pixels in its validation images", "none",
                                             "Check its labels: every pixel has the ignore class."))
        if score > self.best["mean_iou"]:
            self.best = {"mean_iou": score, "epoch": self.epoch + 1, "confusion": confusion.tolist()}
            save_model(self.model, self.path)

    def _warn_of_collapse(self, confusion):
        predicted = np.flatnonzero(confusion.sum(0))
        if len(predicted) == 1 and np.count_nonzero(confusion.sum(1)) > 1:
            warnings.warn(
                f"after epoch {self.epoch + 1} the model answers {self.label_set.names[predicted[0]]!r} at every "
                "validation pixel; lower the learning rate, or try class weights, a Dice or Lovász term, or OHEM",
                stacklevel=2)


class Panel(_OfSegmenter):
    """Draws image, truth and prediction of a few validation images after each validation.

    Args:
        examples: (pixels `[B, H, W, channels]`, labels `[B, H, W]`), NumPy.
        label_set: `LabelSet`.
        path: str, `.png`; `pixels` of the callback holds the latest panel, uint8 `[h, w, 3]`.
    """

    def __init__(self, examples, label_set, path):
        super().__init__()
        self.examples, self.label_set, self.path = examples, label_set, path
        self.pixels = None

    def on_test_end(self, logs=None):
        pixels, labels = self.examples
        predictions = keras.ops.convert_to_numpy(most_likely_class(self.model(pixels, training=False)))
        self.pixels = panels.panel(pixels, labels, predictions, self.label_set)
        panels.write_png(self.path, self.pixels)


class Record(keras.callbacks.Callback):
    """Keeps the history, and after each epoch writes the state, `history.csv`, the learning curve and TensorBoard logs.

    Args:
        output_dir: str.
        best: `BestModel`.
        panel: `Panel`.
    """

    def __init__(self, output_dir, best, panel):
        super().__init__()
        self.output_dir, self.best, self.panel = output_dir, best, panel
        self.history = []
        self.epoch = 0  # the epoch in progress; the training data asks for it

    @property
    def state_path(self):
        """Where the state of the run is."""
        return os.path.join(self.output_dir, "state.npz")

    def restore(self, model):
        """Set `model` to the saved state; return the number of finished epochs, 0 if there is none."""
        if not os.path.exists(self.state_path):
            return 0
        facts = state.restore(self.state_path, model)
        self.history, self.best.best, self.epoch = facts["history"], facts["best"], facts["epochs"]
        return facts["epochs"]

    def on_train_begin(self, logs=None):
        self._writer = _SummaryWriter(os.path.join(self.output_dir, "tensorboard"))

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self._began = epoch, time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}}
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        row["seconds"] = round(time.perf_counter() - self._began, 3)
        self.history.append(row)
        facts = {"epochs": epoch + 1, "history": self.history, "best": self.best.best}
        state.save(self.state_path, self.model, facts)
        write_history(os.path.join(self.output_dir, "history.csv"), self.history)
        panels.write_png(os.path.join(self.output_dir, "curve.png"), panels.learning_curve(self.history))
        self._writer.write(epoch + 1, {name: value for name, value in row.items() if name != "epoch"},
                           self.panel.pixels)

    def on_train_end(self, logs=None):
        self._writer.close()


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras's, on the validation mean IoU, going on from a history.

    Args:
        patience: int, validations without a better value.
        record: `Record`, whose history it replays when training begins.
    """

    def __init__(self, patience, record):
        super().__init__(monitor="val_mean_iou", mode="max", patience=patience)
        self.record = record

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        for row in self.record.history:
            self.on_epoch_end(row["epoch"] - 1, row)

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor in (logs or {}):  # an epoch without validation says nothing
            super().on_epoch_end(epoch, logs)


def stopped_early(history, patience):
    """Return whether `history` holds `patience` validations after the best, so that `EarlyStopping` has acted."""
    scores = [row["val_mean_iou"] for row in history if "val_mean_iou" in row]
    return bool(scores) and len(scores) - 1 - int(np.argmax(scores)) >= patience


class FiniteLoss(keras.callbacks.Callback):
    """Ends training with an error when the loss is no number; the state stays that of the last whole epoch.

    Args:
        learning_rate: float, the recipe's.
    """

    def __init__(self, learning_rate):
        super().__init__()
        self.learning_rate = learning_rate

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite((logs or {}).get("loss", 0.0)):
            raise ValueError(checks.sentence(
                "learning_rate", "must be low enough for the loss to stay finite", self.learning_rate,
                "Lower it, add warm-up steps or clip the gradients, in a new folder."))


class _SummaryWriter:
    """TensorBoard event files, written without TensorBoard itself, which TensorFlow no longer brings."""

    def __init__(self, folder):
        import tensorflow as tf

        self._tf = tf
        self._writer = tf.summary.create_file_writer(folder)

    def write(self, step, scalars, picture=None):
        """Write scalars by name and a uint8 `[h, w, 3]` picture at `step`."""
        summary = self._tf.compat.v1.Summary
        values = [summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        if picture is not None:
            encoded = self._tf.io.encode_png(picture).numpy()
            values.append(summary.Value(tag="image · truth · prediction", image=summary.Image(
                height=picture.shape[0], width=picture.shape[1], colorspace=3, encoded_image_string=encoded)))
        with self._writer.as_default():
            self._tf.summary.experimental.write_raw_pb(summary(value=values).SerializeToString(), step=step)
        self._writer.flush()

    def close(self):
        self._writer.close()


def save_model(model, path):
    """Save `model` as a `.keras` file, whole or not at all."""
    draft = f"{path[:-len('.keras')]}.part.keras"
    model.save(draft)
    os.replace(draft, path)


def write_history(path, history):
    """Write a list of rows as CSV, whole or not at all."""
    names = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())


def write_json(path, values):
    """Write JSON-ready values, whole or not at all."""
    write_text(path, json.dumps(values, indent=2) + "\n")


def write_text(path, text):
    """Write a UTF-8 file, whole or not at all."""
    draft = f"{path}.part"
    with open(draft, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(draft, path)
