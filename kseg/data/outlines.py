"""Figures of annotation tools that are no polygons: rectangles and ellipses, upright or turned.

Coordinates are (x, y) in pixels as in `kseg.data.drawing`; angles are in degrees, clockwise as seen.
"""

import math

import numpy as np

from kseg import checks
from kseg.data.drawing import Region

_AT_ONCE = 1 << 22  # pixels that are computed together

def rectangle(left: float, top: float, right: float, bottom: float, degrees: float = 0.0,
              about: tuple[float, float] | None = None) -> np.ndarray:
    """Return the corners of a rectangle that is turned about a point, by default its centre, float64 `[4, 2]`."""
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    if not degrees % 360:
        return corners  # as they are, not rounded
    about = corners.mean(axis=0) if about is None else np.asarray(about, np.float64)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (corners - about) @ np.array([[cosine, sine], [-sine, cosine]]) + about


def ellipse_region(class_id: int, centre: tuple[float, float], radii: tuple[float, float], degrees: float,
                   height: int, width: int, where: str) -> Region:
    """Return the `Region` of the pixels whose centres are in an ellipse or on it.

    Args:
        centre: (x, y).
        radii: half of its axes before it is turned, horizontal and vertical.
        degrees: by which it is turned about its centre.
        height, width: int, of the picture; what is outside is cut off.
        where: str, how messages name the annotation.
    Raises:
        ValueError: if a radius is not above 0, or the ellipse lies wholly outside the picture.
    """
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    (x, y), (a, b) = centre, radii
    if not (a > 0 and b > 0):
        raise ValueError(checks.sentence("radii", f"must be above 0 in {where}", radii,
                                         "Draw the ellipse again, or remove the annotation."))
    reach = math.hypot(a * cosine, b * sine), math.hypot(a * sine, b * cosine)  # half of the upright box around it
    left, right = max(math.floor(x - reach[0]), 0), min(math.ceil(x + reach[0]), width)
    top, bottom = max(math.floor(y - reach[1]), 0), min(math.ceil(y + reach[1]), height)
    if left >= right or top >= bottom:
        raise ValueError(checks.sentence(
            "ellipse", f"must have a part of the picture, which is {height} pixels high and {width} wide, in {where}",
            {"centre": centre, "radii": radii}, "Draw it again, or remove the annotation."))
    mask = np.empty((bottom - top, right - left), bool)
    across = (np.arange(left, right) + 0.5 - x)[None, :]  # [1, columns]
    step = max(_AT_ONCE // mask.shape[1], 1)
    for first in range(0, len(mask), step):
        rows = slice(first, min(first + step, len(mask)))
        down = (np.arange(rows.start, rows.stop) + top + 0.5 - y)[:, None]  # [rows, 1]
        mask[rows] = ((across * cosine + down * sine) / a) ** 2 + ((down * cosine - across * sine) / b) ** 2 <= 1
    return Region(class_id, mask, top, left)
