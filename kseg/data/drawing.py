"""Label maps drawn from what annotation tools write: polygons, run lengths, and which object covers which.

Coordinates are (x, y) in pixels, (0, 0) at the upper left corner of the first pixel, whose centre is at (0.5, 0.5). A
pixel belongs to a polygon if its centre does, by COCO's own rule, pixel by pixel: corners are rounded to a fifth of a
pixel, and the edges go from one such point to the next. One rule serves all formats.

`where` is how messages name the file and the annotation, e.g. "instances.json, annotation 7".
"""

import dataclasses
import typing
from collections.abc import Iterable, Sequence

import numpy as np

from kseg import checks
from kseg.data import polygon_fill

ORDERS = ("smaller_on_top", "listed")  # which of two objects keeps the pixels of both
_MOST_PIXELS = 1 << 30  # of a label map; a size above is a broken header


@dataclasses.dataclass(frozen=True, eq=False)
class Region:
    """One annotated object or part of a picture: the pixels of a class.

    Args:
        class_id: int, or 255 for ignore.
        mask: bool `[h, w]`, which pixels belong to it, of the part of the picture that begins at `top` and `left`.
        top, left: int, row and column of the mask's first pixel.
    """

    class_id: int
    mask: np.ndarray
    top: int = 0
    left: int = 0

    @property
    def area(self) -> int:
        """The number of its pixels."""
        return int(np.count_nonzero(self.mask))


def paint(regions: Iterable[Region], height: int, width: int, order: str = "smaller_on_top",
          where: str = "the annotation") -> np.ndarray:
    """Return the label map that regions give, uint8 `[H, W]`; pixels of none are 0, background.

    Args:
        regions: `Region`s; drawn one by one, so that a generator keeps one in memory at a time.
        height, width: int, of the picture.
        order: which region keeps a pixel that several have: "smaller_on_top", the one of fewest pixels (of equal ones
            the last), or "listed", the last.
    Raises:
        ValueError: if the size is no size of a picture, or `order` is none of `ORDERS`.
    """
    checks.one_of("order", order, ORDERS)
    checked_size(height, width, where)
    labels = np.zeros((height, width), np.uint8)
    areas = np.full((height, width), np.inf, np.float32) if order == "smaller_on_top" else None
    for region in regions:
        window = np.s_[region.top:region.top + region.mask.shape[0], region.left:region.left + region.mask.shape[1]]
        mask = region.mask
        if areas is not None:
            mask = mask & (np.float32(region.area) <= areas[window])
            areas[window][mask] = region.area
        labels[window][mask] = region.class_id
    return labels


def polygon_mask(rings: Sequence[typing.Any], height: int, width: int, *, holes: Sequence[typing.Any] = (),
                 where: str = "the polygon") -> np.ndarray:
    """Return the pixels of the parts of an object, bool `[H, W]`: what is in any of `rings` and in none of `holes`.

    A ring that crosses itself holds what its boundary goes round an odd number of times. What is outside the picture is
    cut off.

    Args:
        rings, holes: sequences of rings, each `[n, 2]` (x, y), or flat, x, y, x, y, …, in pixels.
        height, width: int, of the picture.
    Raises:
        ValueError: if a ring has fewer than three corners, an odd number of coordinates, one that is no finite number,
            or lies wholly outside the picture.
    """
    region = polygon_region(0, rings, height, width, holes=holes, where=where)
    mask = np.zeros((height, width), bool)
    mask[region.top:region.top + region.mask.shape[0], region.left:region.left + region.mask.shape[1]] = region.mask
    return mask


def polygon_region(class_id: int, rings: Sequence[typing.Any], height: int, width: int, *,
                   holes: Sequence[typing.Any] = (), where: str = "the polygon") -> Region:
    """Return the `Region` of an object whose parts are `rings`, less `holes`; all else as `polygon_mask`."""
    checked_size(height, width, where)
    if len(rings) == 0:
        raise ValueError(checks.sentence("polygon", f"must have at least one part in {where}", list(rings),
                                         "Draw its outline again, or remove the annotation."))
    parts = [Region(class_id, *polygon_fill.filled(checked_ring(ring, height, width, where), height, width))
             for ring in rings]
    top, left = min(part.top for part in parts), min(part.left for part in parts)
    bottom = max(part.top + part.mask.shape[0] for part in parts)
    right = max(part.left + part.mask.shape[1] for part in parts)
    mask = np.zeros((bottom - top, right - left), bool)
    for part in parts:
        rows, columns = part.top - top, part.left - left
        mask[rows:rows + part.mask.shape[0], columns:columns + part.mask.shape[1]] |= part.mask
    if len(holes):
        mask &= ~polygon_mask(holes, height, width, where=where)[top:bottom, left:right]
    return Region(class_id, mask, top, left)


def mask_region(class_id: int, mask: np.ndarray) -> Region:
    """Return the `Region` of a mask, bool `[H, W]`, of a whole picture, cut to the pixels that belong to it."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return Region(class_id, np.zeros((0, 0), bool))
    top, left = int(rows[0]), int(columns[0])
    return Region(class_id, mask[top:rows[-1] + 1, left:columns[-1] + 1], top, left)


def checked_ring(ring: typing.Any, height: int, width: int, where: str) -> np.ndarray:
    """Return a ring as float64 `[n, 2]` (x, y); an illegal one raises as `polygon_mask` says."""
    try:
        ring = np.asarray(ring, np.float64)
    except (TypeError, ValueError, OverflowError) as failure:
        raise ValueError(_no_ring("numbers alone, x and y of each corner", where, ring)) from failure
    if ring.ndim == 1 and ring.size % 2 == 0:
        ring = ring.reshape(-1, 2)  # [n, 2]
    if ring.ndim != 2 or ring.shape[1] != 2:
        raise ValueError(_no_ring("an even number of coordinates, x and y of each corner", where, ring.tolist()))
    if len(ring) < 3:
        raise ValueError(_no_ring("at least three corners", where, ring.tolist()))
    if not np.isfinite(ring).all():
        raise ValueError(_no_ring("finite coordinates", where, ring.tolist()))
    if (ring.max(axis=0) < 0).any() or (ring.min(axis=0) > (width, height)).any():
        raise ValueError(_no_ring(f"a part of the picture, which is {height} pixels high and {width} wide", where,
                                  ring.tolist()))
    return ring


def _no_ring(rule, where, ring):
    return checks.sentence("polygon", f"must have {rule}, in {where}", ring,
                           "Draw its outline again, or remove the annotation.")


def checked_size(height: typing.Any, width: typing.Any, where: str) -> None:
    """Raise ValueError if this is no size of a picture, or one above 2³⁰ pixels; nothing is allocated before."""
    whole = all(isinstance(side, (int, np.integer)) and not isinstance(side, bool) and side > 0
                for side in (height, width))
    if not whole or int(height) * int(width) > _MOST_PIXELS:
        raise ValueError(checks.sentence(
            "size", f"must be (height, width) of a picture of at most 2**30 pixels, in {where}", (height, width),
            "Correct the size in the file."))


def check_stated_size(stated: typing.Any, height: int, width: int, where: str) -> None:
    """Raise ValueError if an annotation states another (height, width), in pixels, than its image has."""
    try:
        same = tuple(stated) == (height, width)
    except TypeError:
        same = False
    if not same:
        raise ValueError(checks.sentence(
            "size", f"must be that of the image, (height, width) = {(height, width)}, in {where}", stated,
            "Pair it with the image it was drawn on: one that was turned (EXIF orientation) or resized differs."))


def rle_mask(counts: typing.Any, height: int, width: int, where: str = "the run lengths") -> np.ndarray:
    """Return the pixels that COCO's run lengths give, bool `[H, W]`.

    Runs go down the columns, pixels that are outside first.

    Args:
        counts: list of int, or str or bytes, the compressed form.
        height, width: int, of the picture.
    Raises:
        ValueError: if they are not numbers of pixels, or do not add up to the picture.
    """
    checked_size(height, width, where)
    pixels = height * width
    runs = _decompressed(counts, where) if isinstance(counts, (str, bytes)) else counts
    try:
        runs = np.asarray(runs)
        legal = runs.ndim == 1 and runs.size and runs.dtype.kind in "iu" and runs.min() >= 0 and runs.max() <= pixels
        total = int(runs.sum(dtype=np.int64)) if legal else None
    except (TypeError, ValueError, OverflowError):
        total = None
    if total != pixels:
        raise ValueError(checks.sentence(
            "counts", f"must be run lengths that add up to {height} × {width} = {pixels} pixels, in {where}",
            counts if total is None else total, "Export the mask again, or remove the annotation."))
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T  # [H, W]


def _decompressed(text, where):
    """Return the run lengths of a compressed string, int64 `[n]`.

    Each number is written in groups of five bits, the lowest first, 48 being added to each group; bit 5 says that
    another follows, bit 4 of the last is the sign. From the fourth number on, they are differences to the last but one.
    """
    try:
        groups = np.frombuffer(text.encode("ascii") if isinstance(text, str) else text, np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError:
        groups = np.array([-1])
    last = (groups & 0x20) == 0
    starts = np.flatnonzero(np.r_[True, last[:-1]]) if groups.size else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[starts, len(groups)])
    if not groups.size or groups.min() < 0 or groups.max() > 63 or not last[-1] or lengths.max() > 7:
        raise ValueError(checks.sentence("counts", f"must be a whole string of compressed run lengths, in {where}",
                                         text, "Export the mask again, or remove the annotation."))
    places = np.arange(len(groups)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((groups & 0x1F) << (5 * places), starts)
    ends = starts + lengths - 1
    runs -= np.where(groups[ends] & 0x10, np.int64(1) << (5 * lengths), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs
