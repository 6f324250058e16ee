"""How arrows go from box to box, above those that stand in their way; pixels, y downwards."""

import dataclasses

from kseg.models.diagram.elements import Arrow
from kseg.models.diagram.spots import BADGE, Point, Spot

LANE_GAP, TRACK = 20, 9  # between lanes, and between arrows above the boxes of one


@dataclasses.dataclass(frozen=True)
class Route:
    """An arrow on the picture: the points of its line, and where a text about it begins, or None."""

    arrow: Arrow
    points: tuple[Point, ...]
    label: tuple[float, float, str] | None = None


def tracks_of(spots: list[Spot], arrows: list[Arrow]) -> dict[Arrow, int]:
    """Return arrow -> number of the track above the boxes of its lane, for arrows with a box in their way."""
    tracks, taken = {}, {}
    for arrow in arrows:
        source, target = spots[arrow.source], spots[arrow.target]
        stride, between = source.box.stride, range(source.column + 1, target.column)
        blocked = any(spot.box.stride == stride and spot.column in between for spot in spots)
        if blocked:
            number = 0
            while any(low < target.column and source.column < high for low, high in taken.get((stride, number), [])):
                number += 1
            taken.setdefault((stride, number), []).append((source.column, target.column))
            tracks[arrow] = number
    return tracks


def route_of(arrow: Arrow, spots: list[Spot], lanes: dict[int, tuple[float, float, float]],
             cells: dict[tuple[int, int], list[int]], track: int | None) -> Route:
    """Return the way of an arrow between spots that are placed; `cells` are (stride, column) -> boxes."""
    source, target = spots[arrow.source], spots[arrow.target]
    start = (source.right if source.box.kind != "join" else source.x + BADGE, source.y)
    aside = 5.0 if arrow.kind == "places" else 0.0  # beside the arrow of what flows
    start = (start[0], start[1] + (aside if track is None else 0))
    points = [start]
    if track is not None:
        height = lanes[source.box.stride or 1][0] + LANE_GAP / 2 + TRACK * track
        turn = start[0] + (5 if arrow.kind == "flow" else 9)
        points += [(turn, start[1]), (turn, height)]
    level = points[-1][1]
    alone = len(cells[target.box.stride or 1, target.column]) == 1
    deeper = (target.box.stride or 1) - (source.box.stride or 1)
    if deeper > 0 and alone and target.column == source.column + 1 and not target.badge:
        points += [(target.x, level), (target.x, target.top)]
    elif deeper < 0 and alone and target.inside and not target.badge:  # no text is in the way below it
        points += [(target.x, level), (target.x, target.y + target.height / 2)]
    elif target.badge and arrow.kind == "flow":
        x, y = target.badge
        points += [(x - BADGE, y)] if abs(level - y) < 1 else [(x, level), (x, y + (BADGE if level > y else -BADGE))]
    else:
        turn = target.edge - 8 - aside
        points += [(turn, level), (turn, target.y + aside), (target.left, target.y + aside)]
    return Route(arrow, _simplified(points), _label(arrow, source, target, points))


def _label(arrow, source, target, points):
    before, after = source.box.stride or 1, target.box.stride or 1
    texts = [mark for mark in arrow.marks if mark.startswith("×")]
    if arrow.channels is not None and "transposed" not in arrow.marks:
        texts.append(str(arrow.channels))
    if before > after and arrow.kind == "flow" and "unpool" not in arrow.marks:  # which always doubles
        texts.append(f"×{before // after}")
    if before == after and "pool" in arrow.marks:  # and enlarged again: SegNet-Basic's deepest stage
        texts.append("÷2 ×2")
    return (points[0][0] + 2, points[0][1] - 4, " ".join(texts)) if texts else None


def _simplified(points):
    """Return the points without repetitions."""
    kept = [points[0]]
    for point in points[1:]:
        if abs(point[0] - kept[-1][0]) + abs(point[1] - kept[-1][1]) > 0.5:
            kept.append(point)
    return tuple(kept)
