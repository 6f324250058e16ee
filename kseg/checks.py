"""Argument checks; the only place that words an error.

Every message has four parts: the argument in backticks, the rule with its legal choices, `got name=value`, and what to
do next. Example: "`output_stride` must be one of (8, 16, 32), got output_stride=4. Use 8 for the densest features."
"""

import difflib
import math
import numbers
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from kseg.types import ImageSize, Path

Choice = TypeVar("Choice")


def sentence(name: str, rule: str, value: Any, advice: str) -> str:
    """Return the one error sentence: name, rule, the value received, and what to do next."""
    shown = repr(value)
    if len(shown) > 200:
        shown = shown[:197] + "..."
    return f"`{name}` {rule}, got {name}={shown}. {advice}"


def missing(name: str, packages: str, value: Any, extra: str) -> ImportError:
    """Return the error of an argument that needs optional `packages`, which kseg's extra `extra` installs."""
    return ImportError(sentence(name, f"needs {packages}", value, f'Install it: pip install "kseg[{extra}]".'))


def one_of(name: str, value: Choice, choices: Iterable[Any], advice: str | None = None,
           context: str = "") -> Choice:
    """Return `value` if it is among `choices`; otherwise raise, suggesting the nearest name.

    Args:
        name: str, the argument's name.
        value: what the caller passed.
        choices: sequence of the legal values.
        advice: str or None, replaces the suggestion of the nearest choice.
        context: str, added to the rule, e.g. " for encoder 'vgg16'".
    Returns:
        `value`, unchanged.
    Raises:
        ValueError: if `value` is not among `choices`.
    """
    choices = tuple(choices)
    if any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        return value
    if advice is None:
        near = difflib.get_close_matches(str(value), [str(choice) for choice in choices], n=1, cutoff=0.4)
        advice = f"Did you mean {near[0]!r}?" if near else f"Choose one of {_listed(choices)}."
    raise ValueError(sentence(name, f"must be one of {_listed(choices)}{context}", value, advice))


def _listed(choices):
    return "(" + ", ".join(repr(choice) for choice in choices) + ("," if len(choices) == 1 else "") + ")"


def positive_integer(name: str, value: Any, advice: str = "Pass a whole number of at least 1.",
                     minimum: int = 1) -> int:
    """Return `value` as int if it is a whole number of at least `minimum`; otherwise raise."""
    rule = "must be a positive integer" if minimum == 1 else f"must be an integer of at least {minimum}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(sentence(name, rule, value, advice))
    if value < minimum:
        raise ValueError(sentence(name, rule, value, advice))
    return int(value)


def number_between(name: str, value: Any, low: float, high: float, advice: str | None = None,
                   exclude: Sequence[float] = ()) -> float:
    """Return `value` as float if `low <= value <= high` and it is not in `exclude`; otherwise raise."""
    rule = f"must be a number between {low} and {high}"
    rule += f", not {' or '.join(map(str, exclude))}" if exclude else ""
    advice = advice or f"Pass a value from {low} to {high}."
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(sentence(name, rule, value, advice))
    if not low <= value <= high or value in exclude:
        raise ValueError(sentence(name, rule, value, advice))
    return float(value)


def weights_of_classes(name: str, values: Any) -> list[float] | None:
    """Return the argument `name`, numbers one per class, as a list of float, or None; illegal ones raise."""
    if values is None:
        return None
    try:
        values = [float(value) for value in (None if isinstance(values, (str, Mapping)) else values)]
    except (TypeError, ValueError) as failure:
        raise TypeError(sentence(name, "must be a sequence of numbers, one per class", values,
                                 "Write for example [0.5, 1.0, 2.0].")) from failure
    if not values or min(values) < 0 or not all(map(math.isfinite, values)):
        raise ValueError(sentence(
            name, "must be finite numbers of at least 0, one per class", values, "Leave it None for equal weights."))
    return values


def image_size(value: Any, name: str = "image_size", allow_none: bool = False) -> ImageSize:
    """Return `value` as a `(height, width)` tuple in pixels.

    Args:
        value: sequence of two positive integers; with `allow_none`, either may be None (any size).
        name: str, the argument's name.
        allow_none: bool, whether None stands for "unknown until run time".
    Raises:
        ValueError: if `value` is not two positive integers.
    """
    legal = isinstance(value, (tuple, list)) and len(value) == 2 and all(
        (allow_none and side is None)
        or (isinstance(side, numbers.Integral) and not isinstance(side, bool) and side > 0)
        for side in value
    )
    if not legal:
        rule = "must be two positive integers (height, width)" + (", or None for any size" if allow_none else "")
        raise ValueError(sentence(name, rule, value, f"Write for example {name}=(384, 512)."))
    return tuple(None if side is None else int(side) for side in value)


def existing_file(name: str, path: Path, advice: str = "Check the spelling of the path.") -> str:
    """Return `path` as str if a file stands there; otherwise raise FileNotFoundError."""
    if not os.path.isfile(path):
        raise FileNotFoundError(sentence(name, "must be the path of a file", str(path), advice))
    return os.fspath(path)


def existing_folder(name: str, path: Path | None, advice: str = "Check the spelling of the path.") -> str:
    """Return `path` as str if a folder stands there; otherwise raise FileNotFoundError."""
    if path is None or not os.path.isdir(path):
        shown = path if path is None else str(path)
        raise FileNotFoundError(sentence(name, "must be the path of a folder", shown, advice))
    return os.fspath(path)


def tensorflow_backend(use: str, advice: str) -> None:
    """Raise ValueError unless Keras runs on TensorFlow, which `use` needs."""
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(sentence("KERAS_BACKEND", f"must be 'tensorflow' for {use}", backend, advice))
