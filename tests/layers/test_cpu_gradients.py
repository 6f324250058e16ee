"""The gradients for processors without oneDNN equal TensorFlow's own; they are tried on every processor."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg.layers import AtrousConv2D, BatchNormalization, cpu_gradients
from tests.conftest import structured_image


@pytest.fixture(autouse=True)
def served(monkeypatch):
    monkeypatch.setattr(cpu_gradients, "serve", lambda: True)


def images(height, width, channels, batch=2):
    values = structured_image(height, width, channels).astype("float32") / 64 - 1
    return np.stack([values * (1 + index) for index in range(batch)])


def gradients(function, inputs, weights, unknown=()):
    shape = [None if axis in unknown else side for axis, side in enumerate(inputs.shape)]

    @tf.function(input_signature=[tf.TensorSpec(shape)])
    def step(values):
        with tf.GradientTape() as tape:
            tape.watch([values, *weights])
            outputs = function(values)
            phase = tf.sin(tf.reshape(tf.range(tf.size(outputs), dtype=tf.float32), tf.shape(outputs)))
            loss = tf.reduce_sum(tf.cast(outputs, "float32") * phase)
        return outputs, *tape.gradient(loss, [values, *weights])
    return step(tf.constant(inputs))


@pytest.mark.parametrize("unknown", [(), (0,), (0, 1, 2)], ids=["known", "batch", "all"])
@pytest.mark.parametrize("size, kernel", [
    ((97, 129), (3, 3, 8, 4)), ((97, 129), (3, 3, 4, 8)), ((64, 64), (5, 3, 9, 2)), ((12, 16), (3, 3, 16, 4)),
    ((96, 128), (1, 1, 12, 3)), ((70, 64), (7, 7, 6, 2)),
    ((7, 9), (3, 3, 512, 256)), ((1, 2), (5, 5, 512, 256))])
def test_convolution(size, kernel, unknown):
    """The error against float64 is that of TensorFlow's own gradients, or close to float32's resolution of the sums."""
    taps = tf.constant(np.cos(np.arange(np.prod(kernel))).reshape(kernel).astype("float32"))
    inputs = images(*size, kernel[2])
    exact_taps = tf.cast(taps, "float64")
    exact = gradients(lambda values: tf.nn.conv2d(tf.cast(values, "float64"), exact_taps, 1, "SAME"), inputs,
                      [exact_taps], unknown)
    expected = gradients(lambda values: tf.nn.conv2d(values, taps, 1, "SAME"), inputs, [taps], unknown)
    actual = gradients(lambda values: cpu_gradients.convolve(values, taps), inputs, [taps], unknown)
    for ours, theirs, true in zip(*([np.asarray(one) for one in found] for found in (actual, expected, exact))):
        error, theirs_error = np.abs(ours - true).max(), np.abs(theirs - true).max()
        assert error <= max(4 * theirs_error, 2e-5 * np.abs(true).max())


@pytest.mark.parametrize("rate, padding", [(1, "same"), (2, "same"), (5, "same"), (21, "same"), (30, "same"),
                                           (1, "valid"), (5, "valid")])
def test_layer_in_training_equals_keras(rate, padding):
    arguments = {"filters": 3, "kernel_size": 3, "dilation_rate": rate, "padding": padding}
    ours, theirs = AtrousConv2D(**arguments), keras.layers.Conv2D(**arguments)
    inputs = images(29, 22, 8)
    ours.build(inputs.shape), theirs.build(inputs.shape)
    ours.set_weights(theirs.get_weights())
    expected = gradients(theirs, inputs, [weight.value for weight in theirs.trainable_weights])
    actual = gradients(lambda values: ours(values, training=True), inputs,
                       [weight.value for weight in ours.trainable_weights])
    for mine, other in zip(actual, expected):
        np.testing.assert_allclose(mine, other, atol=1e-4 * np.abs(other).max())


def test_a_large_map_of_few_filters_takes_products():
    taps = tf.ones((3, 3, 8, 4))

    @tf.function
    def gradient(values):
        with tf.GradientTape() as tape:
            tape.watch(taps)
            outputs = cpu_gradients.convolve(values, taps)
        return tape.gradient(outputs, taps)

    def operations(size):
        return {one.type for one in gradient.get_concrete_function(tf.TensorSpec((2, *size, 8))).graph.get_operations()}

    assert "Conv2DBackpropFilter" not in operations((64, 64))
    assert "Conv2DBackpropFilter" in operations((32, 32))


@pytest.mark.parametrize("unknown", [(), (0,)], ids=["known", "batch"])
@pytest.mark.parametrize("offset", [0, 50])
def test_batch_normalization(offset, unknown):
    inputs = images(97, 129, 5, batch=3) + offset
    scale, shift = tf.constant([0.5, 1, 1.5, 2, 3]), tf.constant([-1.0, 0, 1, 2, 3])
    statistics = []

    def normalized(function):
        def call(values):
            outputs, *others = function(values)
            statistics.append(others)
            return outputs
        return call

    expected = gradients(normalized(lambda values: tf.compat.v1.nn.fused_batch_norm(
        values, scale, shift, epsilon=1e-3)), inputs, [scale, shift], unknown)
    actual = gradients(normalized(lambda values: cpu_gradients.normalize_batch(
        values, scale, shift, 1e-3)), inputs, [scale, shift], unknown)
    exact = _exact_gradients(inputs, np.asarray(scale), np.asarray(shift))
    for ours, theirs, true in zip(actual, expected, exact):
        error, theirs_error = np.abs(ours - true).max(), np.abs(theirs - true).max()
        assert error <= max(3 * theirs_error, 1e-5 * np.abs(true).max())


def _exact_gradients(inputs, scale, shift):
    """Outputs and gradients in float64, by the formula of Ioffe and Szegedy, arXiv:1502.03167, section 3."""
    x = inputs.astype("float64")
    upstream = np.sin(np.arange(x.size, dtype="float32")).reshape(x.shape).astype("float64")
    mean, variance, count = x.mean((0, 1, 2)), x.var((0, 1, 2)), x[..., 0].size
    normal = (x - mean) / np.sqrt(variance + 1e-3)
    to_normal = upstream * scale
    to_variance = (to_normal * (x - mean)).sum((0, 1, 2)) * -0.5 * (variance + 1e-3) ** -1.5
    to_mean = (-to_normal / np.sqrt(variance + 1e-3)).sum((0, 1, 2))
    to_inputs = (to_normal / np.sqrt(variance + 1e-3) + to_variance * 2 * (x - mean) / count + to_mean / count)
    return normal * scale + shift, to_inputs, (upstream * normal).sum((0, 1, 2)), upstream.sum((0, 1, 2))


def test_the_layers_take_them_in_float32_training_alone(monkeypatch):
    taken = []
    for name in ("convolve", "normalize_batch"):
        monkeypatch.setattr(cpu_gradients, name, lambda *given, _name=name, _own=getattr(cpu_gradients, name):
                            taken.append(_name) or _own(*given))
    inputs = tf.constant(images(256, 256, 4, batch=1))
    for policy in ("float32", "mixed_bfloat16"):
        layers = AtrousConv2D(4, 3, padding="same", dtype=policy), BatchNormalization(dtype=policy)
        for training in (False, True):
            values = inputs
            for layer in layers:
                values = layer(values, training=training)
    assert taken == ["convolve", "normalize_batch"]


@pytest.mark.parametrize("training", [False, True])
def test_frozen_batch_normalization_keeps_its_statistics(training):
    layer = BatchNormalization()
    layer.build((None, None, None, 4))
    layer.trainable = False
    before = layer.get_weights()
    layer(images(256, 256, 4, batch=1), training=training)
    for old, new in zip(before, layer.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_under_a_distribution_strategy():
    devices = tf.config.list_logical_devices("CPU")
    strategy = tf.distribute.MirroredStrategy([devices[0].name])
    with strategy.scope():
        layer = BatchNormalization()
        layer.build((None, None, None, 4))

    @tf.function
    def step(values):
        def one():
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.sin(layer(values, training=True)))
            return tape.gradient(loss, [layer.gamma.value])[0]
        return strategy.run(one)

    assert np.isfinite(np.asarray(step(tf.constant(images(256, 256, 4, batch=1))))).all()
