"""A layout drawn with Matplotlib, as SVG or PNG, on a light panel that dark pages can hold too."""

import functools
from typing import TYPE_CHECKING

from kseg.models.diagram.placement import Layout
from kseg.models.diagram.spots import BADGE, FONT, LINE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TEXT, _QUIET, _LINE, _PANEL = "#1c2321", "#5b6663", "#69736f", "#fbfbfa"
_FILL = {"input": "#d5d9d8", "stage": "#9dbfe3", "dilated": "#4f86c0", "convolution": "#97cfa9", "pooling": "#f0c477",
         "block": "#c0a8e0", "output": "#e39a94"}
_KEY = {"stage": "encoder's stage", "dilated": "dilated stage", "convolution": "convolutions", "pooling": "pooling",
        "block": "block", "output": "output"}
_JOINS = {"concatenate": "C", "add": "+", "maximum": "M", "multiply": "×", "subtract": "−", "average": "∅"}
_JOIN_KEY = {"concatenate": "concatenation", "add": "sum", "maximum": "maximum", "multiply": "product",
             "subtract": "difference", "average": "mean"}
_UP, _PLACES = "#1b7a3d", "#c2571a"
_RAISED = {"up", "transposed", "unpool"}


def text_width(text: str, bold: bool = False, size: float = FONT) -> float:
    """Return the width of a text in pixels."""
    from matplotlib.textpath import TextToPath

    return TextToPath().get_text_width_height_descent(text, _font(bold, size), ismath=False)[0] * 100 / 72


@functools.lru_cache(maxsize=None)
def _font(bold, size):
    from matplotlib.font_manager import FontProperties

    return FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal", size=size * 72 / 100)


def drawn(layout: Layout, title: str, subtitle: str) -> "Figure":
    """Return the layout as a figure of 100 dots per inch, without the global state of pyplot."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    key = _key(layout)
    width = max(layout.width, 32 + text_width(title, True, 17), 32 + text_width(subtitle), 32 + _key_width(key))
    figure = Figure(figsize=(width / 100, layout.height / 100), dpi=100)
    figure.patch.set_alpha(0)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(layout.height, 0))
    axes.axis("off")
    axes.add_patch(FancyBboxPatch((1, 1), width - 2, layout.height - 2, boxstyle="round,pad=0,rounding_size=8",
                                  facecolor=_PANEL, edgecolor="#d9dcda", linewidth=1))
    _write(axes, 16, 26, title, True, 17)
    _write(axes, 16, 45, subtitle, colour=_QUIET)
    _draw_lanes(axes, layout, width)
    for route in layout.routes:
        source, target = layout.spots[route.arrow.source].box, layout.spots[route.arrow.target].box
        _draw_route(axes, route, target.training_only, (source.stride or 1) > (target.stride or 1))
    for spot in layout.spots:
        _draw_spot(axes, spot)
    _draw_key(axes, key, layout.height - 16)
    return figure


def _write(axes, x, y, text, bold=False, size=FONT, colour=_TEXT, align="left"):
    axes.text(x, y, text, fontproperties=_font(bold, size), color=colour, ha=align, va="baseline", parse_math=False)


def _draw_lanes(axes, layout, width):
    for number, (stride, (top, middle, bottom)) in enumerate(layout.lanes.items()):
        if number % 2 == 0:
            axes.axhspan(top, bottom, 1.5 / width, 1 - 1.5 / width, color="#f1f3f2", linewidth=0)
        _write(axes, 14, middle + 4, "1" if stride == 1 else f"1/{stride}", colour=_QUIET)


def _draw_route(axes, route, training_only, raised):
    arrow = route.arrow
    places = arrow.kind == "places"
    colour = _PLACES if places else _UP if _RAISED & set(arrow.marks) or raised else _LINE
    dashes = (0, (4, 2)) if places or training_only else "solid"
    xs, ys = zip(*route.points)
    axes.plot(xs, ys, color=colour, linewidth=1.1, linestyle=dashes, solid_joinstyle="round")
    if len(route.points) > 1:
        _draw_head(axes, route.points[-2], route.points[-1], colour)
    if route.label:
        x, y, text = route.label
        _write(axes, x, y, text, size=10, colour=colour)


def _draw_head(axes, before, end, colour):
    """Draw the head of an arrow that runs along an axis."""
    from matplotlib.patches import Polygon

    (x, y), length = end, abs(end[0] - before[0]) + abs(end[1] - before[1])
    along = ((end[0] - before[0]) / length, (end[1] - before[1]) / length)
    across = (-along[1], along[0])
    corners = [(x, y), *((x - 6 * along[0] + side * across[0], y - 6 * along[1] + side * across[1])
                         for side in (3, -3))]
    axes.add_patch(Polygon(corners, facecolor=colour, linewidth=0))


def _draw_spot(axes, spot):
    from matplotlib.patches import Circle, FancyBboxPatch

    box = spot.box
    if box.kind != "join":
        axes.add_patch(FancyBboxPatch(
            (spot.left, spot.top), spot.width, spot.height, boxstyle="round,pad=0,rounding_size=2.5",
            facecolor=_FILL[_kind(box)], edgecolor="#3d4745", linewidth=0.8,
            linestyle=(0, (4, 2)) if box.training_only else "solid"))
    if spot.badge:
        axes.add_patch(Circle(spot.badge, BADGE, facecolor="white", edgecolor="#3d4745", linewidth=0.9))
        symbol = _JOINS.get(box.join, "·")
        axes.text(*spot.badge, symbol, fontproperties=_font(True, 12), color=_TEXT, ha="center",
                  va="center_baseline", parse_math=False)
        if box.kind != "join":
            axes.plot((spot.badge[0] + BADGE, spot.left), (spot.y, spot.y), color=_LINE, linewidth=1.1)
    first = spot.y - LINE * len(spot.lines) / 2 + 11.5 if spot.inside else spot.y + spot.height / 2 + LINE - 1
    for number, line in enumerate(spot.lines):
        _write(axes, spot.x, first + LINE * number, line, bold=not number, align="center")


def _kind(box):
    return "dilated" if box.kind == "stage" and box.rates else box.kind


def _key(layout):
    """Return the entries of the key, (kind, text), for what the picture holds."""
    kinds = {_kind(spot.box) for spot in layout.spots}
    entries = [("box", _FILL[kind], text) for kind, text in _KEY.items() if kind in kinds]
    joins = {spot.box.join for spot in layout.spots}
    entries += [("join", _JOINS[kind], text) for kind, text in _JOIN_KEY.items() if kind in joins]
    marks = {mark for route in layout.routes for mark in route.arrow.marks}
    if _RAISED & marks:
        names = {"up": "enlarged", "transposed": "up-convolution", "unpool": "unpooled, ×2"}
        entries.append(("line", _UP, " or ".join(text for mark, text in names.items() if mark in marks)))
    if any(route.arrow.kind == "places" for route in layout.routes):
        entries.append(("dashes", _PLACES, "places of the maxima"))
    if any(spot.box.training_only for spot in layout.spots):
        entries.append(("dashes", _LINE, "in training only"))
    return entries


def _key_width(key):
    return sum(text_width(text, size=11) + 38 for *_, text in key)


def _draw_key(axes, key, y):
    from matplotlib.patches import Circle, Rectangle

    x = 16.0
    for kind, value, text in key:
        if kind == "box":
            axes.add_patch(Rectangle((x, y - 10), 16, 12, facecolor=value, edgecolor="#3d4745", linewidth=0.8))
        elif kind == "join":
            axes.add_patch(Circle((x + 8, y - 4), 7.5, facecolor="white", edgecolor="#3d4745", linewidth=0.9))
            axes.text(x + 8, y - 4, value, fontproperties=_font(True, 11), color=_TEXT,
                      ha="center", va="center_baseline")
        else:
            axes.plot((x, x + 17), (y - 4, y - 4), color=value, linewidth=1.3,
                      linestyle="solid" if kind == "line" else (0, (4, 2)))
        _write(axes, x + 22, y, text, size=11, colour=_QUIET)
        x += text_width(text, size=11) + 38

