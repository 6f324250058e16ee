"""What a notebook shows of a model: its name, task, sizes, the stages of its encoder and its classes, as HTML."""

import html
from collections.abc import Sequence

import keras

from kseg import tasks
from kseg.models.diagram.boxes import boxes_of
from kseg.models.diagram.elements import Box

_CELL = 'style="text-align:left;padding:.1em 1em .1em 0"'


def html_of(model: keras.Model) -> str:
    """Return a `Segmenter` as a piece of HTML; texts are escaped."""
    task = tasks.of(model.task)
    encoder = model.encoder
    facts = [("task", f"{task.name}, {model.classes} class{'es' if model.classes > 1 else ''}"
              + ("" if model.threshold is None else f", threshold {model.threshold}")),
             ("parameters", f"{model.count_params():,}"),
             ("encoder", "none of its own" if encoder is None else f"{encoder.count_params():,} parameters"),
             ("pixels", f"{_shape(model.inputs[0].shape)}, {_range(model)}"),
             ("logits", _shape(model.outputs[0].shape))]
    if model.has_aux:
        facts.append(("in training", f"{len(model.outputs) - 1} more output, weight {model.aux_weight:g}"))
    labels = model.label_set or task.label_set(model.classes)
    return (f"<div><b>{html.escape(model.name)}</b>{_table((), facts)}{_stages(model)}"
            f"<div>{'' if model.label_set else 'not trained on named classes: '}{labels._repr_html_()}</div></div>")


def _stages(model):
    """Return the table of the encoder's stages, or of the whole network where it has no encoder."""
    try:
        boxes, _ = boxes_of(model)
    except ValueError:  # a graph that cannot be followed is still a model
        return ""
    chosen = [box for box in boxes if box.kind == "stage"] or [
        box for box in boxes if box.kind not in ("input", "output", "join")]
    rows = [(box.name.replace("places", "c"), str(box.stride), str(box.channels), _rates(box)) for box in chosen]
    return _table(("stage", "stride", "channels", "dilation"), rows)


def _rates(box: Box) -> str:
    return ", ".join(map(str, box.rates)) or "1"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = f"<tr>{''.join(f'<th {_CELL}>{html.escape(one)}</th>' for one in headings)}</tr>" if headings else ""
    body = "".join(f"<tr>{''.join(f'<td {_CELL}>{html.escape(one)}</td>' for one in row)}</tr>" for row in rows)
    return f'<table style="border-collapse:collapse;margin:.3em 0">{head}{body}</table>'


def _shape(shape):
    return f"[{', '.join('any' if side is None else str(side) for side in shape[1:])}]"


def _range(model):
    if model.pixel_range is None:
        return "0 to 255"
    return "stored numbers " + ", ".join(f"{low:g} to {high:g}" for low, high in model.pixel_range.bounds)
