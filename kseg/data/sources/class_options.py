"""From what users say about classes to how a folder's masks are read: names, colours, maps, `classes.txt`."""

import dataclasses
import os
import re

import numpy as np

from kseg import checks
from kseg.data import colours as colour_maps
from kseg.data import label_ids
from kseg.data.colours import Colours
from kseg.data.sources.named_classes import named
from kseg.data.sources.untrusted import lines
from kseg.labels import LabelSet


@dataclasses.dataclass(frozen=True, eq=False)
class ClassOptions:
    """How masks are read: the classes, the table of stored values, and the colours, None where none are known."""

    label_set: LabelSet
    table: np.ndarray  # int16 `[256]`
    colours: Colours | None


def class_options(classes: label_ids.Classes | None, label_map: dict[label_ids.Key, int] | None,
                  nearest_colour: float | None, listed: str) -> ClassOptions | None:
    """Return how masks are read by the arguments of `kseg.data.source`, or None if they do not say which classes.

    Colours are those of `label_map`, if it names any; else of `classes`, if it has a palette; else of `classes.txt`.

    Args:
        classes, label_map, nearest_colour: as `kseg.data.source`.
        listed: path of `classes.txt`, which need not be there.
    """
    nearest = None if nearest_colour is None else checks.number_between("nearest_colour", nearest_colour, 0, 442)
    label_map = label_ids.read_map(label_map)
    rows = None  # (red, green, blue, class id) of each colour
    if isinstance(classes, str):
        label_set, known = named(classes)
        label_map = {**known, **(label_map or {})}
    elif classes is not None:
        label_set = label_ids.label_set_of(classes)
        rows = colour_maps.palette_rows(label_set) if isinstance(classes, LabelSet) else None
    elif os.path.isfile(listed):
        label_set, rows = read_classes(listed)
    elif label_map is not None and label_map.keys() != {colour_maps.OTHER}:
        label_set = label_ids.label_set_of_map(label_map)
    else:
        _refuse_nearest(nearest)
        return None
    table = label_ids.mapped_table(label_map, len(label_set))
    if colour_maps.names_colours(label_map):
        colours = colour_maps.of_map(label_map, nearest)
        if not isinstance(classes, (str, LabelSet)) and rows is None:
            label_set = _painted(label_set, colours)
    elif rows is not None:
        colours = colour_maps.of_palette(rows, table, (label_map or {}).get(colour_maps.OTHER), nearest)
    else:
        _refuse_nearest(nearest)
        colours = None
    return ClassOptions(label_set, table, colours)


def read_classes(path: str) -> tuple[LabelSet, list[tuple[int, int, int, int]] | None]:
    """Return (`LabelSet`, (red, green, blue, class id) of each colour) of a text file, None where it has no colours.

    It holds one `name` or `name r g b` per line. Lines of one name with different colours are one class, drawn in the
    first.

    Raises:
        ValueError: if a colour stands for two classes, or is outside 0..255.
    """
    ids, rows, coloured = {}, {}, True
    for line in map(str.strip, lines(path)):
        name, *colour = re.fullmatch(r"(.*?)(?:(?<![\s,])[\s,]+(\d+)[\s,]+(\d+)[\s,]+(\d+))?", line).groups()
        repeated, class_id = name in ids, ids.setdefault(name, len(ids))
        if colour[0] is None and repeated:
            raise ValueError(checks.sentence(
                "classes.txt", "must give a repeated name another colour, `name r g b`", line,
                f"Correct the line in {path}, or name every id differently."))
        if colour[0] is None:
            coloured = False
            continue
        colour = tuple(int(part.lstrip("0")[:4] or 0) for part in colour)  # of any length
        if max(colour) > 255 or rows.setdefault(colour, class_id) != class_id:
            raise ValueError(checks.sentence(
                "classes.txt", "must give each colour, of three numbers 0..255, to one class", line,
                f"Correct the line in {path}."))
    coloured = coloured and bool(rows)
    rows = [(*colour, class_id) for colour, class_id in rows.items()]
    first = {class_id: colour for *colour, class_id in reversed(rows)}
    palette = np.array([first[class_id] for class_id in range(len(ids))]) if coloured else None
    return LabelSet(tuple(ids), palette), rows if coloured else None


def _painted(label_set, colours):
    """Return a label set in the first colour of each class, as far as it has one."""
    palette = label_set.palette.copy()
    for *colour, class_id in reversed(colours.named):
        if class_id < len(palette):
            palette[class_id] = colour
    return LabelSet(label_set.names, palette)


def _refuse_nearest(nearest):
    if nearest is not None:
        raise ValueError(checks.sentence(
            "nearest_colour", "must be None where no colours are known", nearest,
            "Name them: label_map={(r, g, b): id}, `name r g b` lines of classes.txt, or a LabelSet with a palette."))
