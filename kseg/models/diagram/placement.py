"""Where boxes and arrows of a diagram stand: a column per step of the way, a lane per stride; pixels, y downwards."""

import dataclasses

from kseg.models.diagram.elements import Arrow, Box
from kseg.models.diagram.routes import LANE_GAP, TRACK, Route, route_of, tracks_of
from kseg.models.diagram.spots import Spot, columns_of, set_columns, spot_of, widest

HEAD, FOOT, RIGHT = 58, 44, 18  # room for the title, the key, and beside the last box
_GAP = 8  # between the boxes of a stack


@dataclasses.dataclass(frozen=True)
class Layout:
    """Everything that is drawn but title and key; `lanes` are stride -> (top, middle, bottom)."""

    spots: list[Spot]
    routes: list[Route]
    lanes: dict[int, tuple[float, float, float]]
    width: float
    height: float


def placed(boxes: list[Box], arrows: list[Arrow], text_width) -> Layout:
    """Return the layout; `text_width(text, bold)` measures a text in pixels."""
    columns = columns_of(boxes, arrows)
    cells = {}
    for number, box in enumerate(boxes):
        cells.setdefault((box.stride or 1, columns[number]), []).append(number)
    spots = [None] * len(boxes)
    for members in cells.values():
        main = [number for number in members if not boxes[number].training_only]
        for number in members:
            spots[number] = spot_of(boxes[number], columns[number], len(main) > 1 and number in main, text_width)
    set_columns(spots, text_width)
    tracks = tracks_of(spots, arrows)
    lanes, bottom = _lanes(spots, cells, boxes, tracks)
    width = max(spot.x + max(spot.width, widest(spot, text_width)) / 2 for spot in spots) + RIGHT
    routes = [route_of(arrow, spots, lanes, cells, tracks.get(arrow)) for arrow in arrows]
    return Layout(spots, routes, lanes, width, bottom + FOOT)


def _lanes(spots, cells, boxes, tracks):
    """Set the y of each spot; return (the lanes, the y where they end)."""
    lanes, top = {}, HEAD
    for stride in sorted({stride for stride, _ in cells}):
        above = below = 0.0
        offsets = {}
        for (lane, _), members in cells.items():
            if lane == stride:
                high, low = _stack(members, spots, offsets)
                above, below = max(above, high), max(below, low)
        used = [number for arrow, number in tracks.items() if (boxes[arrow.source].stride or 1) == stride]
        start = top + LANE_GAP / 2 + (TRACK * (max(used) + 1) + 4 if used else 0)
        middle = start + above
        for number, offset in offsets.items():
            spots[number].y = middle + offset
        lanes[stride] = (top, middle, middle + below + LANE_GAP / 2)
        top = lanes[stride][2]
    return lanes, top


def _stack(members, spots, offsets):
    """Note the offsets of the spots of a cell from the middle of its lane; return how far it reaches up and down."""
    main = [number for number in members if not spots[number].box.training_only] or members
    if len(main) == 1:
        spot = spots[main[0]]
        offsets[main[0]], high, low = 0.0, spot.height / 2, spot.reach
    else:
        heights = [spots[number].height if spots[number].inside else spots[number].height / 2 + spots[number].reach
                   for number in main]
        high = low = (sum(heights) + _GAP * (len(main) - 1)) / 2
        y = -high
        for number, height in zip(main, heights):
            offsets[number] = y + spots[number].height / 2
            y += height + _GAP
    for number in members:
        if number not in offsets:
            spot = spots[number]
            offsets[number] = low + _GAP + spot.height / 2
            low = offsets[number] + spot.reach
    return high, low
