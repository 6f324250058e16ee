"""DeepLab v1: counts of the paper, pools and fc6 against plain loops, weights from VGG16."""

import types

import keras
import numpy as np
import pytest

from kseg.encoders.weights import save_arrays
from kseg.models import DeepLabV1
from kseg.models.deeplab_v1 import copy_fully_connected, fully_connected
from tests.conftest import structured_image, without_values


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)


@pytest.mark.parametrize("options, expected", [
    ({}, 20_505_429),
    ({"multi_scale": True}, 21_711_445),
    ({"fc6_kernel_size": 4, "fc6_rate": 4, "fc6_filters": 4096}, 65_140_565),
    ({"fc6_kernel_size": 7, "fc6_rate": 4, "fc6_filters": 4096}, 134_346_581),
])
def test_counts(options, expected):
    assert trainable(without_values(DeepLabV1, 21, compile=False, **options)) == expected


def test_body_has_the_papers_pools_and_rates():
    encoder = DeepLabV1(2, fc6_filters=8, compile=False).encoder
    pools = [encoder.get_layer(f"block{block}_pool") for block in range(1, 6)]
    assert [pool.pool_size for pool in pools] == [(3, 3)] * 5
    assert [pool.strides[0] for pool in pools] == [2, 2, 2, 1, 1]
    assert [encoder.get_layer(f"block{block}_conv2").dilation_rate[0] for block in range(1, 6)] == [1, 1, 1, 1, 2]
    features = encoder(structured_image(97, 130)[None])
    assert [tuple(features[f"c{stage}"].shape[1:3]) for stage in range(1, 6)] == [
        (49, 65), (25, 33), (13, 17), (13, 17), (13, 17)]


def test_average_pool_counts_the_zeros_beyond_the_border():
    encoder = DeepLabV1(2, fc6_filters=8, compile=False).encoder
    maps = keras.Model(encoder.inputs[0], [encoder.get_layer("block5_pool").output, encoder.output["c5"]])
    before, after = (value.numpy()[0] for value in maps(structured_image(40, 56)[None]))
    padded = np.pad(before, ((1, 1), (1, 1), (0, 0)))
    expected = sum(padded[row:row + 5, column:column + 7] for row in range(3) for column in range(3)) / 9
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-5)


def test_multi_scale_form_takes_any_size():
    model = DeepLabV1(3, fc6_filters=8, multi_scale=True, in_channels=1)
    pixels = structured_image(97, 130, 1)[None]
    logits = model(pixels)
    assert logits.shape == (1, 97, 130, 3)
    np.testing.assert_allclose(model.predict(pixels, verbose=0), logits, atol=1e-4)


def fake_vgg16(filters=12):
    """Stand-in for VGG16 with its classifier: fc1 `[7 * 7 * 512, filters]`, fc2 `[filters, filters]`."""
    generator = np.random.RandomState(2)
    weights = {"fc1": [generator.standard_normal((7 * 7 * 512, filters)).astype("float32") / 100,
                       np.arange(filters, dtype="float32")],
               "fc2": [np.add.outer(100 * np.arange(filters), np.arange(filters)).astype("float32"),
                       np.arange(filters, dtype="float32")]}
    return weights, types.SimpleNamespace(get_layer=lambda name: types.SimpleNamespace(
        get_weights=lambda: weights[name]))


def head(filters, kernel_size, rate):
    features = keras.Input((None, None, 512))
    outputs = fully_connected(features, filters, kernel_size=kernel_size, rate=rate, dropout=0.5)
    return keras.Model(features, outputs, name="head")


def test_whole_classifier_equals_the_dense_layers():
    weights, vgg16 = fake_vgg16()
    model = head(filters=12, kernel_size=7, rate=1)
    copy_fully_connected(model, vgg16)
    features = np.random.RandomState(0).standard_normal((1, 7, 7, 512)).astype("float32")
    hidden = np.maximum(features.reshape(1, -1) @ weights["fc1"][0] + weights["fc1"][1], 0)
    expected = np.maximum(hidden @ weights["fc2"][0] + weights["fc2"][1], 0)
    np.testing.assert_allclose(model(features).numpy()[:, 3, 3], expected, rtol=1e-4)


def test_decimated_classifier_keeps_matching_rows_and_columns():
    weights, vgg16 = fake_vgg16()
    model = head(filters=4, kernel_size=3, rate=12)
    copy_fully_connected(model, vgg16, seed=1)
    (fc6_kernel, fc6_bias), (fc7_kernel, fc7_bias) = (model.get_layer(name).get_weights() for name in ("fc6", "fc7"))
    kept, kept7 = fc6_bias.astype(int), fc7_bias.astype(int)  # the stand-in's biases number its filters
    assert len(set(kept)) == len(set(kept7)) == 4
    original = weights["fc1"][0].reshape(7, 7, 512, 12)
    for row in range(3):
        for column in range(3):
            np.testing.assert_array_equal(fc6_kernel[row, column], original[3 * row, 3 * column][:, kept])
    np.testing.assert_array_equal(fc7_kernel[0, 0], 100 * kept[:, None] + kept7[None, :])


def test_copying_needs_an_fc6():
    inputs = keras.Input((4,))
    with pytest.raises(ValueError) as caught:
        copy_fully_connected(keras.Model(inputs, keras.layers.Dense(2)(inputs), name="other"), None)
    assert str(caught.value) == ("`model` must be a DeepLab v1, or a v2 on VGG16, with a layer fc6, "
                                 "got model='other'. Build it with kseg.models.DeepLabV1.")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")  # Keras, on the way to the library's file
def test_weights_of_the_library_network_fit(tmp_path):
    library = keras.applications.VGG16(include_top=False, weights=None)
    path = str(tmp_path / "vgg16.weights.h5")
    library.save_weights(path)
    encoder = DeepLabV1(2, encoder_weights=path, fc6_filters=8, compile=False).encoder
    for layer in library.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            kernel = kernel[:, :, ::-1] if layer.name == "block1_conv1" else kernel  # trained on blue first
            np.testing.assert_array_equal(encoder.get_layer(layer.name).kernel, kernel)
            np.testing.assert_array_equal(encoder.get_layer(layer.name).bias, bias)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".weights.h5", ".npz"])
def test_weights_of_the_encoder_with_holes_come_back(ending, tmp_path):
    encoder = DeepLabV1(2, fc6_filters=8, compile=False).encoder
    path = str(tmp_path / f"vgg16{ending}")
    encoder.save_weights(path) if ending == ".weights.h5" else save_arrays(encoder, path)
    again = DeepLabV1(2, encoder_weights=path, fc6_filters=8, compile=False).encoder
    for ours, theirs in zip(again.weights, encoder.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_bad_output_stride():
    with pytest.raises(ValueError) as caught:
        DeepLabV1(2, output_stride=16)
    assert str(caught.value) == ("`output_stride` must be one of (8,) for encoder 'vgg16' of DeepLab v1 and v2, "
                                 "got output_stride=16. Use 8, or another encoder.")


def test_warning_names_fc6():
    with pytest.warns(UserWarning) as caught:
        DeepLabV1(2, image_size=(64, 96), fc6_filters=8)
    assert [str(warning.message) for warning in caught] == [
        "`fc6_rate` must stay smaller than the feature map of 8x12 at output stride 8 (too large: 12), "
        "got fc6_rate=12. Taps beyond it read padding alone: use larger images or smaller rates."]
