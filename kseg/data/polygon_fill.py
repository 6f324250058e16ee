"""The pixels in a polygon by COCO's rule, equal to pycocotools' masks pixel by pixel.

pycocotools itself is not used: what it allocates grows with the length of the outline, so that a corner far outside, in
a file that anyone may have written, takes gigabytes. Here it is bounded by the picture.
"""

import numpy as np

_FINE = 5  # COCO rounds corners to this part of a pixel
_FAR = 1e9  # pixels; a corner beyond is taken to be there
_AT_ONCE = 1 << 22  # crossings of edges and columns that are computed together


def filled(ring: np.ndarray, height: int, width: int) -> tuple[np.ndarray, int, int]:
    """Return (mask, top, left): the pixels in a ring, bool `[h, w]`, of the part of the picture that begins there.

    Args:
        ring: float64 `[n, 2]`, finite (x, y) in pixels.
        height, width: int, of the picture.
    """
    corners = np.trunc(np.clip(ring, -_FAR, _FAR) * _FINE + 0.5)
    left = max(int(corners[:, 0].min()) // _FINE, 0)
    right = min(int(corners[:, 0].max()) // _FINE + 1, width)
    top = min(max(int(corners[:, 1].min()) // _FINE, 0), height)
    bottom = min(max(int(corners[:, 1].max()) // _FINE + 1, top), height)
    rows, columns = bottom - top + 1, max(right - left, 0)  # the last row takes what passes below the picture
    toggles = np.zeros(rows * columns, np.uint32)
    ends = np.roll(corners, -1, axis=0)
    at_once = max(_AT_ONCE // max(columns, 1), 1)
    for start in range(0, len(corners), at_once):
        column, row = _crossings(corners[start:start + at_once], ends[start:start + at_once], left, right)
        np.add.at(toggles, (np.clip(row, top, bottom) - top) * columns + column - left, 1)
    return np.cumsum(toggles.reshape(rows, columns)[:-1], axis=0, dtype=np.uint32) % 2 == 1, top, left


def _crossings(starts, ends, left, right):
    """Return (columns, rows): below which row of which column's centre line each edge passes, int64 `[crossings]`.

    COCO walks along an edge in steps of a fifth of a pixel; it passes the centre of column c between the steps that
    round to 5c + 2 and 5c + 3, at the upper of the two.
    """
    steep = np.abs(ends[:, 0] - starts[:, 0]) < np.abs(ends[:, 1] - starts[:, 1])
    turned = np.where(steep, starts[:, 1] > ends[:, 1], starts[:, 0] > ends[:, 0])
    starts, ends = np.where(turned[:, None], ends, starts), np.where(turned[:, None], starts, ends)
    low, high = np.minimum(starts[:, 0], ends[:, 0]), np.maximum(starts[:, 0], ends[:, 0])
    first = np.maximum(np.ceil((low - 2) / _FINE), left).astype(np.int64)
    counts = np.maximum(np.minimum((high - 3) // _FINE, right - 1).astype(np.int64) - first + 1, 0)
    edges = np.repeat(np.arange(len(starts)), counts)
    columns = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(len(edges))
    (x, y), (dx, dy) = starts[edges].T, (ends - starts)[edges].T
    before = _FINE * columns + 2
    flat = ~steep[edges]
    slope = np.where(flat, dy, dx) / np.where(flat, dx, dy)
    heights = np.empty(len(edges))
    at = [np.floor(y[flat] + slope[flat] * (before[flat] + step - x[flat]) + 0.5) for step in (0, 1)]
    heights[flat] = np.minimum(*at)
    heights[~flat] = y[~flat] + _last_step(x[~flat], slope[~flat], before[~flat])
    return columns, np.ceil((heights + 0.5) / _FINE - 0.5).astype(np.int64)


def _last_step(x, slope, before):
    """Return the last of the steps 0, 1, … along steep edges that is still on the first side of the column's centre.

    Step t is at x + slope · t, rounded, and the sides are up to `before` and beyond.
    """
    side = slope > 0
    step = np.ceil((before + 0.5 - x) / slope)
    for _ in range(2):  # the estimate may be off by one: go by COCO's own expression
        step -= (np.floor(x + slope * step + 0.5) <= before) != side
    step += (np.floor(x + slope * (step + 1) + 0.5) <= before) == side
    return step
