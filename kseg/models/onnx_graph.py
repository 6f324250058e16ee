"""What ONNX Runtime asks of a graph that the converter from TensorFlow does not give."""

import os
from typing import Any

import numpy as np

from kseg import files


def mend_file(path: str | os.PathLike) -> None:
    """Make the graph in an ONNX file one that ONNX Runtime runs."""
    import onnx

    model = onnx.load(path)
    make_runnable(model.graph)
    with files.draft(path, overwrite=True) as temporary:
        onnx.save(model, temporary)


def make_runnable(graph: Any) -> None:
    """Make an `onnx.GraphProto` one that ONNX Runtime runs; what it computes stays the same."""
    for node in graph.node:
        _pad_explicitly(node)
    _round_scales_up(graph)


def _pad_explicitly(node: Any) -> None:
    """Write the padding of a dilated convolution as numbers: ONNX Runtime does not dilate where it is to work it out.

    At stride 1, the only one that TensorFlow dilates, its SAME padding follows from the kernel alone.
    """
    attributes = {attribute.name: attribute for attribute in node.attribute}
    same = node.op_type == "Conv" and "auto_pad" in attributes and attributes["auto_pad"].s == b"SAME_UPPER"
    if same and "dilations" in attributes and max(attributes["dilations"].ints) > 1:
        reach = [(side - 1) * step
                 for side, step in zip(attributes["kernel_shape"].ints, attributes["dilations"].ints)]
        padding = attributes["auto_pad"]
        padding.Clear()
        padding.name, padding.type = "pads", padding.INTS
        padding.ints.extend([*(length // 2 for length in reach), *(length - length // 2 for length in reach)])


def _round_scales_up(graph: Any) -> None:
    """Make the scale factors of resizes the next larger numbers, unless they are whole.

    The runtime cuts side times factor down to a whole number, and a factor of 20 / 3, rounded down, makes 19 out of 3.
    """
    from onnx import numpy_helper

    scales = {node.input[2] for node in graph.node if node.op_type == "Resize"}
    for array in graph.initializer:
        if array.name in scales:
            values = numpy_helper.to_array(array)  # empty where sizes are given
            larger = np.where(values % 1 == 0, values, np.nextafter(values, np.float32(np.inf), dtype=np.float32))
            array.CopyFrom(numpy_helper.from_array(larger, array.name))
