"""The report of an evaluation as one HTML page with its pictures inside. Jinja2, loaded when used."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

COLUMNS = ("iou", "dice", "accuracy", "boundary_iou", "share")  # of the table of classes


def heading(key: str) -> str:
    """Return the name of a score as people read it."""
    return key.replace("_", " ").replace("iou", "IoU").replace("f1", "F1")


def shown(value: float | None) -> str:
    """Return a score as text with four decimals; a dash for NaN or None."""
    return "–" if value is None or np.isnan(value) else f"{value:.4f}"


def html_report(evaluation: Any, confusion: np.ndarray | None, reliability: np.ndarray | None,
                worst: np.ndarray | None, thresholds: np.ndarray | None = None) -> str:
    """Return an HTML page of an `Evaluation` with its pictures, uint8 `[H, W, 3]`, inside; it loads nothing else."""
    import jinja2

    images = sorted(evaluation.images, key=lambda row: (np.isnan(row["mean_iou"]), row["mean_iou"]))
    environment = jinja2.Environment(loader=jinja2.PackageLoader("kseg.inference", "report"), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(heading=heading, shown=shown, source=_source)
    return environment.get_template("page.html").render(
        evaluation=evaluation, images=images, class_columns=COLUMNS,
        image_columns=[key for key in ("mean_iou", "pixel_accuracy", "boundary_f1") if key in images[0]],
        confusion=confusion, reliability=reliability, worst=worst, thresholds=thresholds)


def _source(pixels):
    """Return a picture as the `src` of an HTML image."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
