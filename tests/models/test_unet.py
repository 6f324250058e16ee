"""U-Net: counts, sizes of figure 1, the network of 2015 written out, the decoder on other encoders."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg.models import UNet
from tests.conftest import structured_image
from tests.models.tiny_backbone import tiny_backbone

TINY_DECODER = (24, 20, 16, 12, 8)


def pixels(height, width, channels=3):
    return structured_image(height, width, channels)[None].astype("float32")


def count(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize("classes, in_channels, released, expected", [
    (2, 1, False, 31_030_658), (3, 1, False, 31_030_723), (2, 3, False, 31_031_810),
    (21, 3, False, 31_033_045), (2, 1, True, 31_100_354)])
def test_counts_of_the_published_network(classes, in_channels, released, expected):
    # The channels of the input and the classes add 9 * 64 and 65 each; the rest is the same network.
    model = UNet(classes, in_channels=in_channels, released=released, compile=False, filters=4)
    assert count(model) == arithmetic(classes, in_channels, released, 4)
    assert arithmetic(classes, in_channels, released, 64) == expected
    assert model.non_trainable_weights == []


def arithmetic(classes, in_channels, released, filters):
    conv = lambda size, inputs, outputs: size * size * inputs * outputs + outputs
    widths = [filters * 2 ** level for level in range(5)]
    down = sum(conv(3, before, width) + conv(3, width, width) for before, width in
               zip([in_channels, *widths], widths))
    up = 0
    for level in range(4):
        width = widths[level]
        raised = 2 * width if released and level == 0 else width
        up += conv(2, 2 * width, raised) + conv(3, width + raised, width) + conv(3, width, width)
    return down + up + conv(1, filters, classes)


@pytest.mark.slow
def test_full_width_has_the_published_count():
    assert count(UNet(2, in_channels=1, compile=False)) == 31_030_658


def test_sizes_of_figure_1():
    model = UNet(2, in_channels=1, padding="valid", image_size=(572, 572), filters=2)
    heights = [model.get_layer(name).output.shape[1] for name in (
        "down1_conv1", "down1_conv2", "down1_pool", "down2_conv2", "down2_pool", "down3_conv2", "down3_pool",
        "down4_conv2", "down4_pool", "down5_conv2", "up4", "up4_conv2", "up3", "up3_conv2", "up2", "up2_conv2", "up1",
        "up1_conv2")]
    assert heights == [570, 568, 284, 280, 140, 136, 68, 64, 32, 28, 56, 52, 104, 100, 200, 196, 392, 388]
    assert model.output_shape == (None, 388, 388, 2)


def test_valid_network_written_out():
    model, image = UNet(2, in_channels=1, padding="valid", filters=4), pixels(204, 188, 1)
    conv = lambda values, name, rate=1: tf.nn.relu(tf.nn.conv2d(
        values, tf.constant(model.get_layer(name).kernel), rate, "VALID") + tf.constant(model.get_layer(name).bias))
    features, skips = (image - 127.5) / 63.75, []
    for level in range(1, 6):
        features = conv(conv(features, f"down{level}_conv1"), f"down{level}_conv2")
        skips.append(features)
        features = tf.nn.max_pool2d(features, 2, 2, "VALID") if level < 5 else features
    for level in range(4, 0, -1):
        layer = model.get_layer(f"up{level}")
        _, height, width, _ = features.shape
        features = tf.nn.relu(tf.nn.conv2d_transpose(features, tf.constant(layer.kernel), (
            1, 2 * height, 2 * width, layer.filters), 2, "VALID") + tf.constant(layer.bias))
        cut = {1: 88, 2: 40, 3: 16, 4: 4}[level]  # figure 1
        features = tf.concat([skips[level - 1][:, cut:-cut, cut:-cut], features], axis=-1)
        features = conv(conv(features, f"up{level}_conv1"), f"up{level}_conv2")
    layer = model.get_layer("logits")
    expected = tf.nn.conv2d(features, tf.constant(layer.kernel), 1, "VALID") + tf.constant(layer.bias)
    assert expected.shape == (1, 20, 4, 2)
    np.testing.assert_allclose(model(image), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_dropout_stands_at_the_end_of_the_contracting_path():
    model = UNet(2, filters=2)
    dropouts = {layer.name: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    assert dropouts == {"down4_dropout": 0.5, "down5_dropout": 0.5}
    assert model.get_layer("up4_concat").input[0] is model.get_layer("down4_dropout").output  # feeds the skip too


MODELS = {
    "paper": lambda: UNet(2, filters=2, compile=False),
    "five stages": lambda: UNet(2, tiny_backbone(), decoder_filters=TINY_DECODER, compile=False),
    "no c1": lambda: UNet(2, tiny_backbone((2, 3, 4, 5)), decoder_filters=TINY_DECODER, compile=False),
}


@pytest.mark.parametrize("kind", MODELS)
def test_modes_sizes_and_gradients(kind):
    model, image = MODELS[kind](), pixels(97, 129)
    outputs = model(image)
    assert outputs.shape == (1, 97, 129, 2) and outputs.dtype == tf.float32
    np.testing.assert_allclose(model(image, training=False), outputs, atol=1e-5)
    np.testing.assert_allclose(model.predict(image, verbose=0), outputs, atol=1e-4)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(image, training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_weights)
    assert [weight.path for weight, gradient in zip(model.trainable_weights, gradients, strict=True)
            if gradient is None] == []


@pytest.mark.parametrize("kind", MODELS)
def test_save_and_load(kind, tmp_path):
    model, image = MODELS[kind](), pixels(33, 40)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras")(image), model(image), atol=1e-5)


@pytest.mark.parametrize("in_channels", [1, 4])
def test_any_number_of_bands(in_channels):
    assert UNet(2, in_channels=in_channels, filters=2)(pixels(32, 32, in_channels)).shape == (1, 32, 32, 2)
    model = UNet(2, "resnet18", in_channels=in_channels, decoder_filters=TINY_DECODER)
    assert model(pixels(32, 32, in_channels)).shape == (1, 32, 32, 2)


def message(call, *arguments, **options):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_error_sentences():
    illegal = ('`image_size` must leave an even map at each of 4 poolings of valid convolutions, got image_size={}. '
               'Nearest legal side to {}; or build with padding="same" for any size.')
    assert message(UNet, 2, padding="valid", image_size=(128, 572)) == illegal.format((128, 572), "128: 188")
    model = UNet(2, padding="valid", filters=2)
    assert illegal.format((190, 188), "190: 188 or 204") in message(model, pixels(190, 188))
    assert message(UNet, 2, encoder_weights="imagenet") == (
        "`encoder_weights` must be one of (None,) without an encoder, got encoder_weights='imagenet'. "
        "The network of 2015 has no pretrained weights; name an encoder to use some.")
    assert message(UNet, 2, "resnet34", padding="valid") == (
        "`padding` must be one of ('same',) with encoder 'resnet34', got padding='valid'. "
        "Valid convolutions belong to the network of 2015: pass encoder_name=None.")
    assert message(UNet, 2, tiny_backbone((1, 3, 5))) == (
        "`encoder_name` must have the stages c5, c4, c3, c2 for U-Net (it lacks c4, c2), got "
        "encoder_name='Functional'. Choose an encoder with five stages, for example 'resnet50'.")
    assert message(UNet, 2, tiny_backbone(), decoder_filters=(8, 8)) == (
        "`decoder_filters` must hold five channel counts, deepest first, got decoder_filters=(8, 8). "
        "The default is (256, 128, 64, 32, 16).")


def test_output_shape_of_valid_convolutions():
    model = UNet(2, padding="valid", filters=2, compile=False)
    assert model.compute_output_shape((1, 572, 572, 3)) == (1, 388, 388, 2)
    assert UNet(2, filters=2, compile=False).compute_output_shape((1, 97, 129, 3)) == (1, 97, 129, 2)


@pytest.mark.parametrize("released", [False, True])
def test_weights_begin_with_the_variance_of_the_paper(released):
    """Section 3: sqrt(2 / N), N the incoming nodes of one neuron; in an up-convolution one a channel."""
    model = UNet(2, in_channels=1, filters=32, released=released, compile=False)
    for name, incoming in (("up4", 512), ("up3", 256), ("up1", 64), ("down3_conv2", 9 * 128), ("up2_conv1", 9 * 128)):
        assert np.var(model.get_layer(name).get_weights()[0]) * incoming == pytest.approx(2, rel=0.1), name
