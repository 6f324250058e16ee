"""Tables on the terminal."""

import math
import sys
import typing
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table


def show(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """Print a table of texts; each column is its heading and "left" or "right"."""
    table = Table(title=title, title_justify="left")
    for place, (heading, side) in enumerate(columns):
        table.add_column(heading, justify=side, no_wrap=place == 0)
    for row in rows:
        table.add_row(*row)
    show_table(table)


def show_table(table: typing.Any) -> None:
    """Print a `rich` renderable; into a file or pipe 120 characters wide."""
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def say(text: str) -> None:
    """Print a line as it is."""
    Console(soft_wrap=True).print(text, markup=False, highlight=False)


def iou_of_models_table(results: Mapping[str, typing.Any], title: str) -> None:
    """Print class -> intersection over union, NaN as a dash, and the mean below.

    There is one column per entry of `results`, name -> `kseg.training.TrainingResult` on the same classes.
    """
    columns = [[*result.per_class_iou.values(), result.mean_iou] for result in results.values()]
    names = [*next(iter(results.values())).per_class_iou, "mean"]
    rows = [[name, *("–" if math.isnan(value) else f"{value:.3f}" for value in values)]
            for name, *values in zip(names, *columns, strict=True)]
    show([("class", "left"), *((name, "right") for name in results)], rows, title)
