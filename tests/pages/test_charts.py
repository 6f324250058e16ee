"""Charts: points stand where their numbers say, and what is no number is left out."""

import numpy as np
import pytest

from kseg.pages import charts


def numbers(path):
    return [tuple(map(float, point.split(","))) for point in path.split()]


def test_a_line_goes_from_corner_to_corner():
    chart = charts.line_chart("loss", [charts.Line("training", [(1, 0.0), (2, float("nan")), (3, None), (5, 1.0)])],
                              mark=3)
    line, = chart["lines"]
    assert numbers(line["path"]) == [(chart["left"], chart["bottom"]), (chart["right"], chart["top"])]
    assert [dot["text"] for dot in line["dots"]] == ["training, epoch 1: 0", "training, epoch 5: 1"]
    assert chart["mark"] == (chart["left"] + chart["right"]) / 2
    assert [tick["text"] for tick in chart["columns"]] == ["1", "2", "3", "4", "5"]
    assert [tick["text"] for tick in chart["rows"]] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]


def test_values_beyond_an_end_that_is_given_stay_in_the_chart():
    chart = charts.line_chart("loss", [charts.Line("training", [(1, -1.0), (2, 3.0)])], y_range=(0, 1))
    ys = [y for _, y in numbers(chart["lines"][0]["path"])]
    assert min(ys) >= chart["top"] and max(ys) <= chart["bottom"]


@pytest.mark.parametrize("points", [[], [(1, 5.0)], [(1, 0.0), (2, 0.0)], [(1, 1e-9), (2, 1e-9)], [(1, 1e9)]])
def test_few_or_equal_points(points):
    chart = charts.line_chart("loss", [charts.Line("training", points)])
    assert len(chart["lines"]) == bool(points) and 1 <= len(chart["rows"]) <= 12
    assert all(np.isfinite(number) for line in chart["lines"] for point in numbers(line["path"]) for number in point)


def test_one_line_needs_no_legend():
    lines = [charts.Line("a", [(1, 1)]), charts.Line("b", [(1, 2)]), charts.Line("c", [])]
    assert [line.label for line in charts.line_chart("t", lines)["legend"]] == ["a", "b"]
    assert charts.line_chart("t", lines[1:])["legend"] == []


def test_bars_stand_on_the_ground():
    chart = charts.line_chart("share", [], bars=[(0, 0.5, 0.25), (0.5, 1, 1.0)], x_range=(0, 1), whole=False)
    assert all(bar["y"] + bar["height"] == pytest.approx(chart["bottom"]) for bar in chart["bars"])
    assert chart["bars"][1]["height"] == pytest.approx(4 * chart["bars"][0]["height"], abs=0.2)


def test_a_matrix_draws_shares_of_rows():
    chart = charts.matrix_chart(np.array([[90, 10, 0], [0, 0, 0], [0, 100_000, 1]]), ["a", "b", "c"])
    shown = {((cell["y"] - chart["top"]) // chart["cell"], (cell["x"] - chart["left"]) // chart["cell"]): cell
             for cell in chart["cells"]}
    assert {place: cell["number"] for place, cell in shown.items()} == {(0, 0): "90", (0, 1): "10", (2, 1): "100"}
    assert shown[0, 1]["opacity"] == pytest.approx(0.1 ** 0.5, abs=1e-3)
    assert shown[0, 1]["text"] == "10.0 % of a are taken for b"
    many = charts.matrix_chart(np.eye(150, dtype=int), [f"class {index}" for index in range(150)])
    assert len(many["cells"]) == 150 and not any(cell["number"] for cell in many["cells"])


def test_a_sparkline_needs_two_points():
    assert charts.sparkline([]) == charts.sparkline([0.5, None]) == ""
    assert numbers(charts.sparkline([0.0, None, 1.0])) == [(2, 18), (78, 2)]


def test_lines_of_many_classes_have_different_colours():
    assert len(set(charts.colours(20))) == 20 and charts.colours(2) == list(charts.COLOURS[:2])
