"""Tables on the terminal."""

import math
import sys

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
    for place, (heading, side) in enumerate(columns):
        table.add_column(heading, justify=side, no_wrap=place == 0)
    for row in rows:
        table.add_row(*row)
    show_table(table)


def show_table(table):
    """Print a `rich` renderable; into a file or pipe 120 characters wide."""
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def say(text):
    """Print a line as it is."""
    Console(soft_wrap=True).print(text, markup=False, highlight=False)


def iou_table(per_class_iou, mean_iou, title):
    """Print class -> intersection over union, NaN as a dash, and the mean below."""
    rows = [[name, "–" if math.isnan(value) else f"{value:.3f}"] for name, value in per_class_iou.items()]
    show([("class", "left"), ("IoU", "right")], [*rows, ["mean", f"{mean_iou:.3f}"]], title)
