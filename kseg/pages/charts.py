"""Geometry of small charts that `parts.html` draws as SVG, in colours of the page, light and dark."""

import dataclasses
import math
import typing
from collections.abc import Sequence

import numpy as np

_WIDTH, _HEIGHT = 400, 220  # of a chart of lines, in its own units
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 392, 10, 186
_DOTS = 60  # with more points a line has none
NUMBERED = 24  # a matrix of more classes has no numbers in its cells
LONGEST_NAME = 24  # characters
_LEAST_SHARE = 0.05  # per cent of a row; smaller cells are not drawn
COLOURS = tuple(f"var(--series-{index})" for index in (1, 2, 3, 4))


def colours(count: int) -> list[str]:
    """Return colours of so many lines that are seen on light and dark."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return [f"hsl({360 * index // count} 60% 50%)" for index in range(count)]


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a chart: points (x, y), of which those without a finite y are left out."""

    label: str
    points: Sequence[tuple[float, float | None]]
    colour: str = COLOURS[0]
    dashed: bool = False

    def finite(self) -> list[tuple[float, float]]:
        """Return the points that can be drawn."""
        return [(x, y) for x, y in self.points if y is not None and math.isfinite(y)]


def line_chart(title: str, lines: Sequence[Line], *, across: str = "epoch", x_range: tuple[float, float] | None = None,
               y_range: tuple[float | None, float | None] = (0, None), mark: float | None = None,
               bars: Sequence[tuple[float, float, float]] = (), whole: bool = True) -> dict[str, typing.Any]:
    """Return what `line_chart` of `parts.html` draws.

    Args:
        title: str; across: str, what the x axis shows.
        x_range, y_range: ends of the axes; None: of the data.
        mark: x of a dashed line from top to bottom, or None.
        bars: (left, right, height) each.
        whole: bool, whether x are whole numbers.
    """
    drawn = [(line, line.finite()) for line in lines]
    xs = [x for _, points in drawn for x, _ in points] + [x for bar in bars for x in bar[:2]]
    ys = [y for _, points in drawn for _, y in points] + [bar[2] for bar in bars]
    x0, x1 = x_range or (min(xs, default=0), max(xs, default=1))
    y0 = min(ys, default=0) if y_range[0] is None else y_range[0]
    y1 = (max(ys, default=1) if y_range[1] is None else y_range[1]) or 1
    x1, y1 = max(x1, x0 + (1e-9 if not whole else 1)), max(y1, y0 + 1e-12)

    def place(x, y):
        return (round(_LEFT + (x - x0) / (x1 - x0) * (_RIGHT - _LEFT), 1),
                round(_BOTTOM - (min(max(y, y0), y1) - y0) / (y1 - y0) * (_BOTTOM - _TOP), 1))

    shown = [line for line, points in drawn if points]
    return {
        "title": title, "across": across, "width": _WIDTH, "height": _HEIGHT, "left": _LEFT, "right": _RIGHT,
        "top": _TOP, "bottom": _BOTTOM, "mark": None if mark is None else place(mark, y0)[0],
        "rows": [{"at": place(x0, tick)[1], "text": f"{tick:.4g}"} for tick in _ticks(y0, y1, 5)],
        "columns": [{"at": place(tick, y0)[0], "text": f"{tick:.4g}"} for tick in _ticks(x0, x1, 6, whole)],
        "lines": [_drawn(line, points, place, across) for line, points in drawn if points],
        "legend": shown if len(shown) > 1 else [],
        "bars": [_bar(bar, place) for bar in bars],
        "summary": "; ".join(f"{line.label} {points[0][1]:.4g} to {points[-1][1]:.4g}"
                             for line, points in drawn if points) or "nothing yet"}


def sparkline(values: Sequence[float | None]) -> str:
    """Return the points of a line of scores from 0 to 1 in a box of 80 by 20; empty with less than two of them."""
    points = [(index, value) for index, value in enumerate(values) if value is not None and math.isfinite(value)]
    if len(points) < 2:
        return ""
    last = max(len(values) - 1, 1)
    return " ".join(f"{2 + 76 * index / last:.1f},{18 - 16 * min(max(value, 0), 1):.1f}" for index, value in points)


def matrix_chart(matrix: np.ndarray, names: Sequence[str]) -> dict[str, typing.Any]:
    """Return what `matrix_chart` of `parts.html` draws of a confusion, int `[classes, classes]`: shares of each row."""
    matrix = np.asarray(matrix, np.float64)
    total, classes = matrix.sum(1, keepdims=True), len(matrix)
    share = 100 * np.divide(matrix, total, out=np.zeros_like(matrix), where=total > 0)
    cell, font = (32, 12) if classes <= NUMBERED else (9, 8)
    short = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME - 1]}…" for name in names]
    margin = 14 + math.ceil(0.6 * font * max(map(len, short)))
    cells = [{"x": margin + int(column) * cell, "y": margin + int(row) * cell,
              "opacity": round(math.sqrt(share[row, column] / 100), 3),  # the root: small errors show too
              "number": f"{share[row, column]:.0f}" if classes <= NUMBERED and share[row, column] >= 0.5 else "",
              "text": f"{share[row, column]:.1f} % of {names[row]} are taken for {names[column]}"}
             for row, column in zip(*np.nonzero(share >= _LEAST_SHARE))]
    return {"names": short, "cells": cells, "cell": cell, "font": font, "left": margin, "top": margin,
            "side": classes * cell, "width": margin + classes * cell + 2, "height": margin + classes * cell + 2}


def _drawn(line, points, place, across):
    places = [place(*point) for point in points]
    dots = [{"x": x, "y": y, "text": f"{line.label}, {across} {point[0]:.4g}: {point[1]:.4g}"}
            for (x, y), point in zip(places, points)] if len(points) <= _DOTS and not line.dashed else []
    return {"colour": line.colour, "dashed": line.dashed, "path": " ".join(f"{x},{y}" for x, y in places),
            "dots": dots, "radius": 2.6 if len(points) <= 30 else 1.6}


def _bar(bar, place):
    left, right, height = bar
    (x, y), (end, ground) = place(left, height), place(right, 0)
    return {"x": x, "y": y, "width": round(max(end - x - 1, 0.5), 1), "height": round(ground - y, 1),
            "text": f"{left:.3g} to {right:.3g}: {height:.3g}"}


def _ticks(low, high, most, whole=False):
    """Return round numbers from `low` to at least nearly `high`, at most about `most` of them."""
    step = (high - low) / most
    power = 10 ** math.floor(math.log10(step))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)
    step = max(1, round(step)) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]
