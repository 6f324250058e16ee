"""A functional model as one list of steps: nested models opened, every tensor's size known.

Built from `get_config` and `compute_output_spec` alone: nothing is computed, and the model gains no node.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import keras

from kseg import checks

ENCODER = "encoder"  # the name of the model inside a `Segmenter` whose outputs are its taps
# Sides at which strides are measured where any size goes: large, so that borders do not count; valid convolutions of
# the U-Net of 2015 need 16 k + 12.
_SIDES = (4096, 4092)

Place = tuple[int, int]  # (index of a step, index of one of its outputs)


@dataclasses.dataclass(frozen=True)
class Step:
    """One call of one layer.

    Attributes:
        layer: the `keras.layers.Layer`, or `keras.Operation` for a plain function.
        in_encoder: whether it stands in the encoder.
        sources: the places of the tensors it is called on, in their order.
        shapes: of its outputs, `[B, H, W, C]` at the flow's `size`.
    """

    layer: Any
    in_encoder: bool
    sources: tuple[Place, ...]
    shapes: tuple[tuple[int | None, ...], ...]


@dataclasses.dataclass(frozen=True)
class Flow:
    """All steps of a model, each after those it needs.

    Attributes:
        size: (height, width) of the image that sizes are given for.
        steps: tuple of `Step`; the inputs come first.
        outputs: the places of the model's outputs.
        taps: dict, name of a feature of the encoder to its place, in the order in which the encoder reaches them;
            empty without an encoder.
    """

    size: tuple[int, int]
    steps: tuple[Step, ...]
    outputs: tuple[Place, ...]
    taps: dict[str, Place]

    def stride(self, place: Place) -> int | None:
        """Return how many input pixels a pixel of a tensor stands for, a power of two; None if it is no map."""
        shape = self.steps[place[0]].shapes[place[1]]
        if len(shape) != 4 or None in shape[1:3]:
            return None
        ratio = max(self.size) / max(shape[1:3])
        return 2 ** max(0, round(math.log2(ratio)))

    def channels(self, place: Place) -> int | None:
        """Return the last dimension of a tensor."""
        shape = self.steps[place[0]].shapes[place[1]]
        return shape[-1] if len(shape) > 1 else None


def flow_of(model: keras.Model) -> Flow:
    """Return the steps of a functional model of one image input.

    Raises:
        ValueError: if the model is not functional, or takes something else than one image.
    """
    _check(model)
    height, width = model.inputs[0].shape[1:3]
    sizes = [(side, side) for side in _SIDES] if None in (height, width) else []
    sizes += [] if height is None and width is None else [(height or _SIDES[0], width or _SIDES[0])]
    for size in sizes:
        walk = _Walk(size)
        try:
            outputs = walk.run(model, [walk.add_input(model)])
        except ValueError:
            if size == sizes[-1]:
                raise
            continue
        taps = dict(sorted(walk.taps.items(), key=lambda tap: tap[1]))
        return Flow(size, tuple(walk.steps), tuple(place for place, _ in outputs), taps)


def _check(model):
    functional = isinstance(model, keras.Model) and getattr(model, "inputs", None) and hasattr(model, "operations")
    if not functional:
        raise ValueError(checks.sentence(
            "model", "must be a functional Keras model", type(model).__name__,
            "A subclassed model hides its graph: build it from keras.Input, or with kseg.models."))
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        raise ValueError(checks.sentence(
            "model", "must take one image [B, H, W, channels]", [tuple(one.shape) for one in model.inputs],
            "Draw the part of it that does."))


class _Walk:
    """Follows the nodes of a model's config; `steps` and `taps` grow."""

    def __init__(self, size):
        self.size, self.steps, self.taps = size, [], {}

    def add_input(self, model):
        """Return (place, tensor) of the model's input at the size measured."""
        given = model.inputs[0]
        tensor = keras.KerasTensor((1, *self.size, given.shape[-1]), given.dtype)
        self.steps.append(Step(model, False, (), (tuple(tensor.shape),)))
        return (0, 0), tensor

    def run(self, model, inputs, in_encoder=False):
        """Return [(place, tensor)] of the outputs of `model` called on `inputs`, [(place, tensor)]."""
        config = model.get_config()
        if "layers" not in config:  # a backbone of a library writes down its arguments instead of its graph
            config = keras.Model(model.inputs, model.output).get_config()
        nodes = {entry["name"]: entry["inbound_nodes"] for entry in config["layers"]}
        operations = {operation.name: operation for operation in model.operations}
        known = {}
        for address, value in zip(_addresses(config["input_layers"]), inputs, strict=True):
            known[tuple(address)] = value
        # Deepest first, without recursion: the graph of a large network is thousands of calls deep.
        # Keras counts a model's own inputs as its first call among outputs, and nowhere else.
        targets = [(name, node - isinstance(operations[name], keras.Model), index)
                   for name, node, index in _addresses(config["output_layers"])]
        for target in targets:
            waiting = [target]
            while waiting:
                address = waiting[-1]
                if address in known:
                    waiting.pop()
                    continue
                node = nodes[address[0]][address[1]]
                missing = [one for one in _tensors(node) if one not in known]
                if missing:
                    waiting += reversed(missing)  # the first branch of a layer comes first
                    continue
                results = self._call(operations[address[0]], node, known, in_encoder)
                known.update({(*address[:2], index): result for index, result in enumerate(results)})
        outputs = [known[target] for target in targets]
        if model.name == ENCODER and not self.taps and isinstance(config["output_layers"], dict):
            self.taps = dict(zip(sorted(config["output_layers"]), (place for place, _ in outputs)))
        return outputs

    def _call(self, operation, node, known, in_encoder):
        sources = [known[one] for one in _tensors(node)]
        if isinstance(operation, keras.Model) and hasattr(operation, "operations"):
            return self.run(operation, sources, in_encoder or operation.name == ENCODER)
        spec = operation.compute_output_spec(*_revived(node["args"], known), **_revived(node["kwargs"], known))
        tensors = keras.tree.flatten(spec)
        self.steps.append(Step(operation, in_encoder, tuple(place for place, _ in sources),
                               tuple(tuple(tensor.shape) for tensor in tensors)))
        return [((len(self.steps) - 1, index), tensor) for index, tensor in enumerate(tensors)]


def _addresses(structure) -> Iterator[list]:
    """Yield the addresses [layer, node, tensor] in the inputs or outputs of a config, in the order Keras has them."""
    if isinstance(structure, dict):
        for key in sorted(structure):
            yield from _addresses(structure[key])
    elif len(structure) == 3 and isinstance(structure[0], str):
        yield structure
    else:
        for one in structure:
            yield from _addresses(one)


def _tensors(value) -> list[tuple]:
    """Return the addresses of the tensors in the arguments of a node."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [tuple(value["config"]["keras_history"])]
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    return [address for one in value for address in _tensors(one)]


def _revived(value, known):
    """Return the arguments of a node with the known tensors in their places."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return known[tuple(value["config"]["keras_history"])][1]
        if "class_name" in value and "config" in value:
            return keras.saving.deserialize_keras_object(value)
        return {key: _revived(one, known) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_revived(one, known) for one in value)
    return value
