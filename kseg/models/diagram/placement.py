"""Where boxes and arrows of a diagram stand: a column per step of the way, a lane per stride; pixels, y downwards."""

import dataclasses

from kseg.models.diagram.boxes import Arrow, Box
from kseg.models.diagram.texts import lines_of, one_line_of

FONT, LINE = 12, 14.5  # height of letters and of a line of text
HEAD, FOOT, LEFT, RIGHT = 58, 44, 64, 18  # room for the title, the key, the strides, and beside the last box
GUTTER = 30  # left of each column, where arrows turn
BADGE = 8.5  # radius of a join's circle
_GAP, _LANE_GAP, _TRACK = 8, 20, 9
_HEIGHTS = {1: 58, 2: 50, 4: 42, 8: 35, 16: 29, 32: 24}  # of a box by its stride

Point = tuple[float, float]


@dataclasses.dataclass
class Spot:
    """A box on the picture: its column, its rectangle around (x, y), its texts below it or, in a stack, inside."""

    box: Box
    column: int
    lines: list[str]
    width: float
    height: float
    inside: bool = False
    edge: float = 0.0  # where its column begins
    x: float = 0.0
    y: float = 0.0

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        return self.y - self.height / 2

    @property
    def reach(self) -> float:
        """How far it goes below y, texts included."""
        return self.height / 2 + (0 if self.inside or not self.lines else 3 + LINE * len(self.lines))

    @property
    def badge(self) -> Point | None:
        """The centre of the circle where arrows meet, or None."""
        if not self.box.join:
            return None
        return (self.x, self.y) if self.box.kind == "join" else (self.edge - BADGE - 4, self.y)


@dataclasses.dataclass(frozen=True)
class Route:
    """An arrow on the picture: the points of its line, and where a text about it begins, or None."""

    arrow: Arrow
    points: tuple[Point, ...]
    label: tuple[float, float, str] | None = None


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
    columns = _columns(boxes, arrows)
    cells = {}
    for number, box in enumerate(boxes):
        cells.setdefault((box.stride or 1, columns[number]), []).append(number)
    spots = [None] * len(boxes)
    for members in cells.values():
        main = [number for number in members if not boxes[number].training_only]
        for number in members:
            spots[number] = _spot(boxes[number], columns[number], len(main) > 1 and number in main, text_width)
    _set_columns(spots, text_width)
    tracks = _tracks(spots, arrows)
    lanes, bottom = _lanes(spots, cells, boxes, tracks)
    width = max(spot.x + max(spot.width, _widest(spot, text_width)) / 2 for spot in spots) + RIGHT
    routes = [_route(arrow, spots, lanes, cells, tracks.get(arrow)) for arrow in arrows]
    return Layout(spots, routes, lanes, width, bottom + FOOT)


def _columns(boxes, arrows):
    """Return the column of each box: one after the last it needs, and beside the path no sooner than needed."""
    columns = [0] * len(boxes)
    flow = [arrow for arrow in arrows if arrow.kind == "flow"]
    for _ in boxes:  # as often as the longest path; boxes are nearly in order, so that it ends at once
        before = list(columns)
        for arrow in flow:
            columns[arrow.target] = max(columns[arrow.target], columns[arrow.source] + 1)
        if columns == before:
            break
    for _ in boxes:
        before = list(columns)
        for number, box in enumerate(boxes):
            after = [columns[arrow.target] for arrow in flow if arrow.source == number]
            if after and box.kind not in ("input", "stage") and not box.training_only:
                columns[number] = max(columns[number], min(after) - 1)
        if columns == before:
            break
    return columns


def _spot(box, column, inside, text_width):
    if box.kind == "join":
        return Spot(box, column, [], 2 * BADGE, 2 * BADGE)
    wide = min(76.0, max(12.0, 7 + 1.3 * (box.channels or 1) ** 0.5))
    if not inside and box.kind != "block":
        return Spot(box, column, lines_of(box), wide, _HEIGHTS.get(box.stride, 24))
    lines = lines_of(box) if box.kind == "block" else one_line_of(box)
    needed = max(text_width(line, not number) for number, line in enumerate(lines)) + 12
    return Spot(box, column, lines, max(wide, needed), LINE * len(lines) + 8, inside=True)


def _widest(spot, text_width):
    """Return the width of the texts of a spot."""
    return max([text_width(line, not number) for number, line in enumerate(spot.lines)], default=0)


def _set_columns(spots, text_width):
    """Set x and edge of each spot: columns as wide as their widest box or text; boxes of a stack equally wide."""
    widths = {}
    for spot in spots:
        if spot.inside:
            spot.width = max(other.width for other in spots if other.inside and (other.column, other.box.stride)
                             == (spot.column, spot.box.stride))
        needed = max(spot.width, 0 if spot.inside else _widest(spot, text_width))
        widths[spot.column] = max(widths.get(spot.column, 0), needed)
    x, edges = LEFT, {}
    for column in sorted(widths):
        x += GUTTER if column else 0
        edges[column] = x
        x += widths[column]
    for spot in spots:
        spot.edge, spot.x = edges[spot.column], edges[spot.column] + widths[spot.column] / 2


def _tracks(spots, arrows):
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
        start = top + _LANE_GAP / 2 + (_TRACK * (max(used) + 1) + 4 if used else 0)
        middle = start + above
        for number, offset in offsets.items():
            spots[number].y = middle + offset
        lanes[stride] = (top, middle, middle + below + _LANE_GAP / 2)
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


def _route(arrow, spots, lanes, cells, track):
    source, target = spots[arrow.source], spots[arrow.target]
    start = (source.right if source.box.kind != "join" else source.x + BADGE, source.y)
    aside = 5.0 if arrow.kind == "places" else 0.0  # beside the arrow of what flows
    start = (start[0], start[1] + (aside if track is None else 0))
    points = [start]
    if track is not None:
        height = lanes[source.box.stride or 1][0] + _LANE_GAP / 2 + _TRACK * track
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
