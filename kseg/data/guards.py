"""What looks wrong with the first images of a training or a prediction: rules on arrays, and how they are told.

Each finding is a warning, told once per model, for none is certain: a picture may be black, and a batch may show
nothing but background. NumPy only.
"""

import contextlib
import functools
import os
import sys
import warnings
import weakref
from collections.abc import Mapping, Sequence

import numpy as np

from kseg import checks
from kseg.data.pixel_range import PixelRange
from kseg.labels import IGNORE_CLASS

_LARGE = 100_000_000  # values; larger images may lie on disk
_OVERSHOOT = 45  # bicubic and Lanczos interpolation exceed 0 and 255 by up to this
_BETWEEN_PER_EDGE, _BETWEEN_OF_THIN, _LEAST_BETWEEN = 0.1, 0.3, 30
_TOLD: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # model → kinds of findings that were told


class DataWarning(UserWarning):
    """Training or prediction runs, but the data look as if they were not what was meant."""


def of_pixels(images: Sequence[np.ndarray], name: str = "pixels") -> dict[str, str]:
    """Return what looks wrong with pixels, numbers `[..., H, W, channels]`: kind → message.

    Args:
        images: sequence of images or batches.
        name: str, what messages call them.
    """
    parts = [part for image in images if (part := _thinned(np.asarray(image))).size and part.dtype.kind in "uif"]
    if not parts:
        return {}
    least, most = min(float(part.min()) for part in parts), max(float(part.max()) for part in parts)
    span, rule = tuple(float(f"{one:.4g}") for one in (least, most)), "are pixels from 0 to 255"
    if most > 255 + _OVERSHOOT:
        return {"range": checks.sentence(name, rule, span,
                                         "Scale them as the model was trained; divide 16-bit values by 256.")}
    if least < -_OVERSHOOT or (least < 0 and most <= _OVERSHOOT):
        return {"normalised": checks.sentence(
            name, f"{rule}, and these look normalised already", span,
            "Pass them as they were decoded: the model normalises by itself.")}
    if 0 < most <= 1 and least >= 0:
        return {"divided by 255": checks.sentence(
            name, f"{rule}, and these look divided by 255 already", span,
            "Multiply them by 255: the model normalises by itself.")}
    return {}


def of_depth(dtypes: Sequence[np.dtype], pixel_range: PixelRange | None) -> dict[str, str]:
    """Return what looks wrong with the types of stored numbers for a model of this range: kind → message."""
    if pixel_range is None or np.uint8 not in dtypes or max(high for _, high in pixel_range.bounds) <= 255:
        return {}
    return {"8 bits": checks.sentence(
        "images", "are numbers as they are stored, of which the model's pixel_range "
        f"{[tuple(pair) for pair in pixel_range.bounds]} makes pixels 0 to 255; these have 8 bits and stay dark",
        "uint8", "Pass the images with the depth that it was trained on, or kseg.inference.Predictor(model, "
        "scaled=True) pixels 0 to 255.")}


def _thinned(image):
    """Return what is looked at of an image; not that of large ones of 8 bits, which are most often right."""
    if image.size < _LARGE:
        return image
    return image[:0] if image.dtype == np.uint8 else image[..., ::16, ::16, :]


def of_labels(labels: Sequence[np.ndarray], images: Sequence[np.ndarray] = ()) -> dict[str, str]:
    """Return what looks wrong with labels: kind → message.

    Args:
        labels: sequence of class ids `[H, W]`, or of maps `[H, W, classes]` of 0, 1 and 255.
        images: sequence of their pixels `[H, W, channels]`. Where an image is of one colour under all that is
            ignored, augmentation uncovered it; without images none is looked at.
    """
    found = {}
    labels = [np.asarray(one) for one in labels]
    fractions = [float(one[one != np.floor(one)][0]) for one in labels
                 if one.dtype.kind == "f" and (one != np.floor(one)).any()]
    if fractions:
        found["interpolated"] = _interpolated("fractions", fractions[0])
    elif between := _between_classes(labels):
        found["interpolated"] = _interpolated("thin rims of the ids between those on either side", between)
    if _only_ignored(labels, images):
        found["0/255 masks"] = checks.sentence(
            "labels", f"are class ids, of which {IGNORE_CLASS} is ignored, and the first {len(labels)} images hold "
            "no other class than 0", [0, IGNORE_CLASS],
            f"If {IGNORE_CLASS} marks a class, store it as 1 (label_map={{0: 0, {IGNORE_CLASS}: 1}} in kseg.data.load)"
            ": now it is left out of loss and scores.")
    return found


def _interpolated(what, value):
    return checks.sentence(
        "labels", f"are class ids, and these look resized by interpolation: they hold {what}", value,
        "Resize label maps by nearest neighbour, as kseg.data.load does: a mean of two ids is another class.")


def _only_ignored(labels, images):
    """Return whether no class but 0 occurs, and what is ignored shows something."""
    values = {int(value) for one in labels for value in np.unique(one)}
    if values != {0, IGNORE_CLASS}:
        return False
    for pixels, ids in zip(images, labels):
        ignored = ids == IGNORE_CLASS
        shown = np.asarray(pixels)[ignored if ignored.ndim == 2 else ignored.any(-1)]
        if len(shown) and (shown.max(0) != shown.min(0)).any():
            return True
    return False


def _between_classes(labels):
    """Return an example (class, between, class) if borders are as interpolation leaves them, else None.

    Along rows and columns, three neighbours of three classes are counted: in order of their ids, or not. Of CamVid and
    shapes at an eighth to twice their size, nearest neighbour leaves at most 0.08 in order per border of distant ids,
    and 0.22 of those with a thin middle; bilinear and area interpolation at least 0.13 and 0.33. Noise, in which most
    neighbours differ, is not judged.
    """
    ordered = thin = borders = changes = pixels = 0
    example = None
    for ids in labels:
        if ids.ndim != 2 or ids.dtype.kind not in "ui":
            continue
        for lines in (ids.astype(np.int16), ids.astype(np.int16).T):
            before, middle, after = lines[:, :-2], lines[:, 1:-1], lines[:, 2:]
            valid = (before != IGNORE_CLASS) & (middle != IGNORE_CLASS) & (after != IGNORE_CLASS)
            first, second = middle - before, after - middle
            in_order = valid & (first * np.sign(second) > 0)
            ordered += int(in_order.sum())
            thin += int((valid & (first != 0) & (second != 0)).sum())
            borders += int((valid & (np.abs(first) > 1)).sum())
            changes, pixels = changes + int((valid & (first != 0)).sum()), pixels + int(valid.sum())
            if example is None and in_order.any():
                row, column = np.argwhere(in_order)[0]
                example = tuple(int(part[row, column]) for part in (before, middle, after))
    told = (ordered >= max(_LEAST_BETWEEN, _BETWEEN_PER_EDGE * borders, _BETWEEN_OF_THIN * thin)
            and changes < 0.3 * pixels)
    return example if told else None


def of_absent_classes(pixels: np.ndarray, names: Sequence[str]) -> dict[str, str]:
    """Return what looks wrong with the labelled pixels of each class in an epoch, int `[classes]`: kind → message."""
    absent = [f"{index} ({name})" for index, name in enumerate(names) if not pixels[index]]
    if not absent or not pixels.sum():
        return {}
    return {"absent class": checks.sentence(
        "classes", f"should each occur in the training labels, and {len(absent)} of {len(names)} were at no pixel of "
        "the first epoch", absent, "They cannot be learnt: see with kseg.data.check how the label files store them, "
        "or leave them out.")}


def warn(model: object, findings: Mapping[str, str]) -> None:
    """Warn of findings, each kind once per `model`, as of the line of the user's that called kseg."""
    told = _TOLD.setdefault(model, set())
    for kind, message in findings.items():
        if kind not in told:
            told.add(kind)
            warnings.warn(message, DataWarning, stacklevel=_level_of_user())


def _level_of_user():
    """Return the `stacklevel` of the nearest caller outside of kseg and the libraries it runs in."""
    libraries = [sys.modules[name].__file__ for name in ("kseg", "keras", "tensorflow") if name in sys.modules]
    inside = (functools.__file__, contextlib.__file__, *(os.path.dirname(file) + os.sep for file in libraries))
    frame, level = sys._getframe(1), 1
    while frame is not None and frame.f_code.co_filename.startswith(inside):
        frame, level = frame.f_back, level + 1
    return level

