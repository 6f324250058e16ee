"""The files of a run as training writes them, without training; names that would do harm where they are not escaped."""

import csv
import json
import os

import numpy as np

from kseg.labels import LabelSet
from kseg.training.callbacks import kept_panels

HOSTILE = "<script>alert(1)</script>"
NAMES = ("sky", HOSTILE, '"><img src=x onerror=alert(2)>')


def write_files(folder, done=7, epochs=12, status="running", names=NAMES, recipe=None, panels=True):
    """Write the files of a run that is validated after every other epoch, best after the fifth."""
    os.makedirs(folder)
    label_set = LabelSet(names)
    history = [_row(epoch) for epoch in range(1, done + 1)]
    report = {
        "recipe": {"data": "shapes", "model": "UNet", "epochs": epochs, "data_dir": HOSTILE, **(recipe or {})},
        "versions": {"kseg": "0.1.0"}, "machine": {"processor": "a & b", "cores": 2, "devices": ["CPU", "GPU"]},
        "started": "2026-01-01 10:00:00", "resumed": 1, "status": status, "epochs_done": done, "seconds": 1234.5,
        "data": {"train_images": 4000, "validation_images": 100, "classes": list(names),
                 "palette": label_set.palette.tolist()},
        "length": {"steps_per_epoch": 100, "epochs": epochs},
        "parameters": {"total": 1234567, "trainable": 1200000, "encoder": None}}
    with open(os.path.join(folder, "run.json"), "w", encoding="utf-8") as file:
        json.dump(report, file)
    if done:
        columns = list(dict.fromkeys(name for row in history for name in row))
        _write_rows(os.path.join(folder, "history.csv"),
                    [columns, *([row.get(name, "") for name in columns] for row in history)])
        _write_rows(os.path.join(folder, "classes.csv"),
                    [["epoch", *names], *([epoch, 0.9, 0.5 - 0.4 / epoch, ""] for epoch in range(1, done + 1, 2))])
    for epoch in range(1, done + 1, 2) if panels else ():
        kept_panels.keep(os.path.join(folder, "panels"), epoch, _rows(epoch), label_set, best=5)
    return folder


def _row(epoch):
    row = {"epoch": epoch, "loss": 2 / epoch, "mean_iou": 0.5 - 0.4 / epoch, "learning_rate": 1e-3, "seconds": 60.0}
    if epoch % 2:
        row |= {"val_loss": 2.2 / epoch, "val_mean_iou": 0.7 if epoch == 5 else 0.48 - 0.4 / epoch}
    return row


def _rows(epoch):
    truth = np.zeros((24, 32), int)
    truth[4:12, 4:20], truth[:2] = 1, 255
    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    return [(image, truth, np.full_like(truth, epoch % 3)), (image, truth, truth)]


def _write_rows(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
