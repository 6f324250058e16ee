"""What ends a training before its last epoch: no better score for long, or a loss that is no number."""

import keras
import numpy as np

from kseg import checks
from kseg.training.state import Progress


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras's, on the validation mean IoU; it replays the history of `progress` when training begins."""

    def __init__(self, patience: int, progress: Progress) -> None:
        super().__init__(monitor="val_mean_iou", mode="max", patience=patience)
        self.progress = progress

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        for row in self.progress.history:
            self.on_epoch_end(row["epoch"] - 1, row)

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor in (logs or {}):  # an epoch without validation says nothing
            super().on_epoch_end(epoch, logs)


class FiniteLoss(keras.callbacks.Callback):
    """Ends training with an error when the loss is no number; the state stays that of the last whole epoch."""

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.learning_rate = learning_rate

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite((logs or {}).get("loss", 0.0)):
            raise ValueError(checks.sentence(
                "learning_rate", "must be low enough for the loss to stay finite", self.learning_rate,
                "Lower it, add warm-up steps or clip the gradients, in a new folder."))
