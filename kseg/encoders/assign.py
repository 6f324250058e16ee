"""Arrays by name become the weights of an encoder."""

import re

import keras
import numpy as np

from kseg import checks
from kseg.encoders.row import Encoder
from kseg.encoders.stem import adapt_stem


def assign_arrays(encoder: keras.Model, arrays: dict[str, np.ndarray], path: str, row: Encoder,
                  argument: str = "encoder_weights") -> None:
    """Give each variable of `encoder` the array of its path.

    Args:
        encoder: the model.
        arrays: dict of variable path to array; "bgr" tells the order of the stem's bands (see `load_file`).
        path: str, the file they come from, for the error sentence.
        row: `Encoder`.
        argument: str, what the user gave the file as, likewise.
    Raises:
        ValueError: if an array is missing or has another shape, or "bgr" is missing where the order is not known.
    """
    stem = next(variable for variable in encoder.variables if len(variable.shape) == 4)
    groups = stem.shape[2] // max(3, encoder.inputs[0].shape[-1])
    bgr = row.bgr and bool(arrays.get("bgr", False))
    matched = _matched([variable.path for variable in encoder.variables], arrays)
    missing, wrong, values = [], [], []
    for variable in encoder.variables:
        value = matched.get(variable.path)
        if value is None:
            missing.append(variable.path)
            continue
        if variable is stem and value.ndim == 4:
            value = adapt_stem(value, variable.shape[2], groups, bgr)
        if tuple(value.shape) != tuple(variable.shape):
            wrong.append(f"{variable.path} {tuple(value.shape)} instead of {tuple(variable.shape)}")
        values.append((variable, value))
    if missing or wrong:
        first = f"lacks {missing[0]}" if missing else f"holds {wrong[0]}"
        raise ValueError(checks.sentence(
            argument, f"must hold every array of encoder {row.name!r}: {len(missing)} missing, {len(wrong)} "
            "of another shape", path, f"The file {first}; use the file of this encoder."))
    if row.bgr and "bgr" not in arrays:  # the arrays of both orders have the same names and shapes
        raise ValueError(checks.sentence(
            argument, f"must hold an array 'bgr' for encoder {row.name!r}, 0 if its stem reads red first as "
            f"kseg's does, 1 if blue first as {row.library}'s does", path,
            "Add it to the file, or pass the .weights.h5 file that `save_weights` writes, of either network."))
    for variable, value in values:
        variable.assign(value)


def _matched(paths, arrays):
    """Return the array of each path; paths that differ in their numbers alone are matched in the order of the numbers.

    Layers without a name of their own are counted on from build to build, so that their paths differ each time.
    """
    ours, theirs = _by_form(paths), _by_form(arrays)
    matched = {path: arrays[path] for path in paths if path in arrays}
    for form, group in ours.items():
        if len(theirs.get(form, ())) == len(group):
            matched.update((path, arrays[key]) for path, key in zip(group, theirs[form]))
    return matched


def _by_form(paths):
    """Return the paths by what remains without numbers, each group in the order of its numbers."""
    def numbers(path):
        return [[int(number) for number in re.findall(r"\d+", part)] for part in path.split("/")]
    groups = {}
    for path in sorted(paths, key=numbers):
        groups.setdefault(re.sub(r"_?\d+", "", path), []).append(path)
    return groups
