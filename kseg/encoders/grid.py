"""The grids on which the tensors of a library network lie, in pixels of its input of 512x512."""

import math

import keras


def grid_of(tensor: keras.KerasTensor) -> int:
    """Return how many of the 512 pixels lie between neighbours of `tensor` (a power of two)."""
    if len(tensor.shape) != 4 or not tensor.shape[1]:
        return 1
    return 2 ** max(0, round(math.log2(512 / tensor.shape[1])))


def grid_before(layer: keras.layers.Layer) -> int:
    """Return the grid of the input of `layer`, the first of several."""
    return grid_of(layer.input[0] if isinstance(layer.input, (list, tuple)) else layer.input)


def stride_of(layer: keras.layers.Layer) -> int:
    """Return how many times coarser the output of `layer` is than its input."""
    if isinstance(layer.input, (list, tuple)) or len(layer.output.shape) != 4:
        return 1
    return max(1, grid_of(layer.output) // grid_of(layer.input))


def single_input(layer: keras.layers.Layer) -> keras.KerasTensor | None:
    """Return the single input of `layer`, or None for layers inside a block that have none of their own."""
    try:
        return None if isinstance(layer.input, (list, tuple)) else layer.input
    except (ValueError, AttributeError):
        return None
