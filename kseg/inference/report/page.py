"""The report of an evaluation as one HTML page with its pictures and charts inside."""

from typing import Any

import numpy as np

from kseg import pictures, tasks
from kseg.pages import charts, data_uris, environment

COLUMNS = ("iou", "dice", "accuracy", "boundary_iou", "share")  # of the table of classes
_IMAGE_COLUMNS = ("mean_iou", "pixel_accuracy", "boundary_f1")


def html_report(evaluation: Any) -> str:
    """Return an HTML page of an `Evaluation` with its pictures inside; it loads nothing else."""
    images = sorted(evaluation.images, key=lambda row: (np.isnan(row["mean_iou"]), row["mean_iou"]))
    label_set, names = evaluation.label_set, evaluation.class_names
    classes = {row["name"]: _classes(row, names) for row in images}
    matrix = charts.matrix_chart(evaluation.confusion, label_set.names) if evaluation.confusion.ndim == 2 else None
    kept = {one.name: one for one in (*evaluation.worst, *evaluation.worst_of_class.values())}
    first, stacked = {one.name for one in evaluation.worst}, tasks.of(evaluation.task).stacked
    worst = [{"name": name, "mean_iou": one.mean_iou, "classes": classes.get(name, ""),
              "extra": name not in first,  # shown when a class is chosen
              "pictures": _pictures(one, label_set, stacked)} for name, one in kept.items()]
    return environment.rendered(
        "kseg.inference.report", "page.html", evaluation=evaluation, images=images, worst=worst, confusion=matrix,
        palette=label_set.palette[len(label_set) - len(names):].tolist(), class_columns=COLUMNS,
        image_columns=[key for key in _IMAGE_COLUMNS if key in images[0]],
        classes_of=[_classes(row, names) for row in images],
        charts=[*_reliability(evaluation.calibration), *_thresholds(evaluation.curve, names)])


def _classes(row, names):
    """Return "id:IoU" of the classes in an image's truth or prediction, for the page's filter."""
    return " ".join(f"{index}:{row['per_class'][name]['iou']:.4f}" for index, name in enumerate(names)
                    if name in row.get("per_class", {}))


def _pictures(example, label_set, stacked):
    """Return (title, address, kind) of each picture of an `Example`."""
    def labels(label_map):
        return data_uris.of_labels(pictures.painted(label_map, label_set)[0] if stacked else label_map, label_set)

    found = [("image", data_uris.of_photograph(example.pixels), ""),
             ("truth", labels(example.labels), "labels"), ("prediction", labels(example.predictions), "labels")]
    if not np.isnan(example.entropy).all():
        found.append(("entropy", data_uris.of_photograph(pictures.heat(example.entropy)), ""))
    return found


def _reliability(calibration):
    """Return charts of how often predictions of each confidence are right, and of how many there are."""
    if not calibration.pixels.any():
        return []
    confidence, accuracy = calibration.curve()
    edges, share = np.linspace(0, 1, calibration.bins + 1), calibration.pixels / calibration.pixels.sum()
    lines = [charts.Line("perfectly calibrated", [(0, 0), (1, 1)], "var(--quiet)", dashed=True),
             charts.Line(f"this model, error {calibration.error():.3f}", list(zip(confidence, accuracy)))]
    axis = {"across": "probability of the predicted class", "x_range": (0, 1), "whole": False}
    return [charts.line_chart("share of right pixels", lines, y_range=(0, 1), **axis),
            charts.line_chart("share of all pixels", [], bars=list(zip(edges[:-1], edges[1:], share)), **axis)]


def _thresholds(curve, names):
    """Return a chart of the intersection over union of each class at every threshold."""
    if curve is None:
        return []
    lines = [charts.Line(name, list(zip(curve.thresholds, row)), colour)
             for name, row, colour in zip(names, curve.iou(), charts.colours(len(names)))]
    return [charts.line_chart("IoU at each threshold", lines, across="threshold", x_range=(0, 1), y_range=(0, 1),
                              whole=False)]
