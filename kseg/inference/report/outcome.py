"""The outcome of an evaluation: scores, tables, pictures, JSON and the report's files."""

import dataclasses
import json
import os
from typing import Any

import numpy as np
from rich.table import Table

from kseg import checks, files, metrics, pictures, tasks
from kseg.inference.report import plots
from kseg.inference.report.page import COLUMNS, html_report
from kseg.labels import LabelSet
from kseg.pages.environment import heading, shown

_SCORES = ("mean_iou", "pixel_accuracy", "mean_class_accuracy", "frequency_weighted_iou", "mean_dice",
           "mean_boundary_iou", "boundary_f1", "expected_calibration_error")
_FILES = ("confusion.png", "reliability.png", "thresholds.png", "worst.png", "report.html", "report.json")


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
        confusion: int64 `[classes, classes]`, `confusion[label, prediction]`; see `kseg.metrics.confusion_matrix`.
        boundary: int64 `[3, classes]`, sums of `kseg.metrics.boundary_counts`, or None; of a multi-label model
            `[3, classes, 2]`.
        calibration: `kseg.metrics.Calibration`.
        images: list of dicts, one per image: `name`, `mean_iou`, `pixel_accuracy`, `boundary_f1`, and
            `per_class`: for each class in its truth or prediction a dict of `iou` and `share` of the labelled pixels.
        worst: list of `Example`, the lowest mean IoU first.
        settings: dict, the arguments of the inference.
        seconds: float, the time it took.
        task: str, the model's. The scores of a binary model are those of the foreground.
        threshold: float or tuple, that the labels were decided by; None where the largest logit decides.
        curve: `kseg.metrics.ThresholdCurve`, or None for the same.
        worst_of_class: dict, class name → `Example`, the image of the class's lowest IoU among those that hold it.
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
    task: str = "multiclass"
    threshold: float | tuple[float, ...] | None = None
    curve: metrics.ThresholdCurve | None = None
    worst_of_class: dict[str, Example] = dataclasses.field(default_factory=dict)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes that scores are of."""
        return tasks.of(self.task).class_names(self.label_set)

    @property
    def best_threshold(self) -> float | tuple[float, ...] | None:
        """The threshold with the largest intersection over union here, or one per class of a multi-label model.

        Find it on validation images, not on those of the final test: `model.threshold = evaluation.best_threshold`.
        None where the largest logit decides, and of files that give labels alone.
        """
        if self.curve is None:
            return None
        found = tuple(threshold for threshold, _ in self.curve.best())
        return found if tasks.of(self.task).stacked else found[0]

    @property
    def scores(self) -> dict[str, float]:
        """The mean scores of the dataset, dict of floats; NaN where nothing was counted."""
        scores = metrics.scores_from_confusion(self.confusion, self.task)
        if self.boundary is not None:
            scores["mean_boundary_iou"] = metrics.mean_of_present(self._boundary_iou)
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
        return dict(zip(self.class_names, metrics.iou_from_confusion(self.confusion, self.task).tolist()))

    @property
    def _boundary_iou(self):
        if self.boundary is None:
            return np.full(len(self.class_names), np.nan)
        return tasks.of(self.task).of_classes(metrics.boundary_iou(self.boundary))

    @property
    def per_class(self) -> list[dict[str, Any]]:
        """One dict per class: `name`, `iou`, `dice`, `accuracy`, `boundary_iou`, `share` of the labelled pixels."""
        columns = {
            "iou": metrics.iou_from_confusion(self.confusion, self.task),
            "dice": metrics.dice_from_confusion(self.confusion, self.task),
            "accuracy": metrics.class_accuracy_from_confusion(self.confusion, self.task),
            "boundary_iou": self._boundary_iou,
            "share": metrics.share_from_confusion(self.confusion, self.task),
        }
        return [{"name": name, **{key: float(values[index]) for key, values in columns.items()}}
                for index, name in enumerate(self.class_names)]

    @property
    def thresholds(self) -> list[dict[str, Any]]:
        """One dict per class where thresholds decide: `name`, `best` threshold, `best_iou`, `used` threshold, `iou`."""
        if self.curve is None:
            return []
        used = np.broadcast_to(self.threshold, len(self.class_names)).tolist()
        return [{"name": name, "best": best, "best_iou": best_iou, "used": own, "iou": iou}
                for (name, iou), (best, best_iou), own in zip(self.per_class_iou.items(), self.curve.best(), used)]

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
        for row in self.thresholds:
            table.caption += (f"\n{row['name']}: best threshold {row['best']:g}, IoU {shown(row['best_iou'])} "
                              f"(at {row['used']:g}: {shown(row['iou'])})")
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the pictures, JSON-ready; None stands for scores without a pixel."""
        return _json_ready({
            "dataset": self.dataset, "model": self.model, "settings": self.settings, "seconds": round(self.seconds, 2),
            "scores": self.scores, "per_class": self.per_class, "images": self.images,
            "confusion": self.confusion.tolist(), "classes": list(self.label_set.names), "task": self.task,
            "thresholds": self.thresholds})

    def worst_sheet(self) -> np.ndarray | None:
        """Return the worst images beside their truth, prediction and entropy, uint8 `[H, W, 3]`; None without one."""
        if not self.worst:
            return None
        stacked = tasks.of(self.task).stacked  # a sheet takes label maps of ids, or pictures
        rows = [(one.pixels, *(pictures.painted(labels, self.label_set)[0] if stacked else labels
                               for labels in (one.labels, one.predictions)), pictures.heat(one.entropy))
                for one in self.worst]
        names = [f"{one.mean_iou:.3f}  {one.name}" for one in self.worst]
        return pictures.sheet(rows, self.label_set, ("image", "truth", "prediction", "entropy"), names)

    def write(self, folder: str | os.PathLike, overwrite: bool = False) -> list[str]:
        """Write `report.html`, `report.json` and the pictures of the report into `folder`.

        The pictures are `confusion.png` (not of a multi-label model), `reliability.png` (not of a model that gives
        labels alone), `thresholds.png` (where thresholds decide) and `worst.png` (not without a worst image).

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
        one_matrix = self.confusion.ndim == 2
        drawn = {"confusion.png": plots.confusion_matrix(self.confusion, self.label_set) if one_matrix else None,
                 "reliability.png": plots.reliability(self.calibration) if self.calibration.pixels.any() else None,
                 "worst.png": self.worst_sheet(),
                 "thresholds.png": plots.thresholds(self.curve, self.class_names) if self.curve is not None else None}
        for name, picture in drawn.items():
            path = os.path.join(folder, name)
            if picture is not None:
                pictures.write_picture(path, picture)
            elif os.path.exists(path):  # of the report that is replaced
                os.remove(path)
        texts = {"report.html": html_report(self),
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
