"""What a run gave, read from its folder."""

import dataclasses

import keras
import numpy as np

from kseg.labels import LabelSet
from kseg.metrics import iou_from_confusion
from kseg.models.load import load_model
from kseg.training.run_folder import RunFolder
from kseg.training.run_progress import Progress


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a run gave.

    Args:
        output_dir: str, the run's folder.
        model: the best model by validation mean IoU, loaded from `best.keras`.
        label_set: `LabelSet`.
        history: list of dicts, one per epoch.
        mean_iou: float, of the best epoch; best_epoch: int, counted from 1.
        confusion: int64 `[classes, classes]`, `confusion[label, prediction]` over the validation set, best epoch.
    """

    output_dir: str
    model: keras.Model
    label_set: LabelSet
    history: list[dict[str, float]]
    mean_iou: float
    best_epoch: int
    confusion: np.ndarray

    @classmethod
    def read(cls, folder: RunFolder) -> "TrainingResult":
        """Return the result of a finished run."""
        model, progress = load_model(folder.best), Progress.read(folder.state)
        best = progress.best
        return cls(folder.path, model, model.label_set, history=progress.history, mean_iou=best["mean_iou"],
                   best_epoch=best["epoch"], confusion=np.asarray(best["confusion"], np.int64))

    @property
    def per_class_iou(self) -> dict[str, float]:
        """Return class name -> intersection over union at the best epoch; NaN where the class does not occur."""
        return dict(zip(self.label_set.names, iou_from_confusion(self.confusion).tolist()))
