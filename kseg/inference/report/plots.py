"""Plots of an evaluation: the confusion matrix and the reliability of probabilities. Matplotlib, loaded when used."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kseg.labels import LabelSet
from kseg.metrics import Calibration, ThresholdCurve
from kseg.pages.charts import LONGEST_NAME, NUMBERED

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_matrix(matrix: np.ndarray, label_set: LabelSet) -> np.ndarray:
    """Return a picture of a confusion matrix, each row as shares of its labelled pixels in per cent.

    Args:
        matrix: int64 `[classes, classes]`, `matrix[label, prediction]`.
        label_set: names the classes.
    Returns:
        uint8 `[H, W, 3]` RGB.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    matrix = np.asarray(matrix, np.float64)
    classes, total = len(matrix), matrix.sum(1, keepdims=True)
    share = 100 * np.divide(matrix, total, out=np.full_like(matrix, np.nan), where=total > 0)  # absent: white
    inches = max(5.0, 2.2 + (0.42 if classes <= NUMBERED else 0.16) * classes)
    figure = Figure(figsize=(inches + 0.6, inches), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, 100))  # the root: small errors show too
    figure.colorbar(image, ax=axes, ticks=(0, 1, 5, 10, 20, 40, 60, 80, 100), fraction=0.05, pad=0.02, aspect=30)
    names = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME - 1]}…" for name in label_set.names]
    names = [name.replace("$", r"\$") for name in names]  # a dollar sign begins a formula
    size = 9 if classes <= NUMBERED else 6
    axes.set_xticks(range(classes), names, rotation=90, fontsize=size)
    axes.set_yticks(range(classes), names, fontsize=size)
    axes.set(xlabel="prediction", ylabel="truth", title="% of the labelled pixels of each row")
    if classes <= NUMBERED:
        for row, column in zip(*np.nonzero(share >= 0.5)):
            axes.text(column, row, f"{share[row, column]:.0f}", ha="center", va="center", fontsize=8,
                      color="white" if share[row, column] > 35 else "black")
    return _drawn(figure)


def reliability(calibration: Calibration) -> np.ndarray:
    """Return a reliability diagram: how often predictions of each confidence are right, and how many there are.

    Reference: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv:1706.04599, figure 1.

    Args:
        calibration: at least one pixel counted.
    Returns:
        uint8 `[H, W, 3]` RGB.
    """
    from matplotlib.figure import Figure

    confidence, accuracy = calibration.curve()
    edges = np.linspace(0, 1, calibration.bins + 1)
    figure = Figure(figsize=(5.0, 5.4), dpi=110, layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="0.5", linestyle="--", label="perfectly calibrated")
    upper.plot(confidence, accuracy, color="#0c4484", marker="o", markersize=4,
               label=f"this model (error {calibration.error():.3f})")
    upper.set(ylabel="share of right pixels", xlim=(0, 1), ylim=(0, 1), title="Reliability of the probabilities")
    upper.legend(loc="upper left", frameon=False)
    lower.bar(edges[:-1], calibration.pixels / calibration.pixels.sum(), np.diff(edges), align="edge",
              color="#6f9fd0", edgecolor="white")
    lower.set(xlabel="probability of the predicted class", ylabel="share of all pixels")
    for axes in (upper, lower):
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
    return _drawn(figure)


def thresholds(curve: ThresholdCurve, names: Sequence[str]) -> np.ndarray:
    """Return the intersection over union of each class at every threshold, its best marked; uint8 `[H, W, 3]` RGB."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for name, row, (best, score) in zip(names, curve.iou(), curve.best()):
        line, = axes.plot(curve.thresholds, row, label=name.replace("$", r"\$") if len(names) <= NUMBERED else None)
        axes.plot(best, score, "o", color=line.get_color())
    axes.set(xlabel="threshold", ylabel="IoU", xlim=(0, 1), ylim=(0, 1), title="What each threshold would give")
    axes.grid(color="0.9")
    if len(names) <= NUMBERED:
        axes.legend(loc="best", frameon=False)
    return _drawn(figure)


def _drawn(figure: "Figure") -> np.ndarray:
    """Return the figure as uint8 `[H, W, 3]`, without the global state of pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
