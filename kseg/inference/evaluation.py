"""The outcome of an evaluation: scores, tables, pictures, JSON and a report that stands by itself."""

import base64
import dataclasses
import html
import io
import json
import os

import numpy as np
from PIL import Image
from rich.table import Table

from kseg import checks, metrics
from kseg.inference import pictures
from kseg.labels import LabelSet

_SCORES = ("mean_iou", "pixel_accuracy", "mean_class_accuracy", "frequency_weighted_iou", "mean_dice",
           "mean_boundary_iou", "boundary_f1", "expected_calibration_error")


@dataclasses.dataclass(frozen=True)
class Example:
    """One image kept for the pictures, thinned out: pixels and entropy `[h, w(, 3)]`, labels, predictions `[h, w]`."""

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
        images: list of dicts, one an image: `name`, `mean_iou`, `pixel_accuracy`, `boundary_f1`.
        worst: list of `Example`, the lowest mean IoU first.
        settings: dict, the arguments of the inference.
        seconds: float, the time it took.
    """

    dataset: str
    model: str
    label_set: LabelSet
    confusion: np.ndarray
    boundary: np.ndarray
    calibration: metrics.Calibration
    images: list
    worst: list
    settings: dict
    seconds: float

    @property
    def scores(self):
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
    def per_class_iou(self):
        """Class name → intersection over union, dict of floats, NaN where a class is absent."""
        return dict(zip(self.label_set.names, metrics.iou_from_confusion(self.confusion).tolist()))

    @property
    def per_class(self):
        """One dict a class: `name`, `iou`, `dice`, `accuracy`, `boundary_iou`, `share` of the labelled pixels."""
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

    def table(self):
        """Return the scores as a `rich.table.Table`, a row a class, the means below."""
        table = Table(title=f"{self.model} on {self.dataset}, {len(self.images)} images", show_footer=True)
        scores = self.scores
        footers = {"iou": scores["mean_iou"], "dice": scores["mean_dice"], "accuracy": scores["mean_class_accuracy"],
                   "boundary_iou": scores.get("mean_boundary_iou", float("nan"))}
        table.add_column("class", footer="mean")
        for key in ("iou", "dice", "accuracy", "boundary_iou", "share"):
            table.add_column(key.replace("_", " "), justify="right", footer=shown(footers.get(key)))
        for row in self.per_class:
            table.add_row(row["name"], *(shown(row[key]) for key in (
                "iou", "dice", "accuracy", "boundary_iou", "share")))
        rest = ["pixel_accuracy", "frequency_weighted_iou", "boundary_f1", "expected_calibration_error"]
        table.caption = "   ".join(f"{key.replace('_', ' ')} {shown(scores[key])}" for key in rest if key in scores)
        return table

    def to_dict(self):
        """Return everything but the pictures, JSON-ready; None stands for scores without a pixel."""
        return _json_ready({
            "dataset": self.dataset, "model": self.model, "settings": self.settings, "seconds": round(self.seconds, 2),
            "scores": self.scores, "per_class": self.per_class, "images": self.images,
            "confusion": self.confusion.tolist(), "classes": list(self.label_set.names)})

    def worst_sheet(self):
        """Return the worst images beside their truth, prediction and entropy, uint8 `[H, W, 3]`; None without one."""
        if not self.worst:
            return None
        rows = [(one.pixels, one.labels, one.predictions, pictures.heat(one.entropy)) for one in self.worst]
        names = [f"{one.mean_iou:.3f}  {one.name}" for one in self.worst]
        return pictures.sheet(rows, self.label_set, ("image", "truth", "prediction", "entropy"), names)

    def write(self, folder, overwrite=False):
        """Write `report.json`, `report.html`, `confusion.png` and `worst.png` into `folder`.

        Args:
            folder: str or path; made if missing.
            overwrite: bool, whether a report that is there may be replaced.
        Returns:
            list of str, the paths written.
        Raises:
            FileExistsError: if a report is there and `overwrite` is False.
        """
        folder = os.fspath(folder)
        report = os.path.join(folder, "report.json")
        if os.path.exists(report) and not overwrite:
            raise FileExistsError(checks.sentence(
                "folder", "must not hold a report already", folder, "Take another folder or pass overwrite=True."))
        os.makedirs(folder, exist_ok=True)
        confusion = pictures.confusion_picture(self.confusion, self.label_set)
        worst = self.worst_sheet()
        paths = [os.path.join(folder, name) for name in ("confusion.png", "worst.png", "report.html", "report.json")]
        pictures.write_picture(paths[0], confusion)
        if worst is None:
            paths.remove(paths[1])
        else:
            pictures.write_picture(paths[1], worst)
        _write_text(paths[-2], html_report(self, confusion, worst))
        _write_text(report, json.dumps(self.to_dict(), indent=1))
        return paths


def shown(value):
    """Return a score as text with four decimals; a dash for NaN or None."""
    return "–" if value is None or np.isnan(value) else f"{value:.4f}"


_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 1340px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em } p.note { color: #666 }
table { border-collapse: collapse; margin: .6em 0 } th, td { padding: .25em .9em; text-align: right }
th:first-child, td:first-child { text-align: left } thead th { border-bottom: 2px solid #888 }
tbody tr:nth-child(even) { background: #f4f4f4 } img { max-width: 100%; border: 1px solid #ddd }
.swatch { display: inline-block; width: .9em; height: .9em; margin-right: .5em; border: 1px solid #888 }
"""


def html_report(evaluation, confusion, worst):
    """Return an HTML page with the pictures inside; it loads nothing else.

    Args:
        evaluation: `Evaluation`.
        confusion, worst: uint8 pictures `[H, W, 3]`; `worst` may be None.
    """
    keys = ("iou", "dice", "accuracy", "boundary_iou", "share")
    colours = evaluation.label_set.palette.tolist()
    classes = [[f'<span class="swatch" style="background: rgb({red},{green},{blue})"></span>'
                + html.escape(row["name"]), *(shown(row[key]) for key in keys)]
               for row, (red, green, blue) in zip(evaluation.per_class, colours)]
    images = sorted(evaluation.images, key=lambda row: (np.isnan(row["mean_iou"]), row["mean_iou"]))
    columns = [key for key in ("mean_iou", "pixel_accuracy", "boundary_f1") if key in images[0]]
    title = html.escape(f"{evaluation.model} on {evaluation.dataset}")
    settings = html.escape(", ".join(f"{key}={value}" for key, value in evaluation.settings.items()))
    parts = [
        f"<h1>{title}</h1><p class='note'>{len(images)} images in {evaluation.seconds:.1f} s; {settings}</p>",
        _html_table(["score", "value"], [[key.replace("_", " "), shown(value)]
                                         for key, value in evaluation.scores.items()]),
        "<h2>Classes</h2>", _html_table(["class", *(key.replace("_", " ") for key in keys)], classes),
        "<h2>Confusion</h2>", _html_picture(confusion, "confusion matrix")]
    if worst is not None:
        parts += [f"<h2>The {len(evaluation.worst)} worst images</h2>", _html_picture(worst, "worst images")]
    parts += ["<h2>Images, the worst first</h2>", _html_table(
        ["image", *(key.replace("_", " ") for key in columns)],
        [[html.escape(str(row["name"])), *(shown(row[key]) for key in columns)] for row in images])]
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n")


def _html_table(heads, rows):
    def line(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(heads, 'th')}</thead><tbody>{body}</tbody></table>"


def _html_picture(pixels, alternative):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{alternative}" src="data:image/png;base64,{encoded}">'


def _json_ready(value):
    if isinstance(value, dict):
        return {key: _json_ready(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_ready(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return None if np.isnan(value) else float(value)
    return value.item() if isinstance(value, np.generic) else value


def _write_text(path, text):
    """Write a file whole or not at all."""
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.part", path)
