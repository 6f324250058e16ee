"""The folder of a run: the one owner of the names of its files, and `run.json`, everything needed to repeat it."""

import json
import math
import os
import platform
import time
import typing

import keras
import numpy as np
import tensorflow as tf

import kseg
from kseg import files
from kseg.machine import processor_name
from kseg.metrics import iou_from_confusion
from kseg.models.segmenter import Segmenter
from kseg.training.devices import Devices
from kseg.training.recipe import Recipe
from kseg.training.splits import Splits
from kseg.training.state import Progress


class RunFolder:
    """Paths in the folder of a run, which need not exist."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.fspath(path)
        self.report = os.path.join(self.path, "run.json")
        self.state = os.path.join(self.path, "state.npz")
        self.best = os.path.join(self.path, "best.keras")
        self.last = os.path.join(self.path, "last.keras")
        self.history = os.path.join(self.path, "history.csv")
        self.classes = os.path.join(self.path, "classes.csv")
        self.curve = os.path.join(self.path, "curve.png")
        self.panel = os.path.join(self.path, "panel.png")
        self.panels = os.path.join(self.path, "panels")
        self.page = os.path.join(self.path, "report.html")
        self.tensorboard = os.path.join(self.path, "tensorboard")

    def holds_a_run(self) -> bool:
        """Return whether a run was begun here."""
        return os.path.exists(self.report)


class RunReport:
    """Writes `run.json` at `path`, and goes on with the one that is there.

    Args:
        length: steps per epoch and epochs.
        workers: processes that train, of which this is one.
        devices: what was asked for is recorded, and under "machine" the names of several.
    """

    def __init__(self, path: str, recipe: Recipe, splits: Splits, segmenter: Segmenter, length: dict[str, int],
                 workers: int = 1, devices: Devices = Devices()) -> None:
        self.path = path
        self._task = splits.task.name
        self._began = time.perf_counter()
        earlier = read_report(self.path) if os.path.exists(self.path) else {}
        self._seconds_before = earlier.get("seconds", 0.0)
        self._values = {
            "recipe": recipe.to_dict(),
            "devices": devices.asked,
            "versions": {"kseg": kseg.__version__, "keras": keras.__version__, "tensorflow": tf.__version__,
                         "numpy": np.__version__, "python": platform.python_version(),
                         "backend": keras.backend.backend()},
            "machine": {"processor": processor_name(), "cores": os.cpu_count(), "workers": workers,
                        "devices": [device.name for device in tf.config.list_physical_devices()],
                        **({"trained_on": list(devices.names)} if devices.several else {})},
            "started": earlier.get("started", time.strftime("%Y-%m-%d %H:%M:%S")),
            "resumed": earlier.get("resumed", -1) + 1,
            "data": {"train_images": len(splits.train), "validation_images": len(splits.validation),
                     "classes": list(splits.task.class_names(splits.label_set)),
                     "palette": splits.label_set.palette[int(splits.task.background):].tolist(),
                     **({"pixel_range": splits.pixel_range.to_list()} if splits.pixel_range else {})},
            "length": length,
            "parameters": {
                "total": segmenter.count_params(),
                "trainable": sum(math.prod(weight.shape) for weight in segmenter.trainable_weights),
                "encoder": segmenter.encoder.count_params() if segmenter.encoder is not None else None},
        }

    def write(self, progress: Progress, status: str, reason: str | None = None) -> None:
        """Write the report with the history's timing and the best model's scores.

        `status` is "running", "finished" or "interrupted", and `reason` what interrupted it.
        """
        history, best = progress.history, progress.best
        values = {**self._values, "status": status, "epochs_done": progress.epochs_done,
                  "seconds": round(self._seconds_before + time.perf_counter() - self._began, 1)}
        if reason is not None:
            values["reason"] = reason
        if history:
            values["seconds_an_epoch"] = {"least": min(row["seconds"] for row in history),
                                          "median": float(np.median([row["seconds"] for row in history]))}
        if best["confusion"] is not None:
            iou = iou_from_confusion(np.asarray(best["confusion"]), self._task)
            values["best"] = {"epoch": best["epoch"], "mean_iou": best["mean_iou"], "per_class_iou": {
                name: None if np.isnan(value) else round(float(value), 6)
                for name, value in zip(values["data"]["classes"], iou)}}
        files.write_text(self.path, json.dumps(values, indent=2) + "\n")


def read_report(path: str | os.PathLike) -> dict[str, typing.Any]:
    """Return the values of the report at `path`."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)
