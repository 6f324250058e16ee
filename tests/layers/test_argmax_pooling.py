"""Index pooling against `tf.nn.max_pool_with_argmax` and a scatter."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D

SIZES = [(2, 2), (8, 6), (7, 6), (6, 7), (5, 9), (1, 1), (1, 4), (23, 31)]


def tied(height, width, channels=3, seed=0):
    """Half of the values are zero, as after a ReLU, and the rest are few enough to tie too."""
    values = np.random.default_rng(seed).integers(-4, 4, (2, height, width, channels))
    values[:, :2, :2] = 0  # one whole window ties
    return tf.constant(np.maximum(values, 0), tf.float32)


def pool_and_unpool(pixels):
    maxima, places = MaxPoolingWithArgmax2D()(pixels)
    return MaxUnpooling2D()(maxima * 2.0, places, pixels)


def argmax_and_scatter(pixels):
    maxima, flat = tf.nn.max_pool_with_argmax(pixels, 2, 2, "SAME", include_batch_in_index=True)
    scattered = tf.scatter_nd(tf.reshape(flat, [-1, 1]), tf.reshape(maxima * 2.0, [-1]),
                              [tf.size(pixels, out_type=tf.int64)])
    return tf.reshape(scattered, tf.shape(pixels))


def value_and_gradient(function, pixels, upstream):
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        outputs = function(pixels)
    return outputs.numpy(), tape.gradient(outputs, pixels, output_gradients=upstream).numpy()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("negative", [False, True])
def test_value_and_gradient_equal_argmax_and_scatter(size, negative):
    pixels = tied(*size) - (3.0 if negative else 0.0)
    upstream = tf.random.stateless_normal(pixels.shape, [1, 2])
    ours = value_and_gradient(pool_and_unpool, pixels, upstream)
    reference = value_and_gradient(argmax_and_scatter, pixels, upstream)
    np.testing.assert_array_equal(ours[0], reference[0])
    np.testing.assert_array_equal(ours[1], reference[1])


def test_gradient_of_the_maxima_alone():
    pixels, upstream = tied(7, 8), tf.random.stateless_normal((2, 4, 4, 3), [1, 2])
    ours = value_and_gradient(lambda x: MaxPoolingWithArgmax2D()(x)[0], pixels, upstream)
    reference = value_and_gradient(lambda x: tf.nn.max_pool_with_argmax(x, 2, 2, "SAME")[0], pixels, upstream)
    np.testing.assert_array_equal(ours[0], reference[0])
    np.testing.assert_array_equal(ours[1], reference[1])


def test_places_count_in_reading_order():
    window = np.zeros((1, 2, 8, 1), "float32")
    for place in range(4):
        window[0, place // 2, 2 * place + place % 2, 0] = 1.0
    _, places = MaxPoolingWithArgmax2D()(window)
    assert places.numpy().ravel().tolist() == [0, 1, 2, 3]


def test_sizes_unknown_until_run_time():
    pixels = keras.Input((None, None, 3))
    maxima, places = MaxPoolingWithArgmax2D()(pixels)
    model = keras.Model(pixels, [maxima, places, MaxUnpooling2D()(maxima, places, pixels)])
    run = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, 3))])
    for size in SIZES:
        values = tied(*size)
        for graph, eager in zip(run(values), model(values), strict=True):
            np.testing.assert_array_equal(graph, eager)
        assert run(values)[2].shape == values.shape


def test_symbolic_shapes_are_the_eager_ones():
    maxima, places = MaxPoolingWithArgmax2D()(keras.Input((7, 9, 3), batch_size=2))
    assert maxima.shape == places.shape == (2, 4, 5, 3)
    assert (maxima.dtype, places.dtype) == ("float32", "int32")


def test_half_precision_keeps_its_type():
    pixels = tf.cast(tied(5, 5), tf.float16)
    maxima, places = MaxPoolingWithArgmax2D(dtype="mixed_float16")(pixels)
    assert maxima.dtype == MaxUnpooling2D(dtype="mixed_float16")(maxima, places, pixels).dtype == tf.float16


def small_model(size):
    pixels = keras.Input((*size, 3))
    features = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(pixels)
    maxima, places = MaxPoolingWithArgmax2D()(features)
    maxima = keras.layers.Conv2D(4, 3, padding="same")(maxima)
    unpooled = MaxUnpooling2D()(maxima, places, features)
    return keras.Model(pixels, keras.layers.Conv2D(2, 3, padding="same")(unpooled))


def test_save_and_load(tmp_path):
    model, values = small_model((None, None)), tied(7, 5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(values), model(values))


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs")
@pytest.mark.parametrize("quantized", [False, True], ids=["float", "int8"])
@pytest.mark.parametrize("size", [(8, 12), (7, 9)])
def test_converts_with_built_in_operators_only(size, quantized):
    interpreter_module = pytest.importorskip("ai_edge_litert.interpreter")
    keras.utils.set_random_seed(0)
    model = small_model(size)
    values = np.random.default_rng(0).normal(size=(1, *size, 3)).astype("float32")
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([values] for _ in range(8))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    interpreter = interpreter_module.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    outputs = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    expected = model(values).numpy()
    if not quantized:
        np.testing.assert_allclose(outputs, expected, atol=1e-5)
        return
    # Rounding can move a maximum to a neighbour that was nearly as large: a few pixels may differ, the map may not.
    assert np.corrcoef(outputs.ravel(), expected.ravel())[0, 1] > 0.98
    assert np.median(np.abs(outputs - expected)) < 0.02 * expected.std()
