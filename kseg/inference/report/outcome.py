"""The outcome of an evaluation: scores, tables, pictures, JSON and the report's files."""

import dataclasses
import json
import os
from typing import Any

import numpy as np
from rich.table import Table

from kseg import checks, files, metrics, pictures
from kseg.inference.report import plots
from kseg.inference.report.page import COLUMNS, heading, html_report, shown
from kseg.labels import LabelSet

_SCORES = ("mean_iou", "pixel_accuracy", "mean_class_accuracy", "frequency_weighted_iou", "mean_dice",
           "mean_boundary_iou", "boundary_f1", "expected_calibration_error")
_FILES = ("confusion.png", "reliability.png", "worst.png", "report.html", "report.json")


@dataclasses.dataclass(frozen=True)
class Example:
    """One image kept for the pictures, thinned out: pixels and entropy `[h, w(, 3)]`, labels, predictions `[h, w]`.

    The entropy is NaN where the model gives labels alone.
    """

    name: str
    mean_iou: float
    pixels: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    entropy: np.ndarray


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What `kseg.evaluate` found.

    Attributes:
        dataset, model: str, their names.
        label_set: `LabelSet`.
        confusion: int64 `[classes, classes]`, `confusion[label, prediction]`.
        boundary: int64 `[3, classes]`, sums of `kseg.metrics.boundary_counts`, or None.
        calibration: `kseg.metrics.Calibration`.
        images: list of dicts, one per image: `name`, `mean_iou`, `pixel_accuracy`, `boundary_f1`.
        worst: list of `Example`, the lowest mean IoU first.
        settings: dict, the arguments of the inference.
        seconds: float, the time it took.
    """

    dataset: str
    model: str
    label_set: LabelSet
    confusion: np.ndarray
    boundary: np.ndarray | None
    calibration: metrics.Calibration
    images: list[dict[str, Any]]
    worst: list[Example]
    settings: dict[str, Any]
    seconds: float

    @property
    def scores(self) -> dict[str, float]:
        """The mean scores of the dataset, dict of floats; NaN where nothing was counted."""
        scores = metrics.scores_from_confusion(self.confusion)
        if self.boundary is not None:
            scores["mean_boundary_iou"] = metrics.mean_of_present(metrics.boundary_iou(self.boundary))
            scores["boundary_f1"] = metrics.mean_of_present([row["boundary_f1"] for row in self.images])
        scores["expected_calibration_error"] = self.calibration.error()
        return scores

    def __getattr__(self, name):
        if name in _SCORES:
            return self.scores.get(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def per_class_iou(self) -> dict[str, float]:
        """Class name → intersection over union, dict of floats, NaN where a class is absent."""
        return dict(zip(self.label_set.names, metrics.iou_from_confusion(self.confusion).tolist()))

    @property
    def per_class(self) -> list[dict[str, Any]]:
        """One dict per class: `name`, `iou`, `dice`, `accuracy`, `boundary_iou`, `share` of the labelled pixels."""
        total = max(int(self.confusion.sum()), 1)
        columns = {
            "iou": metrics.iou_from_confusion(self.confusion),
            "dice": metrics.dice_from_confusion(self.confusion),
            "accuracy": metrics.class_accuracy_from_confusion(self.confusion),
            "boundary_iou": (np.full(len(self.label_set), np.nan) if self.boundary is None
                             else metrics.boundary_iou(self.boundary)),
            "share": self.confusion.sum(1) / total,
        }
        return [{"name": name, **{key: float(values[index]) for key, values in columns.items()}}
                for index, name in enumerate(self.label_set.names)]

    def table(self) -> Table:
        """Return the scores as a `rich.table.Table`, one row per class, the means below."""
        table = Table(title=f"{self.model} on {self.dataset}, {len(self.images)} images", show_footer=True)
        scores = self.scores
        footers = {"iou": scores["mean_iou"], "dice": scores["mean_dice"], "accuracy": scores["mean_class_accuracy"],
                   "boundary_iou": scores.get("mean_boundary_iou", float("nan"))}
        table.add_column("class", footer="mean")
        for key in COLUMNS:
            table.add_column(heading(key), justify="right", footer=shown(footers.get(key)))
        for row in self.per_class:
            table.add_row(row["name"], *(shown(row[key]) for key in COLUMNS))
        rest = ["pixel_accuracy", "frequency_weighted_iou", "boundary_f1", "expected_calibration_error"]
        table.caption = "   ".join(f"{heading(key)} {shown(scores[key])}" for key in rest if key in scores)
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the pictures, JSON-ready; None stands for scores without a pixel."""
        return _json_ready({
            "dataset": self.dataset, "model": self.model, "settings": self.settings, "seconds": round(self.seconds, 2),
            "scores": self.scores, "per_class": self.per_class, "images": self.images,
            "confusion": self.confusion.tolist(), "classes": list(self.label_set.names)})

    def worst_sheet(self) -> np.ndarray | None:
        """Return the worst images beside their truth, prediction and entropy, uint8 `[H, W, 3]`; None without one."""
        if not self.worst:
            return None
        rows = [(one.pixels, one.labels, one.predictions, pictures.heat(one.entropy)) for one in self.worst]
        names = [f"{one.mean_iou:.3f}  {one.name}" for one in self.worst]
        return pictures.sheet(rows, self.label_set, ("image", "truth", "prediction", "entropy"), names)

    def write(self, folder: str | os.PathLike, overwrite: bool = False) -> list[str]:
        """Write `report.html`, `report.json` and the pictures of the report into `folder`.

        The pictures are `confusion.png`, `reliability.png` (not of a model that gives labels alone) and `worst.png`
        (not without a worst image).

        Args:
            folder: made if missing.
            overwrite: whether a report that is there may be replaced.
        Returns:
            The paths written.
        Raises:
            FileExistsError: if a report is there and `overwrite` is False, or `folder` is a file.
        """
        folder = os.fspath(folder)
        refuse_report(folder, overwrite)
        drawn = {"confusion.png": plots.confusion_matrix(self.confusion, self.label_set),
                 "reliability.png": plots.reliability(self.calibration) if self.calibration.pixels.any() else None,
                 "worst.png": self.worst_sheet()}
        for name, picture in drawn.items():
            path = os.path.join(folder, name)
            if picture is not None:
                pictures.write_picture(path, picture)
            elif os.path.exists(path):  # of the report that is replaced
                os.remove(path)
        texts = {"report.html": html_report(self, *drawn.values()),
                 "report.json": json.dumps(self.to_dict(), indent=1)}
        for name, text in texts.items():
            files.write_text(os.path.join(folder, name), text)
        return [os.path.join(folder, name) for name in (*drawn, *texts) if drawn.get(name, "") is not None]


def refuse_report(folder: str | os.PathLike, overwrite: bool) -> None:
    """Raise FileExistsError if `folder` holds a report and `overwrite` is False, or is a file."""
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise FileExistsError(checks.sentence("folder", "must be a folder or new", os.fspath(folder),
                                              "Give the path of a folder."))
    if not overwrite and any(os.path.exists(os.path.join(folder, name)) for name in _FILES):
        raise FileExistsError(checks.sentence(
            "folder", "must not hold a report already", os.fspath(folder),
            "Take another folder or pass overwrite=True."))


def _json_ready(value):
    if isinstance(value, dict):
        return {key: _json_ready(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_ready(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return None if np.isnan(value) else float(value)
    return value.item() if isinstance(value, np.generic) else value
