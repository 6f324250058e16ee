"""JSON that anyone may have written: read once, and every part checked before it is used.

`where` is how messages name the record; all raise ValueError with the error sentence, which names it.
"""

import json
import math
import typing
from collections.abc import Callable

from kseg import checks
from kseg.data import filesystems

MOST = 1e9  # of a coordinate or size, in pixels
_WORDS = {int: "a whole number", float: "a number", str: "a text", list: "a list", dict: "an object"}
_AGAIN = "Correct the file or export it again."


def read_json(path: str, kind: type = dict, object_hook: Callable[[dict], typing.Any] | None = None) -> typing.Any:
    """Return the content of a JSON file, which must be of this kind (dict, list, or object for any).

    Raises:
        FileNotFoundError: if there is no such file.
    """
    try:
        content = json.loads(filesystems.read_bytes(path), object_hook=object_hook)
    except FileNotFoundError as failure:
        raise FileNotFoundError(checks.sentence("annotations", "must be the path of a JSON file", path,
                                                "Check the spelling of the path.")) from failure
    except (ValueError, RecursionError, OSError) as failure:
        raise ValueError(checks.sentence("annotations", "must be a JSON file", path,
                                         f"The parser says: {failure}. Export it again.")) from failure
    if not isinstance(content, kind):
        raise ValueError(checks.sentence("annotations", f"must hold {_WORDS[kind]} in {path!r}",
                                         type(content).__name__, "Is this the right file? Export it again."))
    return content


def text(path: str, name: str = "data_dir") -> str:
    """Return the content of a text file; `name` is what an error calls the argument that led to it.

    Raises:
        ValueError: if it is not in UTF-8.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except UnicodeDecodeError as failure:
        raise ValueError(checks.sentence(name, "must lead to a text file in UTF-8", path,
                                         f"The decoder says: {failure}. Save it again.")) from failure


def lines(path: str, name: str = "data_dir") -> list[str]:
    """Return the lines of a text file that are not blank; else as `text`."""
    return [line for line in text(path, name).split("\n") if line.strip()]


def value(record: dict, key: str, kinds: type | tuple[type, ...], where: str) -> typing.Any:
    """Return `record[key]`, which must be of one of the kinds."""
    found = record.get(key)
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(found, kinds) or isinstance(found, bool):
        rule = f"must be {' or '.join(_WORDS[kind] for kind in kinds)} in {where}"
        raise ValueError(checks.sentence(key, rule, found, _AGAIN))
    return found


def rows(record: dict, key: str, where: str) -> list[dict]:
    """Return `record[key]`, which must be a list of objects."""
    found = value(record, key, list, where)
    if not all(isinstance(row, dict) for row in found):
        raise ValueError(checks.sentence(key, f"must be a list of objects in {where}", found, _AGAIN))
    return found


def number(found: typing.Any, key: str, where: str) -> float:
    """Return a coordinate, size or angle that is a finite number, or text of one, within ±1e9."""
    try:
        result = math.nan if isinstance(found, bool) else float(found)
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if not abs(result) <= MOST:
        raise ValueError(checks.sentence(key, f"must be a number between -1e9 and 1e9 in {where}", found, _AGAIN))
    return result


def points(found: typing.Any, count: int, key: str, where: str) -> list[tuple[float, float]]:
    """Return `count` points (x, y), which must be so many pairs of numbers."""
    pairs = found if isinstance(found, list) else [found]
    if len(pairs) != count or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        wanted = "a pair" if count == 1 else f"{count} pairs"
        raise ValueError(checks.sentence(key, f"must be {wanted} of x and y in {where}", found, _AGAIN))
    return [(number(x, key, where), number(y, key, where)) for x, y in pairs]
