"""One resize convention: half-pixel centres, at sizes known or unknown when the graph is built."""

import numpy as np
import pytest
import tensorflow as tf

from kseg.layers import ResizeTo
from kseg.layers.resize_to import METHODS, resize_by_gathering
from tests.conftest import structured_image


def places(size, length, method):
    """The coordinate in `size` pixels of each of `length` pixels."""
    if method == "bilinear":
        return np.clip((np.arange(length) + 0.5) * size / length - 0.5, 0, size - 1)
    return np.linspace(0, size - 1, length) if method != "nearest" else np.arange(length) * size // length


def reference(inputs, height, width, method="bilinear"):
    """Interpolation between the neighbours of each pixel's place, clamped at the border, written out."""
    rows, columns = (places(size, length, method) for size, length in zip(inputs.shape[1:3], (height, width)))
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    bottom, right = np.minimum(top + 1, inputs.shape[1] - 1), np.minimum(left + 1, inputs.shape[2] - 1)
    v, h = (rows - top)[:, None, None], (columns - left)[None, :, None]
    image = inputs[0]
    upper = image[top][:, left] * (1 - h) + image[top][:, right] * h
    lower = image[bottom][:, left] * (1 - h) + image[bottom][:, right] * h
    return (upper * (1 - v) + lower * v)[None]


def test_equals_the_written_out_formula():
    inputs = structured_image(9, 13)[None].astype("float32")
    for height, width in ((36, 52), (31, 17), (97, 129), (9, 40)):
        actual = ResizeTo()(inputs, np.zeros((1, height, width, 1), "float32"))
        np.testing.assert_allclose(actual, reference(inputs, height, width), atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_methods_equal_the_written_out_formula_whether_one_operation_or_gathered(method):
    inputs = structured_image(9, 13)[None].astype("float32")
    for height, width in ((36, 52), (31, 17), (97, 129), (1, 40)):
        target = np.zeros((1, height, width, 1), "float32")
        expected = reference(inputs, height, width, method)
        np.testing.assert_allclose(ResizeTo(method)(inputs, target), expected, atol=1e-3)
        np.testing.assert_allclose(resize_by_gathering(inputs, (height, width), method), expected, atol=1e-3)


def test_an_unknown_method_is_refused_and_the_known_one_kept():
    with pytest.raises(ValueError, match="`method` must be one of"):
        ResizeTo("cubic")
    assert ResizeTo.from_config(ResizeTo("nearest").get_config()).method == "nearest"


def test_unknown_sizes_and_half_precision():
    layer = ResizeTo(dtype="float16")
    run = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 3), tf.float16),
                                              tf.TensorSpec((None, None, None, None))])
    outputs = run(np.ones((1, 4, 5, 3), "float16"), np.zeros((1, 8, 7, 1), "float32"))
    assert outputs.shape == (1, 8, 7, 3) and outputs.dtype == tf.float16


def test_equal_size_is_left_alone():
    inputs = tf.constant(structured_image(9, 13)[None].astype("float32"))
    assert ResizeTo()(inputs, inputs) is not None
    np.testing.assert_array_equal(ResizeTo()(inputs, inputs), inputs)


@pytest.mark.parametrize("size, target", [((5, 7), (9, 13)), ((33, 49), (25, 37)), ((6, 1), (30, 4)),
                                          ((8, 8), (8, 32))])
def test_xla_takes_the_same_neighbours(size, target):
    """TensorFlow's resize does not, where coordinates fall on whole pixels."""
    inputs = tf.constant(structured_image(*size)[None].astype("float32"))
    upstream = np.cos(np.arange(target[0] * target[1] * 3, dtype="float32")).reshape(1, *target, 3)

    def run(values, resize=lambda values: ResizeTo()(values, upstream)):
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = resize(values)
        return outputs, tape.gradient(outputs, values, upstream)

    slope = run(inputs)[1]
    for function in (lambda values: run(values, lambda values: resize_by_gathering(values, target)),
                     tf.function(run, jit_compile=True)):
        outputs, gradient = function(inputs)
        np.testing.assert_allclose(outputs, reference(inputs.numpy(), *target), atol=1e-3)
        np.testing.assert_allclose(gradient, slope, atol=1e-3)


def test_only_what_xla_compiles_is_traced_for_it():
    """Also inside a function that a compiled one calls; TFLite and servers know TensorFlow's own operation."""
    def resize(values):
        return ResizeTo()(values, tf.zeros((1, 9, 13, 1)))

    found = {}
    for name, function in (("plain", tf.function(resize)), ("compiled", tf.function(resize, jit_compile=True)),
                           ("inside", tf.function(tf.function(resize), jit_compile=True))):
        graph = function.get_concrete_function(tf.TensorSpec((1, 5, 7, 3))).graph.as_graph_def()
        nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
        found[name] = any(node.op == "ResizeBilinear" for node in nodes)
    assert found == {"plain": True, "compiled": False, "inside": False}
