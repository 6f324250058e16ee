"""Which class each colour of a mask stands for: exactly, or the nearest of the named colours."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kseg import checks
from kseg.labels import IGNORE_CLASS, LabelSet

Colour = tuple[int, int, int]
OTHER = "other"  # the key of `label_map` for all that it does not name
_OTHER, _NOT_SEEN, _NEAR = -1, -2, 256  # entries of a table beside class ids; `_NEAR` is added to the id of a near one
_AT_ONCE = 1 << 16  # colours whose distances are taken at once
VOC_BORDER = (224, 224, 192)


@dataclasses.dataclass(frozen=True)
class Colours:
    """The colours of masks and the class ids they stand for.

    Args:
        named: (red, green, blue, class id or 255) of each named colour; of equal colours the first counts.
        other: class id or 255 of all other colours, or None: they are an error.
        nearest: float or None; a colour within this Euclidean distance in RGB of a named one takes its class, of
            equally near ones that of the first. What is farther away is `other`, or 255 if that is None.
        alone: bool, whether indexed and grey masks too are read by their colours, grey g being (g, g, g).
    """

    named: tuple[tuple[int, int, int, int], ...]
    other: int | None = None
    nearest: float | None = None
    alone: bool = False

    @property
    def id_of_others(self) -> int | None:
        """The class id or 255 of colours that are not named, nor near a named one; None: they are an error."""
        return IGNORE_CLASS if self.other is None and self.nearest is not None else self.other

    def class_ids(self, pixels: np.ndarray, path: str) -> np.ndarray:
        """Return the classes of a mask's colours, uint8 `[H, W, 3]`, as uint8 `[H, W]`, 255 where ignored.

        Raises:
            ValueError: if a colour stands for no class; names `path` and a few such colours.
        """
        found = self._found(pixels)
        other, strange = self.id_of_others, found == _OTHER
        if other is None and strange.any():
            colours = np.unique(pixels[strange].reshape(-1, 3), axis=0)
            raise ValueError(checks.sentence(
                "labels", f"must use the named colours only; {path!r} has {len(colours)} others at "
                f"{int(strange.sum())} of {strange.size} pixels", colours[:4].tolist(),
                "Name them (`name r g b` lines of classes.txt, or label_map={(r, g, b): id}), map all others by "
                'label_map={"other": 255}, or take antialiased rims to the nearest colour by nearest_colour=60.'))
        ids = found.astype(np.uint8)  # the lower 8 bits: `_NEAR` falls away
        if other is not None:
            ids[strange] = other
        return ids

    def counts(self, pixels: np.ndarray) -> tuple[int, int]:
        """Return at how many pixels of a mask the colour is but near a named one, and at how many it is no such."""
        found = self._found(pixels)
        return int((found >= _NEAR).sum()), int((found == _OTHER).sum())

    def to_list(self) -> list[Any]:
        """Return the map as JSON-ready values."""
        return [[list(row) for row in self.named], self.other, self.nearest, self.alone]

    def _found(self, pixels):
        """Return the entries of the table for colours `[H, W, 3]`, int16 `[H, W]`."""
        packed = (pixels[..., 0].astype(np.int32) << 16) | (pixels[..., 1].astype(np.int32) << 8) | pixels[..., 2]
        table = _table(self)
        found = table[packed]
        new = found == _NOT_SEEN
        if new.any():  # threads that meet here write the same
            colours = np.sort(packed[new])  # numpy.unique takes six times as long
            colours = colours[np.append(True, colours[1:] != colours[:-1])]
            for start in range(0, len(colours), _AT_ONCE):
                some = colours[start:start + _AT_ONCE]
                table[some] = self._nearest_of(some)
            found = table[packed]
        return found

    def _nearest_of(self, packed):
        """Return the entries of colours that are not named, by their distances from those that are."""
        colours = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], -1).astype(np.float32)  # [colours, 3]
        *named, ids = np.array(self.named, np.float32).T  # [named] each
        named = np.stack(named)  # [3, named]
        # Whole numbers below 2^24, which float32 has exactly.
        squares = (colours ** 2).sum(-1, keepdims=True) - 2 * colours @ named + (named ** 2).sum(0)
        nearest = squares.argmin(-1)  # of equally near ones the first
        near = squares[np.arange(len(squares)), nearest] <= self.nearest ** 2
        return np.where(near, ids[nearest].astype(np.int16) + _NEAR, _OTHER)


@functools.lru_cache(maxsize=4)
def _table(colours):
    """Return the entry of each of 2^24 colours, int16 (32 MiB); `_found` fills it where the nearest colour counts."""
    table = np.full(1 << 24, _OTHER if colours.nearest is None else _NOT_SEEN, np.int16)
    for red, green, blue, class_id in reversed(colours.named):
        table[(red << 16) | (green << 8) | blue] = class_id
    return table


def palette_rows(label_set: LabelSet) -> list[tuple[int, int, int, int]]:
    """Return (red, green, blue, class id) of each colour of a palette."""
    return [(*colour, class_id) for class_id, colour in enumerate(label_set.palette.tolist())]


def of_palette(rows: Iterable[tuple[int, int, int, int]], table: np.ndarray | None = None, other: int | None = None,
               nearest: float | None = None) -> Colours:
    """Return the colours of a palette, and that of VOC's border, which is ignored unless it is a class's.

    Where the nearest colour counts, the border's does not: it would take rims between light classes.

    Args:
        rows: (red, green, blue, class id) of each.
        table: int16 `[256]` or None, by which the ids are mapped on (`kseg.data.label_ids`).
        other, nearest: as of `Colours`.
    """
    mapped = [(*colour, class_id if table is None else int(table[class_id])) for *colour, class_id in rows]
    border = [(*VOC_BORDER, IGNORE_CLASS)] if nearest is None else []
    return Colours((*(row for row in mapped if row[-1] >= 0), *border), other, nearest)


def of_map(label_map: Mapping[Any, int], nearest: float | None = None) -> Colours:
    """Return the colours of an argument `label_map`, checked before; `alone` if it maps no stored values."""
    named = tuple((*key, class_id) for key, class_id in label_map.items() if isinstance(key, tuple))
    values = any(isinstance(key, int) for key in label_map)
    return Colours(named, label_map.get(OTHER), nearest, alone=not values)


def names_colours(label_map: Mapping[Any, int] | None) -> bool:
    """Return whether an argument `label_map` holds colours."""
    return label_map is not None and any(isinstance(key, tuple) for key in label_map)
