"""Tables on the terminal."""

import math

from rich.console import Console
from rich.table import Table


def show(columns, rows, title=None):
    """Print a table.

    Args:
        columns: list of (heading, "left" or "right").
        rows: list of lists of str.
        title: str or None.
    """
    table = Table(title=title, title_justify="left")
    for heading, side in columns:
        table.add_column(heading, justify=side)
    for row in rows:
        table.add_row(*row)
    show_table(table)


def show_table(table):
    """Print a `rich` renderable."""
    Console().print(table)


def say(text):
    """Print a line as it is."""
    Console(soft_wrap=True).print(text, markup=False, highlight=False)


def iou_table(per_class_iou, mean_iou, title):
    """Print class -> intersection over union, NaN as a dash, and the mean below."""
    rows = [[name, "–" if math.isnan(value) else f"{value:.3f}"] for name, value in per_class_iou.items()]
    show([("class", "left"), ("IoU", "right")], [*rows, ["mean", f"{mean_iou:.3f}"]], title)
