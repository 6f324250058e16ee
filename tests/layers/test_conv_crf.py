"""ConvCRF against loops over pixels and windows."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg.layers.conv_crf import ConvCRF


def scene(height, width, classes=3, seed=0):
    """Return logits `[1, H, W, C]` and uint8 pixels `[1, H, W, 3]` of two coloured halves and a stripe."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    labels = (x > width // 2).astype(int)
    labels[y == height // 3] = classes - 1
    colours = generator.integers(0, 255, (classes, 3))
    pixels = np.clip(colours[labels] + generator.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)
    logits = generator.normal(size=(height, width, classes)) + 1.5 * np.eye(classes)[labels]
    return logits[None].astype(np.float32), pixels[None]


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def cell_means(values, blur):
    height, width = values.shape[:2]
    return np.array([[values[top:top + blur, left:left + blur].mean(axis=(0, 1))
                      for left in range(0, width, blur)] for top in range(0, height, blur)])


def enlarged(values, blur, height, width):
    """Bilinear enlargement by `blur` with half-pixel centres, one pixel at a time, cut to the size."""
    result = np.empty((height, width, values.shape[2]))
    for y in range(height):
        for x in range(width):
            v, u = (y + 0.5) / blur - 0.5, (x + 0.5) / blur - 0.5
            top, left = int(np.floor(v)), int(np.floor(u))
            total = 0
            for row, share in ((top, 1 - (v - top)), (top + 1, v - top)):
                for column, part in ((left, 1 - (u - left)), (left + 1, u - left)):
                    total = total + share * part * values[np.clip(row, 0, len(values) - 1),
                                                          np.clip(column, 0, values.shape[1] - 1)]
            result[y, x] = total
    return result


def windowed_kernel(pixels, filter_size, blur, normalization):
    """Return {(pixel, neighbour): weight} of the default kernels."""
    height, width = pixels.shape[:2]
    reach = filter_size // 2
    kernel = {}
    for y in range(height):
        for x in range(width):
            for v in range(max(0, y - reach), min(height, y + reach + 1)):
                for u in range(max(0, x - reach), min(width, x + reach + 1)):
                    apart = blur ** 2 * ((y - v) ** 2 + (x - u) ** 2)
                    unlike = ((pixels[y, x] - pixels[v, u]) ** 2).sum()
                    kernel[(y, x), (v, u)] = 3 * np.exp(-apart / 2 / 3 ** 2) + 10 * np.exp(-unlike / 2 / 13 ** 2)
    if normalization == "symmetric":
        total = {}
        for (here, _), weight in kernel.items():
            total[here] = total.get(here, 0) + weight
        kernel = {(here, there): weight / np.sqrt(total[here] * total[there])
                  for (here, there), weight in kernel.items()}
    return kernel


def truncated_mean_field(logits, pixels, iterations, filter_size, blur, normalization, weight, compatibility):
    height, width = logits.shape[:2]
    log_unary = np.log(softmax(logits.astype(float)))
    kernel = windowed_kernel(cell_means(pixels.astype(float), blur), filter_size, blur, normalization)
    refined = log_unary
    for _ in range(iterations):
        values = cell_means(softmax(refined), blur)
        message = np.zeros_like(values)
        for (here, there), strength in kernel.items():
            message[here] += strength * values[there]
        message = enlarged(message + message @ compatibility, blur, height, width)
        refined = (1 - weight) * log_unary + weight * message
    return refined


@pytest.mark.parametrize("normalization", ["none", "symmetric"])
@pytest.mark.parametrize("height,width,filter_size,blur", [(9, 12, 5, 1), (11, 14, 3, 4), (8, 7, 5, 2), (1, 1, 3, 2)])
def test_equals_loops(height, width, filter_size, blur, normalization):
    logits, pixels = scene(height, width)
    layer = ConvCRF(iterations=3, filter_size=filter_size, blur=blur, normalization=normalization)
    layer.build(logits.shape, pixels.shape)
    weight = np.array([0.2, 0.05, 0.4])
    compatibility = np.random.default_rng(1).normal(0, 0.2, (3, 3))
    layer.set_weights([weight, compatibility])
    expected = truncated_mean_field(logits[0], pixels[0], 3, filter_size, blur, normalization, weight, compatibility)
    actual = layer(logits, pixels)
    assert actual.dtype == "float32"
    assert layer.compute_output_shape(logits.shape, pixels.shape) == tuple(actual.shape)
    np.testing.assert_allclose(np.asarray(actual)[0], expected, rtol=1e-4, atol=1e-4)


def test_defaults_are_the_authors_and_sharpen():
    layer = ConvCRF()
    assert (layer.iterations, layer.filter_size, layer.blur, layer.initial_weight) == (5, 11, 4, 0.2)
    height, width = 41, 50
    y, x = np.mgrid[:height, :width]
    labels = ((y - 20) ** 2 + (x - 25) ** 2 < 196).astype(int)
    generator = np.random.default_rng(0)
    logits = (generator.normal(size=(height, width, 2)) + np.eye(2)[labels]).astype(np.float32)
    pixels = (60 + 120 * labels[..., None] + generator.normal(0, 5, (height, width, 3))).astype(np.uint8)
    refined = np.asarray(layer(logits[None], pixels[None]))[0]
    assert (logits.argmax(-1) == labels).mean() < 0.8
    assert (refined.argmax(-1) == labels).mean() > 0.95


@pytest.mark.parametrize("normalization", ["none", "symmetric"])
def test_gradient_reaches_logits_and_weights(normalization):
    logits, pixels = scene(10, 13)
    layer = ConvCRF(iterations=2, filter_size=3, blur=2, initial_weight=0.01, normalization=normalization)
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        refined = layer(logits, pixels)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.zeros((1, 10, 13), tf.int32), refined))
    assert len(layer.trainable_variables) == 2
    for gradient in tape.gradient(loss, [logits, layer.class_weight.value, layer.compatibility.value]):
        assert np.all(np.isfinite(gradient)) and np.linalg.norm(gradient) > 1e-5


def two_inputs(classes=3, size=(None, None), **options):
    logits = keras.Input((*size, classes), name="logits")
    pixels = keras.Input((*size, 3), name="pixels")
    options = {"iterations": 2, "filter_size": 5, "blur": 2, **options}
    return keras.Model([logits, pixels], ConvCRF(**options)(logits, pixels))


def test_trains_and_comes_back_from_disk(tmp_path):
    model = two_inputs(iterations=1, filter_size=3)
    logits, pixels = scene(17, 21)
    labels = logits.argmax(-1)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = [weight.value.numpy() for weight in model.trainable_variables]
    model.fit([logits, pixels.astype(np.float32)], labels, epochs=2, verbose=0)
    assert all(np.abs(now.value.numpy() - then).max() > 0 for now, then in zip(model.trainable_variables, before))
    model.save(tmp_path / "crf.keras")
    again = keras.models.load_model(tmp_path / "crf.keras")
    expected = model.predict([logits, pixels], verbose=0)
    np.testing.assert_array_equal(again.predict([logits, pixels], verbose=0), expected)
    config = model.layers[-1].get_config()
    assert ConvCRF.from_config(config).get_config() == config


def test_mixed_precision_keeps_float32():
    logits, pixels = scene(9, 9)
    layer = ConvCRF(iterations=1, filter_size=3)
    expected = np.asarray(layer(logits, pixels))
    half = np.asarray(layer(logits.astype(np.float16), pixels.astype(np.float16)))
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, expected, atol=0.02)


@pytest.mark.slow
def test_saved_model_takes_any_size(tmp_path):
    model = two_inputs()
    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved"))
    for height, width in ((17, 21), (32, 9)):
        logits, pixels = scene(height, width)
        pixels = pixels.astype(np.float32)
        np.testing.assert_allclose(served.serve([logits, pixels]), model([logits, pixels]), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(17, 21), (None, None)])
def test_tflite_has_built_in_operators_only(size):
    interpreter_module = pytest.importorskip("ai_edge_litert.interpreter")
    model = two_inputs(size=size)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = interpreter_module.Interpreter(model_content=converter.convert())
    logits, pixels = scene(17, 21)
    arrays = {"logits": logits, "pixels": pixels.astype(np.float32)}
    for detail in interpreter.get_input_details():
        interpreter.resize_tensor_input(detail["index"], (1, 17, 21, 3))
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], arrays["logits" if "logits" in detail["name"] else "pixels"])
    interpreter.invoke()
    actual = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(actual, model(list(arrays.values())), atol=1e-3)


def test_errors():
    with pytest.raises(ValueError, match="^" + re.escape(
            "`filter_size` must be odd, got filter_size=4. Use 11, the paper's default.") + "$"):
        ConvCRF(filter_size=4)
    with pytest.raises(ValueError, match="^" + re.escape(
            "`normalization` must be one of ('none', 'symmetric'), got normalization='after'. "
            "Choose one of ('none', 'symmetric').") + "$"):
        ConvCRF(normalization="after")
    with pytest.raises(ValueError, match="^`color_sigma` must be a number between 0.01 and 10000.0, got color_sigma=0"):
        ConvCRF(color_sigma=0)
