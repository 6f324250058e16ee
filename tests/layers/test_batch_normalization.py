"""The fused path equals Keras's batch normalisation in value, gradient and moving statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg.layers import BatchNormalization
from tests.conftest import structured_image


def images(scale=1.0):
    return np.stack([structured_image(17, 23, 4), structured_image(17, 23, 4)[::-1]]).astype("float32") / 64 * scale


def pair(**arguments):
    theirs, ours = keras.layers.BatchNormalization(momentum=0.9, **arguments), BatchNormalization(**arguments)
    for layer in (theirs, ours):
        layer.build((None, None, None, 4))
    weights = [np.linspace(0.5, 2, 4) + index for index, _ in enumerate(theirs.weights)]
    theirs.set_weights(weights), ours.set_weights(weights)
    return theirs, ours


def run(layer, inputs, training):
    @tf.function
    def step(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = layer(values, training=training)
            loss = tf.reduce_sum(tf.sin(outputs) * values)
        return outputs, tape.gradient(loss, [values, *layer.trainable_weights])
    return step(tf.constant(inputs))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("arguments", [{}, {"scale": False}, {"center": False}, {"epsilon": 1e-5}])
def test_equals_keras(arguments, training):
    theirs, ours = pair(**arguments)
    expected, actual = run(theirs, images(), training), run(ours, images(), training)
    np.testing.assert_allclose(actual[0], expected[0], atol=2e-5)
    for mine, other in zip(actual[1], expected[1]):
        np.testing.assert_allclose(mine, other, atol=3e-4 * max(1, np.abs(other).max()))
    for mine, other in zip(ours.non_trainable_weights, theirs.non_trainable_weights):
        np.testing.assert_allclose(mine, other, rtol=1e-5)


def test_training_runs_the_fused_kernel():
    ours = pair()[1]
    graph = tf.function(lambda x: ours(x, training=True)).get_concrete_function(tf.TensorSpec((2, 8, 8, 4))).graph
    assert "FusedBatchNormV3" in {operation.type for operation in graph.get_operations()}


def test_frozen_layer_keeps_statistics_and_weights():
    ours = pair()[1]
    ours.trainable = False
    before = ours.get_weights()
    outputs = ours(images(), training=True)
    np.testing.assert_allclose(outputs, ours(images(), training=False))
    for old, new in zip(before, ours.get_weights()):
        np.testing.assert_array_equal(old, new)
    assert not ours.trainable_weights


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_keeps_statistics_in_float32(policy):
    layer = BatchNormalization(dtype=policy)
    half = tf.cast(images(), layer.compute_dtype)
    outputs = layer(half, training=True)
    assert outputs.dtype == layer.compute_dtype and layer.moving_mean.dtype == "float32"
    assert np.isfinite(np.asarray(tf.cast(outputs, "float32"))).all()


def test_one_pixel_batch_gives_finite_statistics():
    layer = BatchNormalization()
    layer(np.ones((1, 1, 1, 4), "float32"), training=True)
    assert all(np.isfinite(np.asarray(weight)).all() for weight in layer.weights)


def test_default_momentum_and_config():
    layer = BatchNormalization(epsilon=1e-5, name="norm")
    assert layer.momentum == 0.9
    assert BatchNormalization.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("arguments", [{}, {"scale": False}, {"center": False}])
def test_maps_of_one_pixel(arguments):
    """Several equal Keras; one has no variance, so moving statistics normalise it and stay."""
    theirs, ours = pair(**arguments)
    several = images()[0, :5, :1, :].reshape(5, 1, 1, 4)
    expected, actual = run(theirs, several, True), run(ours, several, True)
    np.testing.assert_allclose(actual[0], expected[0], atol=2e-5)
    for mine, other in zip(actual[1], expected[1]):
        np.testing.assert_allclose(mine, other, atol=3e-4 * max(1, np.abs(other).max()))
    for mine, other in zip(ours.weights, theirs.weights):
        np.testing.assert_allclose(mine, other, rtol=1e-5)
    before = [weight.numpy() for weight in ours.weights]
    np.testing.assert_allclose(run(ours, several[:1], True)[0], ours(several[:1], training=False), atol=1e-6)
    for weight, old in zip(ours.weights, before):
        np.testing.assert_allclose(weight, old, rtol=1e-6)
