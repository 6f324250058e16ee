"""The steps of a model grouped into the boxes and arrows of its diagram.

A stage of the encoder is one box. Outside it a box is a run of convolutions that belong together by name; what has
neither weights nor another grid (normalisation, ReLU, dropout, crops) joins the box before it, and what changes the
grid alone (pooling, resizing) is a mark on an arrow. Every number comes from the layers and the tensors between them.
"""

import dataclasses
import re
from typing import Any

import keras

from kseg.layers import (
    AdaptiveAveragePooling2D,
    BilinearUpsampling2D,
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
    ResizeTo,
    ScaleImages,
)
from kseg.models.diagram.elements import KERNELS, Arrow, Box
from kseg.models.diagram.flow import Flow, Place, flow_of
from kseg.models.diagram.reach import data_of, reached, readers_of, stages_of

_ENCODER_REST = "rest"  # steps of the encoder that no tap needs, but an output does
_MOST_BOXES = 48  # beyond, a picture of boxes by name cannot be read: one box per stride, down and up
_WHOLE = re.compile(r"(refine\d+)_")  # layers whose branches are one box: a block of RefineNet
_PARTS = re.compile(r"_(conv\d*|depthwise|pointwise|scores|pool|bn|relu|\d+)$")


@dataclasses.dataclass(frozen=True)
class _Signal:
    """Where a tensor comes from: a box, what was done since, and the boxes whose places were read."""

    box: int
    marks: tuple[str, ...] = ()
    places: tuple[int, ...] = ()


def boxes_of(model: keras.Model) -> tuple[list[Box], list[Arrow]]:
    """Return the boxes of a functional model in the order of its layers, and the arrows between them.

    Raises:
        ValueError: if the model is not functional, or takes something else than one image.
    """
    flow = flow_of(model)
    training_heads = getattr(model, "has_aux", False)  # a Segmenter's further outputs: they end where they are scored
    grouping = _Grouping(flow, training_heads, by_stride=False)
    if len(grouping.boxes) > _MOST_BOXES:
        grouping = _Grouping(flow, training_heads, by_stride=True)
    return grouping.boxes, list(grouping.arrows.values())


class _Grouping:
    """Goes through the steps once; `boxes` and `arrows`, (source, target, kind) -> `Arrow`, grow."""

    def __init__(self, flow: Flow, training_heads: bool, *, by_stride: bool):
        self.flow, self.by_stride = flow, by_stride
        self.boxes: list[Box] = []
        self.arrows: dict[tuple[int, int, str], Arrow] = {}
        self._signals: dict[Place, _Signal] = {}
        self._of_layer: dict[int, int] = {}  # id of a layer -> its box: a layer called twice is drawn once
        self._of_key: dict[Any, int] = {}
        self._phases: dict[Place, int] = {}
        needed = reached(flow, flow.outputs)
        self._main = reached(flow, flow.outputs[:1]) if training_heads else needed
        self._stages = stages_of(flow)
        self._readers = readers_of(flow, needed)
        for index, step in enumerate(flow.steps):
            if index in needed:
                self._take(index, step)
        for place in flow.outputs[:1] if training_heads else flow.outputs:
            self._end(place)

    def _take(self, index, step):
        sources = data_of(step)
        signals = [self._signals[place] for place in sources]
        places = [(index, number) for number in range(len(step.shapes))]
        if not signals:
            box = self._new("input", step.layer.name, step.layer, index, None)
            self._signals.update({place: _Signal(box) for place in places})
            return
        box = self._box_for(index, step, sources, signals)
        if box is not None:
            for signal, place in zip(signals, sources):
                self._connect(signal, place, box)
            self._signals.update({place: _Signal(box) for place in places})
        else:
            signal = self._passed(step, places[0], sources, signals)
            self._signals.update({place: signal for place in places})
        if isinstance(step.layer, MaxPoolingWithArgmax2D):  # the second output says where the maxima stood
            self._signals[places[1]] = _Signal(signals[0].box if box is None else box, ("places",))

    def _box_for(self, index, step, sources, signals):
        """Return the box that a step belongs to, or None if it is but a mark on an arrow or joins the box before."""
        layer = step.layer
        if id(layer) in self._of_layer:
            return self._of_layer[id(layer)]
        whole = _WHOLE.match(layer.name)
        if self.by_stride and not step.in_encoder:
            return self._shared(self._phase(index, sources), "block", "", layer, index, sources)
        if step.in_encoder:
            name = self._stages.get(index, _ENCODER_REST)
            return self._shared(("stage", name), "stage", name, layer, index, sources)
        if whole:
            return self._shared(("whole", whole.group(1)), "block", whole.group(1), layer, index, sources)
        distinct = {(signal.box, signal.marks) for signal in signals}
        if len(distinct) > 1 and not isinstance(layer, MaxUnpooling2D):
            return self._new("join", layer.name, layer, index, sources, join=_join_of(layer))
        if isinstance(layer, AdaptiveAveragePooling2D):
            return self._new("pooling", _stem(layer.name), layer, index, sources)
        if not isinstance(layer, KERNELS):
            return None
        before = self.boxes[signals[0].box]
        if not signals[0].marks and self._readers[sources[0]] == 1 and self._continues(before, layer):
            stem = _stem(layer.name)
            if before.kind == "join":
                before.kind, before.name = "convolution", stem
            elif stem != before.name:  # decoder1 and decoder2
                before.name = stem.rstrip("0123456789")
            return self._extend(signals[0].box, layer, index)
        return self._new("convolution", _stem(layer.name), layer, index, sources)

    def _continues(self, before, layer):
        """Return whether a convolution belongs into the box before it."""
        stem = _stem(layer.name)
        if before.kind == "join" or (before.kind in ("convolution", "pooling") and stem == before.name):
            return True
        if before.kind != "convolution" or stem.rstrip("0123456789") != before.name.rstrip("0123456789"):
            return False
        first = before.kernels[0]
        return first.kernel_size == layer.kernel_size and getattr(layer, "filters", None) in (None, before.channels)

    def _passed(self, step, place, sources, signals):
        """Return the signal after a step that is no box: marked where the grid changes."""
        signal, layer = signals[0], step.layer
        stride, before = self.flow.stride(place), self.flow.stride(sources[0])
        if isinstance(layer, MaxUnpooling2D):
            return _Signal(signal.box, (*signal.marks, "unpool"), (*signal.places, signals[1].box))
        mark = ("transposed" if isinstance(layer, keras.layers.Conv2DTranspose)
                else f"×{layer.scale:g}" if isinstance(layer, ScaleImages)
                else "up" if isinstance(layer, (BilinearUpsampling2D, ResizeTo, keras.layers.UpSampling2D))
                else None if stride == before else "pool" if stride and before and stride > before else "up")
        if mark is not None and not (mark == "up" and stride == before and not self._from_bins(signal)):
            return dataclasses.replace(signal, marks=(*signal.marks, mark))
        if not signal.marks:
            self._extend(signal.box, layer, place[0])
        return signal

    def _from_bins(self, signal):
        return self.boxes[signal.box].kind == "pooling"

    def _phase(self, index, sources):
        """Return a key (number of turns between down and up, stride) that never falls along an arrow."""
        stride = self.flow.stride((index, 0)) or max(
            (self.boxes[self._signals[place].box].stride or 1 for place in sources), default=1)
        phase = 0
        for place in sources:
            turns, before = self._phases.get(place, (0, 1))
            up = turns % 2 == 1
            phase = max(phase, turns + int(stride > before if up else stride < before))
        for number in range(len(self.flow.steps[index].shapes)):
            self._phases[index, number] = (phase, stride)
        return "stride", phase, stride

    def _shared(self, key, kind, name, layer, index, sources):
        """Return the box of a key, new or extended."""
        if key in self._of_key:
            return self._extend(self._of_key[key], layer, index)
        self._of_key[key] = self._new(kind, name, layer, index, sources)
        return self._of_key[key]

    def _new(self, kind, name, layer, index, sources, join=""):
        place = (index, 0)
        stride = self.flow.stride(place)
        inherits = stride is None or kind == "pooling"
        if inherits and sources:
            stride = self.boxes[self._signals[sources[0]].box].stride
        self.boxes.append(Box(kind, name, [layer], place, stride, self.flow.channels(place), join,
                              index not in self._main))
        self._of_layer[id(layer)] = len(self.boxes) - 1
        return len(self.boxes) - 1

    def _extend(self, number, layer, index):
        """Return `number`, the box, after a layer has joined it."""
        box = self.boxes[number]
        if id(layer) not in self._of_layer:
            box.layers.append(layer)
            self._of_layer[id(layer)] = number
            stride = self.flow.stride((index, 0))
            box.place, box.channels = (index, 0), self.flow.channels((index, 0)) or box.channels
            box.stride = box.stride if box.kind == "pooling" or stride is None else stride
        return number

    def _connect(self, signal, place, box):
        if signal.marks == ("places",):
            self._draw(Arrow(signal.box, box, "places"))
        elif signal.box != box:
            channels = self.flow.channels(place)
            other = None if channels == self.boxes[signal.box].channels else channels
            self._draw(Arrow(signal.box, box, "flow", signal.marks, other))
        for source in signal.places:
            self._draw(Arrow(source, box, "places"))

    def _draw(self, arrow):
        """Add an arrow; of several between two boxes, as of a network that sees several scales, one has all marks."""
        key = (arrow.source, arrow.target, arrow.kind)
        marks = (*(self.arrows[key].marks if key in self.arrows else ()), *arrow.marks)
        self.arrows[key] = dataclasses.replace(arrow, marks=tuple(dict.fromkeys(marks)))

    def _end(self, place):
        signal = self._signals[place]
        layer = self.flow.steps[place[0]].layer
        stride = self.flow.stride(place) or self.boxes[signal.box].stride
        self.boxes.append(Box("output", layer.name, [], place, stride, self.flow.channels(place)))
        self._connect(signal, place, len(self.boxes) - 1)


def _stem(name):
    """Return what the layers of one box have in common: `decoder2_1_conv` and `decoder2_2_bn` are `decoder2`."""
    shorter = _PARTS.sub("", name)
    return name if not shorter else shorter if shorter == name else _stem(shorter)


def _join_of(layer):
    kinds = {"Concatenate": "concatenate", "Add": "add", "Maximum": "maximum", "Multiply": "multiply",
             "Subtract": "subtract", "Average": "average"}
    return kinds.get(type(layer).__name__, type(layer).__name__.lower())
