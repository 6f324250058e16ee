"""Where boxes stand from left to right, and how large they are: a column per step of the way; pixels, y downwards."""

import dataclasses
from collections.abc import Callable

from kseg.models.diagram.elements import Arrow, Box
from kseg.models.diagram.texts import lines_of, one_line_of

FONT, LINE = 12, 14.5  # height of letters and of a line of text
LEFT, GUTTER = 64, 30  # room for the strides; left of each column, where arrows turn
BADGE = 8.5  # radius of a join's circle
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


def columns_of(boxes: list[Box], arrows: list[Arrow]) -> list[int]:
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


def spot_of(box: Box, column: int, inside: bool, text_width: Callable[[str, bool], float]) -> Spot:
    """Return a box with its size and texts, not placed yet."""
    if box.kind == "join":
        return Spot(box, column, [], 2 * BADGE, 2 * BADGE)
    wide = min(76.0, max(12.0, 7 + 1.3 * (box.channels or 1) ** 0.5))
    if not inside and box.kind != "block":
        return Spot(box, column, lines_of(box), wide, _HEIGHTS.get(box.stride, 24))
    lines = lines_of(box) if box.kind == "block" else one_line_of(box)
    needed = max(text_width(line, not number) for number, line in enumerate(lines)) + 12
    return Spot(box, column, lines, max(wide, needed), LINE * len(lines) + 8, inside=True)


def widest(spot: Spot, text_width: Callable[[str, bool], float]) -> float:
    """Return the width of the texts of a spot."""
    return max([text_width(line, not number) for number, line in enumerate(spot.lines)], default=0)


def set_columns(spots: list[Spot], text_width: Callable[[str, bool], float]) -> None:
    """Set x and edge of each spot: columns as wide as their widest box or text; boxes of a stack equally wide."""
    widths = {}
    for spot in spots:
        if spot.inside:
            spot.width = max(other.width for other in spots if other.inside and (other.column, other.box.stride)
                             == (spot.column, spot.box.stride))
        needed = max(spot.width, 0 if spot.inside else widest(spot, text_width))
        widths[spot.column] = max(widths.get(spot.column, 0), needed)
    x, edges = LEFT, {}
    for column in sorted(widths):
        x += GUTTER if column else 0
        edges[column] = x
        x += widths[column]
    for spot in spots:
        spot.edge, spot.x = edges[spot.column], edges[spot.column] + widths[spot.column] / 2
