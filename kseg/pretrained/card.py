"""The model card: what a network is, reads and answers, as the README of its repository."""

import math
import numbers
import os
import re
from collections.abc import Mapping
from typing import Any

import keras

from kseg import __version__, checks, tasks
from kseg.labels import LabelSet

_STRUCTURE = re.compile(r"[&<>|`\\*_\[\]~$]")  # what HTML, Markdown and its tables read as more than text
_ANSWERS = {"multiclass": "one class for each pixel", "binary": "foreground or not for each pixel, by a sigmoid",
            "multilabel": "any number of classes for each pixel, a sigmoid each"}
_BANDS = {1: "grey values", 3: "RGB pixels"}


def card(model: keras.Model, title: str, address: str, label_set: LabelSet, *, recipe: dict[str, Any] | None = None,
         scores: Any = None, licence: str | None = None) -> str:
    """Return the card as Markdown with YAML front matter; every text in it stands there as text.

    Args:
        model: `keras.Model`, pixels → logits.
        title: str, its heading.
        address: str, what `kseg.load_model` is given in the example.
        label_set: `LabelSet` of its classes.
        recipe: dict of JSON-ready values or None; of absolute paths only the last part is shown.
        scores: dict or `Evaluation`, as in `kseg.pretrained.push`.
        licence: str or None.
    Raises:
        TypeError: if `scores` is no dict of numbers.
        ValueError: if it has other classes than `label_set`.
    """
    import jinja2

    logits = model.outputs[0].shape[-1]
    task = tasks.of_model(model)
    found, per_class, dataset = _tables(scores, task.class_names(label_set))
    environment = jinja2.Environment(  # nosec B701: Markdown, which `finalize` escapes
        loader=jinja2.PackageLoader("kseg", "pretrained"), trim_blocks=True, lstrip_blocks=True, finalize=_as_text,
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    pixels, recipe = model.inputs[0].shape, _without_places(recipe or {})
    return environment.get_template("card.md").render(
        title=title, address=address, licence=licence, version=__version__,
        install='pip install "kseg[hub]"' if address.startswith("hf://") else "pip install kseg",
        network=str(recipe.get("model", model.name)), encoder=recipe.get("encoder_name"),
        parameters=model.count_params(), channels=pixels[-1], bands=_BANDS.get(pixels[-1], f"{pixels[-1]} bands"),
        size=_size(*pixels[1:3]), logits=logits, answer=_ANSWERS[task.name], ignore_class=label_set.ignore_class,
        classes=[{"name": name, "colour": "#%02x%02x%02x" % tuple(colour)}
                 for name, colour in zip(label_set.names, label_set.palette.tolist())],
        scores=found, per_class=per_class, dataset=dataset, recipe=recipe)


def _as_text(value):
    """Return what an expression of the template writes: texts escaped and on one line, JSON and numbers as they are."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())
    return _STRUCTURE.sub(lambda found: f"&#{ord(found.group())};", line)


def _size(height, width):
    return "any height and width" if height is None and width is None else \
        f"{height or 'any'} × {width or 'any'} pixels (height × width)"


def _tables(scores, names):
    """Return (scores of the dataset, IoU of each class, both as texts by name; the dataset's name or None)."""
    if scores is None:
        return {}, {}, None
    if hasattr(scores, "per_class_iou"):  # an `Evaluation`, which a later room makes
        scores = {**scores.scores, "per_class_iou": scores.per_class_iou, "dataset": scores.dataset}
    if not isinstance(scores, Mapping):
        raise TypeError(checks.sentence("scores", "must be what kseg.evaluate returned, or a dict of numbers", scores,
                                        "Write for example {'mean_iou': 0.71}."))
    rest = dict(scores)
    per_class, dataset = rest.pop("per_class_iou", None) or {}, rest.pop("dataset", None)
    if per_class and set(per_class) != set(names):
        raise ValueError(checks.sentence("scores", f"must name the classes {list(names)} in per_class_iou",
                                         list(per_class), "Give one IoU per class name of the model's label set."))
    return _shown(rest), _shown(per_class), None if dataset is None else str(dataset)


def _shown(values):
    for name, value in values.items():
        if isinstance(value, bool) or not (value is None or isinstance(value, numbers.Real)):
            raise TypeError(checks.sentence("scores", f"must hold numbers, also under {name!r}", value,
                                            "Give for example the mean IoU of one evaluation."))
    return {str(name): "–" if value is None or math.isnan(value) else f"{float(value):.4f}"
            for name, value in values.items()}


def _without_places(value):
    """Return the recipe with absolute paths cut to their last part: they tell of a machine, not of the training."""
    if isinstance(value, Mapping):
        return {key: _without_places(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_places(one) for one in value]
    return os.path.basename(value.rstrip("/\\")) if isinstance(value, str) and os.path.isabs(value) else value
