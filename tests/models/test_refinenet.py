"""RefineNet: counts in both conventions, the decoder written out, batch normalisation that stands still."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg.models import RefineNet
from tests.conftest import structured_image, without_values
from tests.models.tiny_backbone import tiny_backbone


def pixels(height, width):
    return structured_image(height, width)[None].astype("float32")


def counts(model):
    return tuple(sum(int(np.prod(weight.shape)) for weight in weights)
                 for weights in (model.trainable_weights, model.non_trainable_weights))


@pytest.mark.parametrize("encoder_name, classes, options, published, statistics", [
    ("resnet50", 21, {}, 99_060_309, 53_120),
    ("resnet101", 21, {"convention": "paper"}, 95_637_077, 105_344),
    ("resnet152", 21, {}, 133_696_085, 151_424),
])
def test_counts_of_the_published_networks(encoder_name, classes, options, published, statistics):
    model = without_values(RefineNet, classes, encoder_name, compile=False, **options)
    assert counts(model) == (published, statistics)


@pytest.mark.parametrize("options, poolings, units", [
    ({}, 4, (3, 3, 3, 3)),
    ({"convention": "paper"}, 2, (1, 1, 1, 3)),
    ({"convention": "paper", "pooling_stages": 3, "last_output_units": 2}, 3, (1, 1, 1, 2)),
])
def test_conventions(options, poolings, units):
    model = RefineNet(2, tiny_backbone(), filters=4, **options)
    names = {layer.name for layer in model.layers}
    for number, expected in zip((4, 3, 2, 1), units, strict=True):
        assert len(model.get_layer(f"refine{number}_pooling").weights) == poolings
        assert sum(f"refine{number}_output_unit{unit}_add" in names for unit in range(1, 9)) == expected


def test_widths_and_the_absence_of_batch_normalisation():
    model = RefineNet(2, tiny_backbone(), filters=4)
    assert [model.get_layer(f"refine{number}_adapt").filters for number in (4, 3, 2, 1)] == [8, 4, 4, 4]
    assert not [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    # The first convolutions of residual units alone have a bias, and the classifier.
    biased = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D) and layer.use_bias]
    assert [name for name in biased if not name.endswith("conv1")] == ["logits_scores"]


def test_decoder_written_out():
    model, image = RefineNet(2, tiny_backbone(), filters=4, compile=False), pixels(64, 96)
    model.set_weights([np.random.default_rng(index).uniform(-0.3, 0.4, weight.shape)
                       for index, weight in enumerate(model.weights)])
    taps = model.encoder(image)
    kernel = lambda name: [tf.constant(value) for value in model.get_layer(name).get_weights()]

    def conv(values, name):
        weights = kernel(name)
        outputs = tf.nn.conv2d(values, weights[0], 1, "SAME")
        return outputs + weights[1] if len(weights) > 1 else outputs

    def unit(values, name):
        return values + conv(tf.nn.relu(conv(tf.nn.relu(values), f"{name}_conv1")), f"{name}_conv2")

    refined = None
    for number in (4, 3, 2, 1):
        name = f"refine{number}"
        values = unit(unit(conv(taps[f"c{number + 1}"], f"{name}_adapt"), f"{name}_unit1"), f"{name}_unit2")
        if refined is not None:
            values = conv(values, f"{name}_fuse") + tf.image.resize(conv(refined, f"{name}_fuse_coarser"),
                                                                    values.shape[1:3])
        values = stage = tf.nn.relu(values)
        for weights in kernel(f"{name}_pooling"):
            stage = tf.nn.conv2d(tf.nn.max_pool2d(stage, 5, 1, "SAME"), weights, 1, "SAME")
            values = values + stage
        for index in (1, 2, 3):
            values = unit(values, f"{name}_output_unit{index}")
        refined = values
    expected = tf.image.resize(conv(refined, "logits_scores"), (64, 96))
    np.testing.assert_allclose(model(image), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_dropout_on_wide_taps_and_before_the_classifier():
    model = without_values(RefineNet, 2, "resnet50", filters=4, compile=False)
    dropouts = {layer.name for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    assert dropouts == {"refine4_dropout", "refine3_dropout", "head_dropout"}


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_batch_norm_stands_still(frozen):
    model = RefineNet(2, tiny_backbone(), filters=4, freeze_batch_norm=frozen, compile=False)
    statistics = [weight for weight in model.weights if "moving" in weight.path]
    before = [np.array(weight) for weight in statistics]
    model(pixels(64, 64), training=True)
    unchanged = [np.array_equal(old, weight) for old, weight in zip(before, statistics, strict=True)]
    assert len(unchanged) == 10 and all(unchanged) is frozen and any(unchanged) is frozen
    assert any("gamma" in weight.path for weight in model.trainable_weights) is not frozen


@pytest.mark.slow
@pytest.mark.parametrize("levels", [(1, 2, 3, 4, 5), (2, 3, 4, 5)])
def test_modes_sizes_gradients_and_saving(levels, tmp_path):
    model, image = RefineNet(2, tiny_backbone(levels), filters=4, compile=False), pixels(97, 129)
    outputs = model(image)
    assert outputs.shape == (1, 97, 129, 2) and outputs.dtype == tf.float32
    np.testing.assert_allclose(model(image, training=False), outputs, atol=1e-5)
    np.testing.assert_allclose(model.predict(image, verbose=0), outputs, atol=1e-4)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(image, training=True))
    gradients = tape.gradient(loss, model.trainable_weights)
    assert [weight.path for weight, gradient in zip(model.trainable_weights, gradients, strict=True)
            if gradient is None] == []
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras")(image), model(image), atol=1e-5)


def message(call, *arguments, **options):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_error_sentences():
    assert message(RefineNet, 2, tiny_backbone((1, 3, 4, 5))) == (
        "`encoder_name` must have the stages c5, c4, c3, c2 for RefineNet (it lacks c2), got "
        "encoder_name='Functional'. Choose an encoder with five stages, for example 'resnet50'.")
    assert message(RefineNet, 2, convention="caffe").startswith(
        "`convention` must be one of ('code', 'paper'), got convention='caffe'.")
    assert message(RefineNet, 2, "resnet50", output_units=0) == (
        "`output_units` must be a positive integer, got output_units=0. Pass a whole number of at least 1.")
