"""predict_tiled against one run over the whole mirrored image, with a network of valid convolutions and pooling."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg.inference import predict_tiled


@pytest.fixture(scope="module")
def valid_network():
    """Two 3×3 valid convolutions, pooling by 4, one more, up by 4: input 4k, output 20 pixels less."""
    keras.utils.set_random_seed(1)
    pixels = keras.Input((None, None, 3))
    fine = keras.layers.Conv2D(6, 3, activation="relu")(pixels / 255.0)
    fine = keras.layers.Conv2D(6, 3, activation="relu")(fine)
    coarse = keras.layers.MaxPooling2D(4)(fine)
    coarse = keras.layers.Conv2D(6, 3, activation="relu")(coarse)
    coarse = keras.layers.UpSampling2D(4)(coarse)
    fine = keras.layers.Cropping2D(4)(fine)
    joined = keras.layers.Concatenate()([fine, coarse])
    joined = keras.layers.Conv2D(6, 3, activation="relu")(joined)
    return keras.Model(pixels, keras.layers.Conv2D(3, 3)(joined))


def photo(height, width):
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([(rows * 3 + columns) % 256, (rows * columns // 9) % 256, 200 * ((rows - 20) ** 2 < columns)], -1)
    return image.astype("float32")


def whole(network, image, margin):
    return network(np.pad(image, ((margin, margin), (margin, margin), (0, 0)), "reflect")[None]).numpy()[0]


@pytest.mark.parametrize("size, window", [((64, 96), (56, 56)), ((104, 84), (72, 104)), ((40, 40), (200, 200))])
def test_equals_the_untiled_prediction(valid_network, size, window):
    image = photo(*size)
    logits = predict_tiled(valid_network, image, "logits", window=window, batch_size=2)
    assert logits.shape == (*size, 3)
    np.testing.assert_allclose(logits, whole(valid_network, image, 8), atol=1e-5)


def test_any_size(valid_network):
    for size in [(1, 1), (13, 57), (33, 31)]:
        labels = predict_tiled(valid_network, photo(*size), window=48)
        assert labels.shape == size and labels.dtype == np.uint8


def test_probabilities_and_target(valid_network):
    image = photo(64, 64)
    probabilities = predict_tiled(valid_network, image, "probabilities", window=56)
    np.testing.assert_allclose(probabilities, tf.nn.softmax(whole(valid_network, image, 8)), atol=1e-5)
    target = np.zeros((64, 64), np.uint8)
    assert predict_tiled(valid_network, image, window=56, out=target, progress=True) is target
    np.testing.assert_array_equal(target, probabilities.argmax(-1))


def test_a_network_that_keeps_the_size_takes_a_margin():
    keras.utils.set_random_seed(2)
    pixels = keras.Input((None, None, 3))
    same = keras.Model(pixels, keras.layers.Conv2D(2, 7, padding="same")(pixels / 255.0))
    image = photo(50, 60)
    logits = predict_tiled(same, image, "logits", window=32, margin=3)
    padded = np.pad(image, ((3, 3), (3, 3), (0, 0)), "reflect")
    expected = same(padded[None]).numpy()[0, 3:-3, 3:-3]
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    with pytest.raises(ValueError) as caught:
        predict_tiled(same, image, window=32)
    assert str(caught.value) == (
        "`margin` must be given for a network that answers (32, 32) for a window of (32, 32), got margin=None. Pass "
        "the pixels of context a tile needs on each side, or use kseg.predict with window and overlap.")
    with pytest.raises(ValueError) as caught:
        predict_tiled(same, image, window=32, margin=16)
    assert str(caught.value) == ("`window` must be larger than two margins of 16 pixels, got window=(32, 32). "
                                 "Take a larger window.")


@pytest.mark.parametrize("fixed", [False, True])
def test_a_margin_below_the_networks_own_is_refused(fixed):
    """Of a network that loses 20 pixels a side, in one size and in any; a larger margin only costs time."""
    keras.utils.set_random_seed(3)
    pixels = keras.Input((60, 64, 3) if fixed else (None, None, 3))
    network = keras.Model(pixels, keras.layers.Conv2D(2, 11, dilation_rate=4)(pixels / 255.0))
    image = photo(50, 60)
    with pytest.raises(ValueError) as caught:
        predict_tiled(network, image, window=(60, 64), margin=10)
    assert str(caught.value) == (
        "`margin` must be at least 20, half of the 40 pixels by which the network's answers are smaller than its "
        "window, got margin=10. Leave it out, or pass margin=20.")
    for margin in (20, 24):
        np.testing.assert_allclose(predict_tiled(network, image, "logits", window=(60, 64), margin=margin),
                                   predict_tiled(network, image, "logits", window=(60, 64)), atol=1e-5)


def test_a_window_the_network_does_not_take_is_refused_with_a_margin_too():
    unet = kseg.models.UNet(2, in_channels=1, padding="valid", filters=2, compile=False)
    with pytest.raises(ValueError) as caught:
        predict_tiled(unet, photo(68, 84)[..., :1], window=(200, 220), margin=92)
    assert str(caught.value) == ("`window` must be a size that a U-Net of valid convolutions takes, got "
                                 "window=(200, 220). The next larger one is window=(204, 220).")


def test_unet_of_2015_equals_its_untiled_prediction():
    keras.utils.set_random_seed(4)
    unet = kseg.models.UNet(2, in_channels=1, padding="valid", filters=2, compile=False)
    image = photo(68, 84)[..., :1]
    logits = predict_tiled(unet, image, "logits", window=220)
    np.testing.assert_allclose(logits, whole(unet, image, 92), atol=1e-5)
    assert predict_tiled(unet, photo(33, 70)[..., 0], window=(220, 236)).shape == (33, 70)


def test_predict_takes_the_unet_of_2015():
    """Whole, by windows, mirrored and at several sizes, each like one run over the mirrored image."""
    keras.utils.set_random_seed(4)
    unet = kseg.models.UNet(3, in_channels=1, padding="valid", filters=2, compile=False)
    image = photo(68, 84)[..., :1]
    expected = whole(unet, image, 92)
    for window in (None, 220, (204, 252)):
        np.testing.assert_allclose(kseg.predict(unet, image, "logits", window=window), expected, atol=1e-5)
    other = whole(unet, image[:, ::-1], 92)[:, ::-1]
    mean = (tf.nn.softmax(expected) + tf.nn.softmax(other)) / 2
    np.testing.assert_allclose(kseg.predict(unet, image, "probabilities", flip=True), mean, atol=1e-5)
    labels = kseg.predict(unet, np.stack([image, image[:, ::-1]]), scales=(0.5, 1.0), window=220)
    assert labels.shape == (2, 68, 84)
    with pytest.raises(ValueError) as caught:
        kseg.predict(unet, image, window=(200, 220))
    assert str(caught.value) == ("`window` must be a size that a U-Net of valid convolutions takes, got "
                                 "window=(200, 220). The next larger one is window=(204, 220).")


def test_fixed_valid_networks_are_tiled_at_their_size(tmp_path):
    keras.utils.set_random_seed(4)
    pixels = keras.Input((40, 56, 3), batch_size=1)
    fixed = keras.Model(pixels, keras.layers.Conv2D(2, 9)(pixels / 255.0))
    fixed.export(tmp_path / "m.tflite", format="litert", verbose=False)
    image = photo(50, 90)
    free = keras.Input((None, None, 3))
    expected = whole(keras.Model(free, fixed.layers[-1](free / 255.0)), image, 4)
    for model in (fixed, tmp_path / "m.tflite"):
        np.testing.assert_allclose(kseg.predict(model, image, "logits"), expected, atol=1e-4)


def test_predict_refuses_other_networks_that_shrink(valid_network):
    with pytest.raises(ValueError, match="Use kseg.inference.predict_tiled for a network of valid convolutions."):
        kseg.predict(valid_network, photo(56, 56))
