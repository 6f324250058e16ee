"""The best model by validation, saved when validation ends."""

import warnings

import keras
import numpy as np

from kseg import checks, files, tasks
from kseg.metrics import iou_from_confusion, scores_from_confusion
from kseg.training.fitted import Fitted
from kseg.training.state import Progress


class BestModel(keras.callbacks.Callback):
    """Saves the segmenter of `fitted` whenever its mean IoU is the best so far.

    That, and the score of each class after each validation, is noted in `progress`.
    """

    def __init__(self, path: str, fitted: Fitted, progress: Progress) -> None:
        super().__init__()
        self.path, self.fitted, self.progress = path, fitted, progress

    def on_test_end(self, logs=None):
        confusion, segmenter = self.fitted.score.confusion(), self.fitted.segmenter
        for names, matrix in tasks.of(segmenter.task).matrices(confusion, segmenter.label_set):
            predicted = np.flatnonzero(matrix.sum(0))
            if len(predicted) == 1 and np.count_nonzero(matrix.sum(1)) > 1:
                warnings.warn(
                    f"after epoch {self.progress.epoch + 1} the model answers {names[predicted[0]]!r} at every "
                    "validation pixel; lower the learning rate, or try class weights, a Dice or Lovász term, or OHEM",
                    stacklevel=2)
        score = scores_from_confusion(confusion, segmenter.task)["mean_iou"]
        if np.isnan(score):
            raise ValueError(checks.sentence("data", "must have labelled pixels in its validation images", "none",
                                             "Check its labels: every pixel has the ignore class."))
        iou = iou_from_confusion(confusion, segmenter.task)
        self.progress.per_class.append({"epoch": self.progress.epoch + 1, "iou": [
            None if np.isnan(value) else round(float(value), 6) for value in iou]})
        if score > self.progress.best["mean_iou"]:
            self.progress.best = {"mean_iou": score, "epoch": self.progress.epoch + 1, "confusion": confusion.tolist()}
            save_model(self.fitted.segmenter, self.path)


def save_model(model: keras.Model, path: str) -> None:
    """Save `model` as the `.keras` file `path`, whole or not at all."""
    with files.draft(path) as temporary:
        model.save(temporary)
