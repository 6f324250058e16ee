"""`kseg.show`: an image, its labels painted over it, and the classes that occur, as a Matplotlib figure."""

import io
import os
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kseg import checks, pictures, tasks
from kseg.data import decode
from kseg.inference.images import open_image
from kseg.inference.metadata import known_labels
from kseg.inference.predict import Model, Predictor
from kseg.inference.stored_image import StoredImage
from kseg.labels import IGNORE_CLASS, LabelSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANEL = 4.2  # inches
_LONGEST_NAME = 28  # characters


def show(image: Any, label_map: Any = None, truth: Any = None,
         model_or_label_set: Model | LabelSet | None = None, *, opacity: float = 0.5) -> "Figure":
    """Return a figure: the image, beside it the labels painted over it, and a legend of the classes that occur.

    Notebooks draw the figure by themselves; elsewhere `figure.savefig("seen.png")` writes it. It needs no display.

    Args:
        image: a path, a PIL image, or pixels 0–255 `[H, W]` or `[H, W, channels]`; for a model with a `pixel_range`,
            numbers as they are stored.
        label_map: class ids `[H, W]`, 255 = ignore, or 0, 1 and 255 `[H, W, classes]`, or the path of a mask file; None
            for what the model predicts.
        truth: as `label_map`, drawn as a third picture; or None.
        model_or_label_set: a model as `kseg.predict` takes it, or a `LabelSet`; names and colours are its own. None for
            numbered classes.
        opacity: float from 0 (the image) to 1 (the labels).
    Returns:
        `matplotlib.figure.Figure`.
    Raises:
        ValueError: if there is nothing to show over the image, sizes differ, or ids have no class.
        TypeError: if `label_map` or `truth` is no integers.
        FileNotFoundError: if nothing stands at a path.
    """
    checks.number_between("opacity", opacity, 0, 1)
    named = isinstance(model_or_label_set, LabelSet)
    predictor = None if named or model_or_label_set is None else Predictor(model_or_label_set)
    if label_map is None and truth is None:
        if predictor is None:
            raise ValueError(checks.sentence("label_map", "must be given where there is no model to predict it", None,
                                             "Pass labels, or a model as model_or_label_set."))
        label_map = predictor(image)
    pixels = _opened(image, predictor.run if predictor else None)
    label_set = model_or_label_set if named else _label_set_of(predictor)
    one_class = label_set is not None and len(label_set) == 1  # a last axis of 1 is then that of the classes
    maps = {name: _labels(name, value, pixels.shape[:2], one_class)
            for name, value in (("label_map", label_map), ("truth", truth)) if value is not None}
    label_set = label_set or _numbered(maps.values())
    for name, labels in maps.items():
        _check_ids(name, labels, label_set)
    panels = [("image", pixels)]
    panels += [("truth" if name == "truth" else "labels", pictures.overlay(pixels, labels, label_set, opacity))
               for name, labels in maps.items()]
    return _figure(panels, _present(maps.values(), label_set))


def _opened(image, run):
    """Return what is looked at of an image, uint8 `[H, W, 3]`."""
    array = None if isinstance(image, (str, os.PathLike)) or hasattr(image, "getexif") else np.asarray(image)
    if run is not None:
        opened = open_image(image, run.in_channels, "image", pixel_range=run.pixel_range)
    elif array is None:
        opened = open_image(image, 3, "image")
    else:
        opened = array
    if isinstance(opened, StoredImage):
        opened = opened[:]
    if getattr(opened, "ndim", 0) not in (2, 3) or not opened.size or opened.dtype.kind not in "uif":
        raise ValueError(checks.sentence("image", "must be one image [H, W] or [H, W, channels] of numbers 0 to 255",
                                         np.shape(opened), "Pass the images of a batch one by one."))
    return pictures.as_rgb(opened)


def _labels(name, value, size, one_class):
    """Return labels as integers `[H, W]` or `[H, W, classes]` of the image's size."""
    if isinstance(value, (str, os.PathLike)):
        value = decode.read_mask(checks.existing_file(name, value))
    labels = np.asarray(value if isinstance(value, (np.ndarray, list, tuple)) else keras.ops.convert_to_numpy(value))
    if labels.dtype.kind not in "uib":
        raise TypeError(checks.sentence(name, "must hold integer class ids", str(labels.dtype),
                                        "Pass class ids, not logits or probabilities: take the argmax first."))
    if labels.ndim == 3 and labels.shape[-1] == 1 and not one_class:
        labels = labels[..., 0]
    if labels.ndim not in (2, 3) or labels.shape[:2] != tuple(size):
        raise ValueError(checks.sentence(
            name, f"must be ids [{size[0]}, {size[1]}] or [{size[0]}, {size[1]}, classes], as large as the image",
            labels.shape, "Resize labels by nearest neighbour, and pass images of a batch one by one."))
    return labels.astype(np.int64)


def _label_set_of(predictor):
    run = predictor and predictor.run
    return None if run is None else known_labels(run.label_set, run.classes, run.task)


def _numbered(maps):
    """Return a label set of as many numbered classes as the labels show."""
    classes = 1
    for labels in maps:
        if labels.ndim == 3:
            return tasks.of("multilabel").label_set(labels.shape[-1])
        classes = max(classes, int(labels[labels != IGNORE_CLASS].max(initial=0)) + 1)
    return LabelSet.generic(min(classes, IGNORE_CLASS))


def _check_ids(name, labels, label_set):
    if labels.ndim == 3:
        legal = labels.shape[-1] == len(label_set) and np.isin(labels, (0, 1, label_set.ignore_class)).all()
        rule, found = f"must be 0, 1 or {label_set.ignore_class} for each of {len(label_set)} classes", labels.shape
    else:
        outside = np.unique(labels[((labels < 0) | (labels >= len(label_set))) & (labels != label_set.ignore_class)])
        rule, found = f"must be ids below {len(label_set)}, or {label_set.ignore_class}", outside[:8].tolist()
        legal = not len(outside)
    if not legal:
        raise ValueError(checks.sentence(name, rule, found, "Pass the label set that these labels have."))


def _present(maps, label_set):
    """Return [(name, colour)] of the classes in any of the maps, the ignored one last."""
    shown, ignored = set(), False  # ids
    for labels in maps:
        ignored |= bool((labels == label_set.ignore_class).any())
        stacked = labels.ndim == 3
        shown |= set(np.flatnonzero((labels == 1).any((0, 1)))) if stacked else set(np.unique(labels))
    entries = [(name, colour) for number, (name, colour) in enumerate(zip(label_set.names, label_set.palette))
               if number in shown]
    return entries + ([("ignored", np.asarray(label_set.ignore_color))] if ignored else [])


def _figure(panels, entries):
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    class Shown(Figure):
        """A figure that notebooks show without pyplot, which tells them how, being loaded."""

        def _repr_png_(self):
            file = io.BytesIO()
            self.savefig(file, format="png")
            return file.getvalue()

    height, width = panels[0][1].shape[:2]
    tall = min(max(_PANEL * height / width, 1.2), 2 * _PANEL)
    columns = max(1, min(len(entries), 2 * len(panels)))
    rows = -(-len(entries) // columns)
    figure = Shown(figsize=(_PANEL * len(panels), tall + 0.5 + 0.25 * rows), dpi=100, layout="constrained")
    for axes, (title, picture) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels):
        axes.imshow(picture, interpolation="nearest" if max(height, width) < 256 else "antialiased")
        axes.set_title(title, fontsize=11)
        axes.axis("off")
    if entries:
        legend = figure.legend(
            [Patch(facecolor=np.asarray(colour) / 255, edgecolor="0.5") for _, colour in entries],
            [_plain(name) for name, _ in entries], loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
        for text in legend.get_texts():
            text.set_parse_math(False)  # a dollar sign begins a formula
    return figure


def _plain(name):
    """Return a class name that Matplotlib shows: entries that begin with an underscore are left out of legends."""
    name = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME - 1]}…"
    return f"\u200b{name}" if name.startswith("_") else name


