"""From the values stored in label files to class ids: tables, and the likely cause when a value is no class.

A table is int16 `[256]`: the class id of every stored value, 255 for ignore, -1 for a value that must not occur.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from kseg import checks
from kseg.data.colours import OTHER
from kseg.labels import IGNORE_CLASS, LabelSet

ILLEGAL = -1
Key = int | tuple[int, int, int] | str  # of a label map: stored value, colour, or "other"
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


def read_map(label_map: Mapping[Any, int] | None) -> dict[Key, int] | None:
    """Return an argument `label_map` with keys int, (red, green, blue) or "other", which JSON has as text.

    Raises:
        TypeError: if it is no dict, a key is none of these, or a value no integer.
        ValueError: if a stored value or a part of a colour is outside 0..255.
    """
    if label_map is None:
        return None
    if not isinstance(label_map, Mapping):
        raise TypeError(_key_sentence(label_map))
    read = {}
    for key, class_id in label_map.items():
        numbers = _numbers_of_key(key)
        if numbers is None or isinstance(class_id, bool) or not isinstance(class_id, (int, np.integer)):
            raise TypeError(_key_sentence({key: class_id}))
        if any(not 0 <= number <= 255 for number in numbers):
            raise ValueError(checks.sentence("label_map", "must map values and colours of 0..255", {key: class_id},
                                             "Correct the pair."))
        read[OTHER if not numbers else numbers[0] if len(numbers) == 1 else numbers] = int(class_id)
    return read


def _numbers_of_key(key):
    """Return the numbers of a key, as a tuple of one or three, of "other" an empty one, or None if it is no key."""
    if isinstance(key, str):
        if key == OTHER:
            return ()
        if re.fullmatch("#[0-9a-fA-F]{6}", key):
            return tuple(bytes.fromhex(key[1:]))
        match = re.fullmatch(r"[(\[]?\s*(\d+)(?:[\s,]+(\d+)[\s,]+(\d+))?\s*[)\]]?", key)
        return match and tuple(int(number) for number in match.groups() if number is not None)
    numbers = tuple(key) if isinstance(key, (tuple, list)) else (key,)
    whole = all(isinstance(number, (int, np.integer)) and not isinstance(number, bool) for number in numbers)
    return tuple(map(int, numbers)) if whole and len(numbers) in (1, 3) else None


def _key_sentence(got):
    return checks.sentence(
        "label_map", 'must be a dict from stored values, colours (red, green, blue) or "other" to class ids', got,
        'Write for example {0: 0, 255: 1}, or {(102, 102, 51): 1, "other": 255}, in JSON {"102,102,51": 1}.')


def map_to_json(label_map: Mapping[Key, int]) -> dict[str, int]:
    """Return a label map with keys of text, which `read_map` takes back."""
    return {",".join(map(str, key)) if isinstance(key, tuple) else str(key): class_id
            for key, class_id in label_map.items()}


def label_set_of_map(label_map: Mapping[Key, int]) -> LabelSet:
    """Return the numbered classes to which an argument `label_map` leads."""
    ids = [int(value) for value in label_map.values() if int(value) != IGNORE_CLASS]
    if not ids:
        raise ValueError(checks.sentence("label_map", "must lead to at least one class where `classes` is None",
                                         label_map, "Pass `classes`, or map a value to class 0."))
    return LabelSet.generic(max(ids) + 1)


def identity_table(classes: int) -> np.ndarray:
    """Return the table of a set whose files store class ids: `0 … classes-1` and 255, all else illegal."""
    return mapped_table(None, classes)


def mapped_table(label_map: Mapping[Key, int] | None, classes: int) -> np.ndarray:
    """Return the table of `label_map`, as `read_map` returns it; values not named are illegal without "other".

    None, or a map of nothing but "other", leaves ids as they are. Colours are not for this table.

    Raises:
        ValueError: if a stored value is outside 0..255, or an id is neither a class nor 255.
    """
    label_map = {OTHER: ILLEGAL} if label_map is None else {OTHER: ILLEGAL, **label_map}
    if label_map.keys() == {OTHER}:
        label_map.update({index: index for index in range(classes)})
    table = np.full(256, label_map[OTHER], np.int16)
    table[IGNORE_CLASS] = IGNORE_CLASS
    for stored, class_id in label_map.items():
        implied = stored == OTHER and class_id == ILLEGAL
        if not (implied or 0 <= class_id < classes or class_id == IGNORE_CLASS) or (
                isinstance(stored, int) and not 0 <= stored <= 255):
            raise ValueError(checks.sentence(
                "label_map", f"must map values 0..255 to class ids 0..{classes - 1} or {IGNORE_CLASS}",
                {stored: class_id}, "Raise `classes` or correct the pair."))
        if isinstance(stored, int):
            table[stored] = class_id
    return table


def likely_cause(values: Iterable[int], classes: int) -> str:
    """Return a sentence on why stored `values`, all distinct ones of one or more masks, do not fit so many classes."""
    values = sorted(int(value) for value in values)
    foreground = [value for value in values if value not in (0, IGNORE_CLASS)]
    if values and not foreground and IGNORE_CLASS in values:
        return ("These look like 0/255 masks, and 255 means ignore: pass label_map={0: 0, 255: 1} to read 255 as "
                "class 1, or task='binary' for a model of one class.")
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
