"""The learning curve of a run: loss and mean IoU over the epochs, with the best epoch marked."""

import os
from collections.abc import Sequence

import numpy as np

from kseg import files

_SETS = (("", "training", "tab:blue"), ("val_", "validation", "tab:orange"))  # prefix of the names, label, colour


def learning_curve(history: Sequence[dict[str, float]]):
    """Return the course of loss (left) and mean IoU (right) over the epochs.

    Args:
        history: dicts, one per epoch, with `epoch` from 1, and `loss`, `val_loss`, `mean_iou`, `val_mean_iou` where
            measured.
    Returns:
        `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10, 4), dpi=100, layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for axes, title, name in ((losses, "loss", "loss"), (scores, "mean IoU", "mean_iou")):
        for prefix, label, colour in _SETS:
            axes.plot(*_measured(history, prefix + name), marker="o", markersize=3, color=colour, label=label)
        axes.set(title=title, xlabel="epoch", xlim=(0.5, max(len(history), 1) + 0.5))
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    scores.set_ylim(0, 1)
    _mark_best(history, losses, scores)
    losses.legend(loc="lower left")  # losses begin high
    scores.legend(loc="best")
    return figure


def write_learning_curve(path: str | os.PathLike, history: Sequence[dict[str, float]]) -> None:
    """Write the learning curve as a PNG file."""
    with files.draft(path) as temporary:
        learning_curve(history).savefig(temporary, format="png")


def _measured(history, name):
    """Return the epochs in which `name` was measured, and its values."""
    rows = [row for row in history if np.isfinite(row.get(name, np.nan))]
    return [row["epoch"] for row in rows], [row[name] for row in rows]


def _mark_best(history, losses, scores):
    """Draw a line through the epoch of the best validation score, and write that score beside its point."""
    epochs, values = _measured(history, "val_mean_iou")
    if not values:
        return
    best = int(np.argmax(values))
    for axes in (losses, scores):
        axes.axvline(epochs[best], color="grey", linestyle="--", linewidth=1)
    scores.plot(epochs[best], values[best], "*", markersize=14, color="tab:red", markeredgecolor="white",
                label=f"best: {values[best]:.3f} in epoch {epochs[best]}")
