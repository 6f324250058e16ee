"""`run.json`: everything needed to repeat a run, and what came out of it."""

import json
import os
import platform
import time

import keras
import numpy as np

import kseg
from kseg import data
from kseg.metrics import iou_from_confusion
from kseg.training.assemble import source_options
from kseg.training.callbacks import write_json


class RunReport:
    """Writes `run.json` of a run; goes on with the one that is there.

    Args:
        output_dir: str.
        recipe: `TrainingRecipe`.
        model: the compiled model.
        label_set: `LabelSet`.
        length: dict, steps and epochs.
    """

    def __init__(self, output_dir, recipe, model, label_set, length):
        self.path = os.path.join(output_dir, "run.json")
        self._began = time.perf_counter()
        earlier = _read(self.path)
        self.finished = earlier.get("status") == "finished"
        self._seconds_before = earlier.get("seconds", 0.0)
        self._values = earlier if self.finished else {
            "recipe": recipe.to_dict(),
            "versions": versions(),
            "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "devices": _devices()},
            "started": earlier.get("started", time.strftime("%Y-%m-%d %H:%M:%S")),
            "resumed": earlier.get("resumed", -1) + 1,
            "data": {**_dataset_sizes(recipe), "classes": list(label_set.names)},
            "length": length,
            "parameters": parameter_counts(model),
        }

    def write(self, history, best, status):
        """Write the report with the history's timing and the best model's scores.

        Args:
            history: list of dicts, one an epoch.
            best: dict of `mean_iou`, `epoch`, `confusion`.
            status: "running" or "finished".
        """
        values = {**self._values, "status": status, "epochs_done": len(history),
                  "seconds": round(self._seconds_before + time.perf_counter() - self._began, 1)}
        if history:
            values["seconds_an_epoch"] = {"least": min(row["seconds"] for row in history),
                                          "median": float(np.median([row["seconds"] for row in history]))}
        if best["confusion"] is not None:
            iou = iou_from_confusion(np.asarray(best["confusion"]))
            values["best"] = {"epoch": best["epoch"], "mean_iou": best["mean_iou"], "per_class_iou": {
                name: None if np.isnan(value) else round(float(value), 6)
                for name, value in zip(values["data"]["classes"], iou)}}
        write_json(self.path, values)


def versions():
    """Return package -> version of what decides a run's numbers."""
    import tensorflow as tf

    return {"kseg": kseg.__version__, "keras": keras.__version__, "tensorflow": tf.__version__,
            "numpy": np.__version__, "python": platform.python_version(), "backend": keras.backend.backend()}


def parameter_counts(model):
    """Return the numbers of parameters: all, trainable, of the encoder (None without one)."""
    encoder = getattr(model, "encoder", None)
    return {"total": model.count_params(), "trainable": _size(model.trainable_weights),
            "encoder": encoder.count_params() if encoder is not None else None}


def _size(weights):
    return int(sum(np.prod(weight.shape) for weight in weights))


def _devices():
    import tensorflow as tf

    return [device.name for device in tf.config.list_physical_devices()]


def _dataset_sizes(recipe):
    options = {"data_dir": recipe.data_dir, **source_options(recipe)}
    return {f"{split}_images": len(data.source(recipe.data, split, **options)) for split in ("train", "validation")}


def _read(path):
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)
