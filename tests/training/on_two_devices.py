"""What `test_devices.py` runs in a process that has two devices: `python -m tests.training.on_two_devices FOLDER`.

Writes `results.json`, and the runs' folders.
"""

import json
import os
import pathlib
import shutil
import sys

if os.environ["KERAS_BACKEND"] == "jax":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import keras
import tensorflow as tf

from kseg import data, load_model, models
from kseg.data import shapes
from kseg.layers import BatchNormalization
from kseg.models.assembly import finish, pixels_input
from kseg.models.blocks import classify
from kseg.training import TrainingRecipe, resume, train
from kseg.training.callbacks.record import Record

RECIPE = {"image_size": (16, 16), "batch_size": 4, "epochs": 2, "seed": 3, "schedule": "constant"}
STATISTICS = {"optimizer": "sgd", "learning_rate": 0.05, "loss": {"cross_entropy": 1.0, "dice": 0.5}, "clipnorm": 0.1,
              "synchronize_batch_normalization": True, "epochs": 1, "model_options": {"normalized": True}}
ADAMW = {"learning_rate": 0.01, "epochs": 1}
ALL_AT_ONCE = {"ema": 0.5, "mixed_precision": "mixed_float16", "learning_rate": 0.01,
               "model_options": {"normalized": True, "aux": True}}


def smooth_builder(classes, encoder_name=None, in_channels=3, *, normalized=False, aux=False, task="multiclass",
                   compile=True):
    """Return a `Segmenter` without a kink, so that what differs by rounding stays so."""
    pixels = pixels_input(in_channels, (None, None), classes, task)
    features = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    features = keras.layers.Conv2D(6, 3, strides=2, padding="same", name="stem")(features)
    if normalized:
        features = BatchNormalization(name="stem_bn")(features)
    features = keras.layers.Activation("tanh")(features)
    heads = [classify(features, classes, like=pixels)]
    if aux:
        heads.append(classify(keras.layers.Conv2D(4, 1, name="aux_hidden")(features), classes, like=pixels,
                              name="aux_logits"))
    return finish(pixels, *heads, task=task, compile=compile, name="smooth")


def run(folder, devices, options):
    """Train, and return what tells two runs apart."""
    return told(folder, train(TrainingRecipe(**RECIPE | options), folder, verbose=0, devices=devices))


def told(folder, result):
    """Return history and counts of a result; the weights are in the run's folder."""
    history = [{name: value for name, value in row.items() if name != "seconds"} for row in result.history]
    return {"history": history, "confusion": result.confusion.tolist(),
            "record": json.loads((folder / "run.json").read_text())["devices"]}


def killed(folder, options):
    """Train on two devices until the second epoch."""
    def interrupt(self, batch, logs=None):
        if self.progress.epoch == 1:
            raise KeyboardInterrupt

    Record.on_train_batch_end = interrupt
    try:
        run(folder, 2, options)
    except KeyboardInterrupt:
        del Record.on_train_batch_end


def rescored(folder):
    """Return the mean IoU of the saved model on one device, and the one that the run noted for it."""
    noted = json.loads((folder / "run.json").read_text())["best"]["mean_iou"]
    validation = data.load("shapes", "validation", image_size=RECIPE["image_size"])
    again = load_model(folder / "best.keras").evaluate(validation, verbose=0, return_dict=True)
    return [again["mean_iou"], noted]


def main(folder):
    models.PSPNet = smooth_builder
    shapes.COUNTS = {"train": 8, "validation": 5, "test": 1}  # the last batch has fewer images than devices
    results = {}
    tensorflow = keras.backend.backend() == "tensorflow"
    for name, options in {"statistics": STATISTICS, **({"adamw": ADAMW} if tensorflow else {})}.items():
        for devices in (None, "all"):
            results[f"{name} {devices}"] = run(folder / f"{name} {devices}", devices, options)
    results["whole"] = run(folder / "whole", 2, ALL_AT_ONCE)
    results["rescored"] = rescored(folder / "whole")
    killed(folder / "killed", ALL_AT_ONCE)
    shutil.copytree(folder / "killed", folder / "on one")
    results["killed"] = told(folder / "killed", resume(folder / "killed", verbose=0))
    results["on one"] = told(folder / "on one", resume(folder / "on one", verbose=0, devices=1))
    (folder / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    if keras.backend.backend() == "tensorflow":
        cpu, = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    main(pathlib.Path(sys.argv[1]))
