"""From the values stored in label files to class ids: tables, and the likely cause when a value is no class.

A table is int16 `[256]`: the class id of every stored value, 255 for ignore, -1 for a value that must not occur.
"""

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np

from kseg import checks
from kseg.labels import IGNORE_CLASS, LabelSet

ILLEGAL = -1
Classes = int | Sequence[str] | LabelSet  # how users say which classes there are: number, names, or all about them


class IllegalIds(ValueError):
    """A mask holds values that are no class."""


def label_set_of(classes: Classes) -> LabelSet:
    """Return the label set of an argument `classes`: itself, of these names, or of that many numbered classes."""
    if isinstance(classes, LabelSet):
        return classes
    if isinstance(classes, (list, tuple)):
        return LabelSet(tuple(classes))
    return LabelSet.generic(checks.positive_integer("classes", classes,
                                                    "Pass the number of classes, their names or a LabelSet."))


def label_set_of_map(label_map: Mapping[int, int]) -> LabelSet:
    """Return the numbered classes to which an argument `label_map` leads."""
    return LabelSet.generic(max(int(value) for value in label_map.values() if int(value) != IGNORE_CLASS) + 1)


def identity_table(classes: int) -> np.ndarray:
    """Return the table of a set whose files store class ids: `0 … classes-1` and 255, all else illegal."""
    return mapped_table(None, classes)


def mapped_table(label_map: Mapping[int, int] | None, classes: int) -> np.ndarray:
    """Return the table of `label_map`, a dict from stored value to class id or 255; values not named are illegal.

    None leaves ids as they are.

    Raises:
        ValueError: if a stored value is outside 0..255, or an id is neither a class nor 255.
    """
    label_map = {index: index for index in range(classes)} if label_map is None else label_map
    table = np.full(256, ILLEGAL, np.int16)
    table[IGNORE_CLASS] = IGNORE_CLASS
    for stored, class_id in label_map.items():
        if not 0 <= int(stored) <= 255 or not (0 <= int(class_id) < classes or int(class_id) == IGNORE_CLASS):
            raise ValueError(checks.sentence(
                "label_map", f"must map values 0..255 to class ids 0..{classes - 1} or {IGNORE_CLASS}",
                {stored: class_id}, "Raise `classes` or correct the pair."))
        table[int(stored)] = int(class_id)
    return table


def likely_cause(values: Iterable[int], classes: int) -> str:
    """Return a sentence on why stored `values`, all distinct ones of one or more masks, do not fit so many classes."""
    values = sorted(int(value) for value in values)
    foreground = [value for value in values if value not in (0, IGNORE_CLASS)]
    if values and not foreground and IGNORE_CLASS in values:
        return ("These look like 0/255 masks, and 255 means ignore: pass label_map={0: 0, 255: 1} to read 255 as "
                "class 1.")
    if values and values[-1] > 255:
        return "These look like 16-bit instance or scaled ids: store class ids below 255 in 8 bits."
    if foreground and foreground[-1] == classes and 0 not in values:
        return (f"The ids seem to start at 1 (off by one): pass label_map={{1: 0, …, {classes}: {classes - 1}}}, or "
                "subtract 1.")
    if foreground and foreground[-1] == classes:
        return (f"Id {classes} is one more than the last class: raise `classes` to {classes + 1}, or map it to 255 "
                "with `label_map` if it means void.")
    if len(foreground) > classes and foreground[-1] > 127:
        return ("So many values look like a photograph or an interpolated mask: resize masks by nearest neighbour "
                "only, and check that images and labels are not swapped.")
    if foreground and all(value % foreground[0] == 0 for value in foreground) and foreground[0] > 1:
        return (f"The ids look stretched for viewing (multiples of {foreground[0]}): pass "
                f"label_map={{0: 0, {foreground[0]}: 1, …}}.")
    return "Correct `classes`, or map the values with `label_map`."


def to_class_ids(stored: np.ndarray, table: np.ndarray, path: str, classes: int) -> np.ndarray:
    """Return `stored` (integers `[H, W]`) as class ids, uint8 `[H, W]`, 255 where ignored.

    Raises:
        IllegalIds: if a stored value is neither a class nor mapped; names `path` and the likely cause.
    """
    if stored.dtype != np.uint8:
        if stored.size and (stored.min() < 0 or stored.max() > 255):
            bad = np.unique(stored[(stored < 0) | (stored > 255)])
            raise _illegal(path, np.unique(stored), "ids", bad[:6].tolist(), classes)
        stored = stored.astype(np.uint8)
    suspicious = 254  # a class id only if there are 255 classes: count only then, it takes longer
    ids = cv2.LUT(stored, np.where(table == ILLEGAL, suspicious, table).astype(np.uint8))
    if (ids == suspicious).any():
        counts = np.bincount(stored.ravel(), minlength=256)
        bad = np.flatnonzero((counts > 0) & (table == ILLEGAL))
        if bad.size:
            raise _illegal(path, np.flatnonzero(counts), "pixels by id",
                           {int(value): int(counts[value]) for value in bad[:6]}, classes)
    return ids


def _illegal(path, values, what, shown, classes):
    return IllegalIds(checks.sentence(
        "labels", f"must hold class ids 0..{classes - 1} or {IGNORE_CLASS} (ignore); {path!r} has other {what}",
        shown, likely_cause(values, classes)))
