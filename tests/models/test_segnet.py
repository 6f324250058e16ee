"""SegNet: counts, the whole network written out with TensorFlow's argmax pooling, VGG's weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg.encoders import build_encoder
from kseg.models import SegNet, SegNetBasic
from tests.conftest import structured_image, without_values

SMALL = (4, 6, 8, 8, 8)


def pixels(height, width, channels=3):
    return structured_image(height, width, channels)[None].astype("float32")


def counts(model):
    return tuple(sum(int(np.prod(weight.shape)) for weight in weights)
                 for weights in (model.trainable_weights, model.non_trainable_weights))


def shaken(model):
    """Give every weight a random value, so that no BN is an identity and no bias zero."""
    random = np.random.default_rng(3)
    for weight in model.weights:
        spread = random.uniform(0.5, 1.5, weight.shape)
        weight.assign(spread if "gamma" in weight.path or "variance" in weight.path else
                      np.asarray(weight) + 0.1 * (spread - 1.0))
    return model


# Released prototxts; the 26th convolution is the classifier, so 25 BNs.
@pytest.mark.parametrize("classes, trainable", [
    (11, 29_449_355), (12, 29_449_932), (19, 29_453_971), (21, 29_455_125), (37, 29_464_357)])
def test_counts_of_the_published_network(published, classes, trainable):
    classifier = 64 * 9 + 1  # a class
    assert counts(published) == (trainable - (classes - 2) * classifier, 15_872)
    layers = [*published.layers, *published.encoder.layers]
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in layers) == 26


@pytest.fixture(scope="module")
def published():
    return without_values(SegNet, 2, compile=False)


def test_counts_of_segnet_basic():
    assert counts(SegNetBasic(11, compile=False)) == (1_416_587, 1024)
    assert counts(SegNetBasic(11, use_bias=False, compile=False)) == (1_416_587 - 8 * 64, 1024)


def argmax_pool(features):
    maxima, flat = tf.nn.max_pool_with_argmax(features, 2, 2, "SAME", include_batch_in_index=True)
    return maxima, (flat, tf.shape(features))


def unpool(values, place):
    flat, shape = place
    scattered = tf.scatter_nd(tf.reshape(flat, [-1, 1]), tf.reshape(values, [-1]),
                              [tf.cast(tf.reduce_prod(shape), tf.int64)])
    return tf.reshape(scattered, shape)


def conv_bn(features, model, name, relu=True):
    layer, norm = model.get_layer(name), model.get_layer(f"{name}_bn")
    features = tf.nn.conv2d(features, tf.constant(layer.kernel), 1, "SAME") + tf.constant(layer.bias)
    features = tf.nn.batch_normalization(features, *(tf.constant(value) for value in (
        norm.moving_mean, norm.moving_variance, norm.beta, norm.gamma)), norm.epsilon)
    return tf.nn.relu(features) if relu else features


@pytest.mark.parametrize("size", [(64, 64), (45, 71)])
def test_segnet_written_out(size):
    model, image, places = shaken(SegNet(3, filters=SMALL)), pixels(*size), []
    features = image - np.array([123.68, 116.779, 103.939], "float32")
    for stage, count in enumerate((2, 2, 3, 3, 3), start=1):
        for index in range(1, count + 1):
            features = conv_bn(features, model.encoder, f"block{stage}_conv{index}")
        features, place = argmax_pool(features)
        places.append(place)
    for stage, count in ((5, 3), (4, 3), (3, 3), (2, 2), (1, 1)):
        features = unpool(features, places[stage - 1])
        for index in range(1, count + 1):
            features = conv_bn(features, model, f"decoder{stage}_conv{index}")
    logits = model.get_layer("logits")
    expected = tf.nn.conv2d(features, tf.constant(logits.kernel), 1, "SAME") + tf.constant(logits.bias)
    np.testing.assert_allclose(model(image), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert np.ptp(expected) > 0.01


def test_segnet_basic_written_out():
    model, image, places = shaken(SegNetBasic(3, filters=4, in_channels=3)), pixels(45, 71), []
    features = tf.nn.local_response_normalization(image, 2, alpha=1e-4 / 5, beta=0.75)
    for stage in range(1, 5):
        features, place = argmax_pool(conv_bn(features, model, f"encoder{stage}_conv"))
        places.append(place)
    for stage in range(4, 0, -1):
        features = conv_bn(unpool(features, places[stage - 1]), model, f"decoder{stage}_conv", relu=False)
    logits = model.get_layer("logits")
    expected = tf.nn.conv2d(features, tf.constant(logits.kernel), 1, "SAME") + tf.constant(logits.bias)
    np.testing.assert_allclose(model(image), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("build", [lambda: SegNet(3, filters=SMALL, dropout=0.5), lambda: SegNetBasic(3, filters=4)])
def test_modes_sizes_and_gradients(build):
    model, image = build(), pixels(97, 129)
    outputs = model(image)
    assert outputs.shape == (1, 97, 129, 3) and outputs.dtype == tf.float32
    np.testing.assert_allclose(model(image, training=False), outputs, atol=1e-5)
    np.testing.assert_allclose(model.predict(image, verbose=0), outputs, atol=1e-3)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(image, training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_weights)
    # BN cancels the biases before it, whose gradients vanish but exist.
    assert [weight.path for weight, gradient in zip(model.trainable_weights, gradients, strict=True)
            if gradient is None] == []
    assert all(np.abs(gradient).sum() > 0 for weight, gradient in zip(model.trainable_weights, gradients, strict=True)
               if weight.path.endswith("kernel"))


def test_save_and_load(tmp_path):
    model, image = shaken(SegNet(3, filters=SMALL, compile=False)), pixels(33, 40)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras")(image), model(image), atol=1e-5)


@pytest.mark.slow
def test_takes_the_kernels_of_vgg16(tmp_path):
    path = str(tmp_path / "vgg16.weights.h5")
    source = build_encoder("vgg16")
    source.save_weights(path)
    model = SegNet(2, encoder_weights=path, compile=False)
    for name in ("block1_conv1", "block3_conv3", "block5_conv3"):
        for ours, theirs in zip(model.encoder.get_layer(name).get_weights(), source.get_layer(name).get_weights(),
                                strict=True):
            np.testing.assert_array_equal(ours, theirs)


def message(call, *arguments, **options):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_error_sentences():
    assert message(SegNet, 2, "resnet50") == (
        "`encoder_name` must be one of ('vgg16', 'vgg19', 'torchvgg16', 'torchvgg19'), got encoder_name='resnet50'. "
        "Unpooling needs the places of VGG's poolings; for other encoders take UNet or DeepLabV3Plus.")
    assert message(SegNet, 2, filters=(1, 2)) == (
        "`filters` must hold five channel counts, one per stage, got filters=(1, 2). "
        "The paper uses (64, 128, 256, 512, 512).")
    assert message(SegNet, 2, encoder_weights="imagenet", filters=SMALL) == (
        "`filters` must be (64, 128, 256, 512, 512) when encoder_weights is given, got filters=(4, 6, 8, 8, 8). "
        "Leave `filters` out, or pass encoder_weights=None.")
    assert message(SegNetBasic, 2, "vgg16") == (
        "`encoder_name` must be one of (None,) for SegNetBasic, got encoder_name='vgg16'. "
        "SegNetBasic is a network of its own; SegNet takes VGG's weights.")
