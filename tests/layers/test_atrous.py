"""Dilated layers equal Keras's in value and gradient, at odd sizes and on every rate."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg.layers import AtrousConv2D, AtrousDepthwiseConv2D, AtrousSeparableConv2D
from tests.conftest import structured_image

PAIRS = [
    (AtrousConv2D, keras.layers.Conv2D, {"filters": 5, "kernel_size": 3}),
    (AtrousConv2D, keras.layers.Conv2D, {"filters": 6, "kernel_size": 3, "groups": 3, "activation": "relu"}),
    (AtrousDepthwiseConv2D, keras.layers.DepthwiseConv2D, {"kernel_size": 3}),
    (AtrousDepthwiseConv2D, keras.layers.DepthwiseConv2D, {"kernel_size": 5, "use_bias": False}),
    (AtrousSeparableConv2D, keras.layers.SeparableConv2D, {"filters": 4, "kernel_size": 3}),
]


def image(height=29, width=22, channels=6):
    return structured_image(height, width, channels)[None].astype("float32") / 255 - 0.3


def gradients(layer, inputs, graph):
    def run(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = layer(values)
            weights = tf.sin(tf.reshape(tf.range(tf.size(outputs), dtype=tf.float32), tf.shape(outputs)))
            loss = tf.reduce_sum(tf.cast(outputs, "float32") * weights)
        return outputs, tape.gradient(loss, [values, *layer.trainable_weights])
    return (tf.function(run) if graph else run)(tf.constant(inputs))


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("rate", [1, 2, 5])
@pytest.mark.parametrize("ours, theirs, arguments", PAIRS)
def test_value_and_gradient_equal_keras(ours, theirs, arguments, rate, graph):
    arguments = {**arguments, "padding": "same", "dilation_rate": rate}
    expected_layer, layer = theirs(**arguments), ours(**arguments)
    inputs = image()
    expected_layer.build(inputs.shape), layer.build(inputs.shape)
    layer.set_weights(expected_layer.get_weights())
    expected, expected_gradients = gradients(expected_layer, inputs, graph)
    actual, actual_gradients = gradients(layer, inputs, graph)
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    for ours_gradient, theirs_gradient in zip(actual_gradients, expected_gradients):
        np.testing.assert_allclose(ours_gradient, theirs_gradient, atol=2e-4 * np.abs(theirs_gradient).max() + 1e-6)


@pytest.mark.parametrize("size", [(12, 16), (5, 40), (1, 1)])
@pytest.mark.parametrize("ours, theirs, arguments", PAIRS)
def test_taps_that_meet_padding_alone_are_left_out(ours, theirs, arguments, size):
    arguments = {**arguments, "padding": "same", "dilation_rate": 12}
    expected_layer, layer, inputs = theirs(**arguments), ours(**arguments), image(*size)
    expected_layer.build(inputs.shape), layer.build(inputs.shape)
    layer.set_weights(expected_layer.get_weights())
    expected, expected_gradients = gradients(expected_layer, inputs, graph=True)
    actual, actual_gradients = gradients(layer, inputs, graph=True)
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    for ours_gradient, theirs_gradient in zip(actual_gradients, expected_gradients):
        np.testing.assert_allclose(ours_gradient, theirs_gradient, atol=2e-4 * np.abs(theirs_gradient).max() + 1e-6)


@pytest.mark.parametrize("sizes", [(29, 22), (None, None)], ids=["known", "unknown"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_a_1x1_convolution_in_training_is_the_same_function(use_bias, sizes):
    layer = AtrousConv2D(5, 1, padding="same", use_bias=use_bias)
    layer.build((None, *sizes, 6))

    def run(training):
        @tf.function(input_signature=[tf.TensorSpec((None, *sizes, 6))])
        def function(values):
            with tf.GradientTape() as tape:
                tape.watch(values)
                outputs = layer(values, training=training)
                weights = tf.sin(tf.reshape(tf.range(tf.size(outputs), dtype=tf.float32), tf.shape(outputs)))
                loss = tf.reduce_sum(tf.cast(outputs, "float32") * weights)
            return outputs, tape.gradient(loss, [values, *layer.trainable_weights])
        return function(image())

    (expected, expected_gradients), (actual, actual_gradients) = run(False), run(True)
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    for ours, theirs in zip(actual_gradients, expected_gradients):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


# `make test` sets the variable either way; processors differ in what TensorFlow does without it.
@pytest.mark.skipif(os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "1", reason="TF_ENABLE_ONEDNN_OPTS is not 1")
def test_dilation_stays_inside_the_operation_where_onednn_is_on():
    for layer in (AtrousConv2D(4, 3, padding="same", dilation_rate=3),
                  AtrousDepthwiseConv2D(3, padding="same", dilation_rate=3),
                  AtrousSeparableConv2D(4, 3, padding="same", dilation_rate=2)):
        layer.build((None, None, None, 6))
        graph = tf.function(layer).get_concrete_function(tf.TensorSpec((1, 32, 32, 6))).graph
        assert not [operation.type for operation in graph.get_operations() if "Batch" in operation.type], layer


@pytest.mark.skipif(os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0", reason="TF_ENABLE_ONEDNN_OPTS is not 0")
def test_machines_without_onednn_fall_back_to_keras():
    for layer in (AtrousConv2D(4, 3, padding="same", dilation_rate=2),
                  AtrousConv2D(4, 3, padding="same", dilation_rate=2, groups=4),
                  AtrousDepthwiseConv2D(3, padding="same", dilation_rate=2)):
        with tf.GradientTape() as tape:
            outputs = layer(tf.ones((1, 9, 9, 4)))
        assert all(gradient is not None for gradient in tape.gradient(outputs, layer.trainable_weights))


@pytest.mark.parametrize("layer_class, arguments", [(AtrousConv2D, {"filters": 4}), (AtrousDepthwiseConv2D, {}),
                                                    (AtrousConv2D, {"filters": 6, "groups": 6})])
def test_half_precision_has_values_and_gradients(layer_class, arguments):
    layer = layer_class(kernel_size=3, padding="same", dilation_rate=2, dtype="mixed_float16", **arguments)
    outputs, found = gradients(layer, image().astype("float16"), graph=True)
    assert outputs.dtype == "float16" and all(gradient is not None for gradient in found)
