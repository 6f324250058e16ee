"""What a diagram consists of: boxes, groups of layers, and arrows between them."""

import dataclasses
from typing import Any

import keras

from kseg.models.diagram.flow import Place

KERNELS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


@dataclasses.dataclass
class Box:
    """A group of layers.

    Attributes:
        kind: "input", "stage" of the encoder, "convolution", "pooling" into bins, "join", "block" or "output".
        name: the tap of a stage, the common name of the layers, or the model output.
        layers: its layers, in their order.
        place: of its last tensor.
        stride: input pixels per pixel of its output; None before one is known.
        channels: of its output.
        join: "" or how several arrows meet before its first layer: "concatenate", "add", "maximum", "multiply".
        training_only: whether only auxiliary outputs need it.
    """

    kind: str
    name: str
    layers: list[Any]
    place: Place
    stride: int | None = None
    channels: int | None = None
    join: str = ""
    training_only: bool = False

    @property
    def kernels(self) -> list[Any]:
        """The convolutions, in their order."""
        return [layer for layer in self.layers if isinstance(layer, KERNELS)]

    @property
    def rates(self) -> tuple[int, ...]:
        """The dilation rates above 1 of its kernels wider than one pixel, ascending."""
        return tuple(sorted({max(layer.dilation_rate) for layer in self.kernels if max(layer.kernel_size) > 1} - {1}))


@dataclasses.dataclass(frozen=True)
class Arrow:
    """What flows from one box to another.

    Attributes:
        source, target: indices of boxes.
        kind: "flow", or "places" of maxima that an unpooling reads.
        marks: what happens on the way: "pool", "up", "unpool", "transposed", or "×0.5" where the image is scaled.
        channels: of the tensor, where the box it comes from ends with others; else None.
    """

    source: int
    target: int
    kind: str = "flow"
    marks: tuple[str, ...] = ()
    channels: int | None = None
