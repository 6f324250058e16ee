"""DeepLab v3 and v3+: torchvision's numbers, the papers' counts, one set of weights at every output stride."""

import os
import re
import warnings

import keras
import numpy as np
import pytest

from kseg.encoders.families import ENCODERS
from kseg.models import DeepLabV1, DeepLabV2, DeepLabV3, DeepLabV3Plus
from kseg.models.blocks import conv_bn_relu
from kseg.models.deeplab import aspp
from tests.conftest import structured_image, without_values
from tests.models.fixtures import make_torchvision_deeplab_head as torchvision_head
from tests.models.tiny_backbone import tiny_backbone


def size_of(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def counts(model):
    """(trainable, moving statistics): what the papers count."""
    statistics = [weight for weight in model.non_trainable_variables if "moving" in weight.path]
    return size_of(model.trainable_variables), size_of(statistics)


def set_convolution(model, name, kernel):
    model.get_layer(name).kernel.assign(kernel.transpose(2, 3, 1, 0))  # OIHW to HWIO


def test_head_equals_torchvision():
    features, weights = torchvision_head.draw()
    inputs = keras.Input((None, None, torchvision_head.IN_CHANNELS))
    outputs = aspp(inputs, 256, torchvision_head.RATES, dropout=0.5)
    outputs = conv_bn_relu(outputs, 256, 3, name="head")
    head = keras.Model(inputs, keras.layers.Conv2D(torchvision_head.CLASSES, 1, name="logits")(outputs))
    names = {"0.convs.0.0": ("0.convs.0.1", "aspp_point"), "0.convs.4.1": ("0.convs.4.2", "aspp_image"),
             "0.project.0": ("0.project.1", "aspp_project"), "1": ("2", "head")}
    names.update({f"0.convs.{index}.0": (f"0.convs.{index}.1", f"aspp_atrous{index}") for index in (1, 2, 3)})
    for convolution, (normalisation, name) in names.items():
        set_convolution(head, f"{name}_conv", weights[f"{convolution}.weight"])
        head.get_layer(f"{name}_bn").set_weights(
            [weights[f"{normalisation}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")])
    set_convolution(head, "logits", weights["4.weight"])
    head.get_layer("logits").bias.assign(weights["4.bias"])
    logits = head(features.transpose(0, 2, 3, 1), training=False).numpy()
    with np.load(torchvision_head.PATH) as stored:
        expected = stored["logits"].transpose(0, 2, 3, 1)
    assert os.path.getsize(torchvision_head.PATH) <= 50_000
    assert expected.std() > 0.1
    np.testing.assert_allclose(logits, expected, atol=1e-4)


COUNTS = [
    (DeepLabV3, "mobilenetv2", {"extra_conv": True}, (5_113_877, 35_136)),
    (DeepLabV3, "mobilenetv2", {"rates": ()}, (2_113_557, 33_088)),
    (DeepLabV3, "resnet50", {}, (39_048_533, 56_192)),
    (DeepLabV3, "resnet50", {"extra_conv": True, "aux": True}, (42_004_074, 57_216)),
    (DeepLabV3Plus, "resnet50", {}, (40_352_181, 57_312)),
    (DeepLabV3Plus, "resnet50", {"separable": True}, (26_696_133, 70_720)),
    (DeepLabV3Plus, "resnet101", {}, (59_344_309, 109_536)),
    (DeepLabV3Plus, "xception65", {}, (41_055_413, 202_800)),
    (DeepLabV3Plus, "xception65", {"separable": False}, (54_711_461, 189_392)),
]


@pytest.mark.parametrize("builder, encoder_name, options, expected", COUNTS)
def test_counts(builder, encoder_name, options, expected):
    assert counts(without_values(builder, 21, encoder_name, compile=False, **options)) == expected


def randomize(model):
    """Give every batch normalisation statistics and weights of its own."""
    generator = np.random.RandomState(5)
    for variable in model.variables:
        if variable.path.endswith(("moving_mean", "beta")):
            variable.assign(generator.normal(0, 0.1, variable.shape))
        elif variable.path.endswith(("moving_variance", "gamma")):
            variable.assign(generator.uniform(0.7, 1.3, variable.shape))


@pytest.mark.slow
def test_weights_trained_at_16_run_at_8():
    """Every atrous branch at stride 8, subsampled, equals the branch at 16: encoder and pyramid double their rates."""
    coarse, fine = (DeepLabV3(4, "mobilenetv2", output_stride=stride, filters=16, compile=False) for stride in (16, 8))
    randomize(coarse)
    fine.set_weights(coarse.get_weights())
    for index, (at_16, at_8) in enumerate([(6, 12), (12, 24), (18, 36)], 1):
        rates = [model.get_layer(f"aspp_atrous{index}_conv").dilation_rate[0] for model in (coarse, fine)]
        assert rates == [at_16, at_8]
    names = ["aspp_point_relu"] + [f"aspp_atrous{index}_relu" for index in (1, 2, 3)]
    branches = [keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])
                for model in (coarse, fine)]
    for height, width in ((97, 129), (65, 113)):
        pixels = structured_image(height, width)[None]
        for name, at_16, at_8 in zip(names, *(branch(pixels, training=False) for branch in branches)):
            at_16, at_8 = at_16.numpy(), at_8.numpy()[:, ::2, ::2]
            assert at_8.shape == at_16.shape
            assert np.abs(at_8 - at_16).max() < 1e-4 * np.abs(at_16).max(), (name, height, width)
    logits = [model(pixels, training=False).numpy() for model in (coarse, fine)]
    assert logits[0].shape == logits[1].shape == (1, 65, 113, 4)
    # The image's average is over another number of pixels: close, not equal.
    assert np.abs(logits[0] - logits[1]).max() < 0.5 * np.ptp(logits[0])


@pytest.mark.parametrize("encoder_name, options, rates", [
    ("resnet50", {"output_stride": 8}, [4, 8, 16]),
    ("resnet50", {"output_stride": 16}, [2, 4, 8]),
    ("resnet50", {"output_stride": 16, "multi_grid": (1, 1, 1)}, [1, 2, 2]),  # the stride lay in the first unit's 3x3
    ("kerasresnet50", {"output_stride": 8}, [4, 8, 16]),
    ("kerasresnet50", {"output_stride": 16, "multi_grid": (1, 1, 1)}, [2, 2, 2]),
])
def test_multi_grid_multiplies_the_rates_of_c5(encoder_name, options, rates):
    encoder = without_values(DeepLabV3, 2, encoder_name, filters=8, compile=False, **options).encoder
    middles = ENCODERS[encoder_name].multi_grid
    assert [encoder.get_layer(middle).dilation_rate[0] for middle in middles] == rates


def tiny_encoder(encoder_name, output_stride, encoder_weights, in_channels, *, multi_grid=None, full_rates=False,
                 last_stage="c5", image_size=None):
    """Five strided convolutions, dilation instead of stride beyond `output_stride`."""
    outputs = pixels = keras.Input((None, None, in_channels))
    features, stride = {}, 1
    for stage in range(1, 6):
        step = 2 if stride < output_stride else 1
        stride *= step
        outputs = keras.layers.Conv2D(8, 3, step, "same", activation="relu")(outputs)
        features[f"c{stage}"] = outputs
    if encoder_name == "xception41":
        features["low_level"] = keras.layers.DepthwiseConv2D(1, name="low")(features["c2"])
    return keras.Model(pixels, features, name="encoder")


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr("kseg.models.assembly.build_encoder", tiny_encoder)


def test_separable_form_follows_the_encoder(tiny):
    for encoder_name, options, separable in (("xception41", {}, True), ("xception41", {"separable": False}, False),
                                             ("resnet18", {}, False), ("resnet18", {"separable": True}, True)):
        names = [layer.name for layer in DeepLabV3Plus(2, encoder_name, **options).layers]
        for part in ("aspp_atrous1", "aspp_atrous3", "decoder1", "decoder2"):
            assert (f"{part}_depthwise_bn" in names) is separable
            assert (f"{part}_depthwise_relu" in names) is separable
        assert "aspp_point_depthwise" not in names and "low_level_depthwise" not in names


def test_low_level_features_are_the_encoders_own_or_c2(tiny):
    for encoder_name, key in (("xception41", "low_level"), ("resnet18", "c2")):
        model = DeepLabV3Plus(2, encoder_name)
        wanted = model.encoder(model.inputs[0])  # any call: features come in the same order
        position = sorted(wanted).index(key)
        origin = model.get_layer("low_level_conv").input._keras_history
        assert origin.operation is model.encoder and origin.tensor_index == position


def test_any_size_and_every_gradient(tiny):
    import tensorflow as tf

    model = DeepLabV3Plus(3, "resnet18", filters=8)
    pixels = structured_image(97, 129)[None].repeat(2, axis=0)
    pixels[1] = pixels[1, ::-1]
    logits = model(pixels)
    assert logits.shape == (2, 97, 129, 3) and logits.dtype == "float32"
    scale = np.abs(logits).max()  # about 30 with random weights, where rounding alone is above 1e-5 with oneDNN on
    np.testing.assert_allclose(model.predict(pixels, verbose=0) / scale, logits / scale, atol=1e-5)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(pixels, training=True) - 1.0))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    assert all(gradient is not None for gradient in gradients)


def test_auxiliary_head_exists_in_training_only(tiny):
    model = DeepLabV3(3, "resnet18", filters=8, aux=True)
    pixels = structured_image(33, 49)[None]
    assert model(pixels).shape == (1, 33, 49, 3)
    assert [tuple(value.shape) for value in model(pixels, training=True)] == [(1, 33, 49, 3)] * 2


def test_warning_says_which_rates_leave_the_feature_map(tiny):
    message = ("`rates` must stay smaller than the feature map of 9x12 at output stride 16 (too large: 12, 18), "
               "got rates=(6, 12, 18). Taps beyond it read padding alone: use larger images or smaller rates.")
    with pytest.warns(UserWarning) as caught:
        DeepLabV3(2, "resnet18", image_size=(144, 192))
    assert [str(warning.message) for warning in caught] == [message]
    assert caught[0].filename == __file__


def test_no_warning_without_a_size_or_with_fitting_rates(tiny):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DeepLabV3(2, "resnet18")
        DeepLabV3(2, "resnet18", image_size=(None, 64))
        DeepLabV3(2, "resnet18", image_size=(144, 192), rates=(2, 4, 8))


@pytest.mark.parametrize("options, message", [
    ({"output_stride": 4}, "`output_stride` must be one of (8, 16, 32) for encoder 'mobilenetv2', got output_stride=4. "
                           "Use 8 for its densest features."),
    ({"dropout": 2}, "`dropout` must be a number between 0 and 1, got dropout=2. Pass a value from 0 to 1."),
    ({"classes": 0}, "`classes` must be an integer of at least 2, got classes=0. Count the classes without the ignore "
                     "class; background and one kind of object are 2, or classes=1 with task=\"binary\"."),
])
@pytest.mark.parametrize("builder", [DeepLabV3, DeepLabV3Plus])
def test_bad_input(builder, options, message):
    with pytest.raises(ValueError) as caught:
        builder(**{"classes": 2, "encoder_name": "mobilenetv2", **options})
    assert str(caught.value) == message


def test_backbones_without_a_stage_are_refused():
    for builder, levels, options, sentence in (
            (DeepLabV3, (1, 2, 3, 4), {}, "must have the stages c5 for DeepLabV3 (it lacks c5)"),
            (DeepLabV3, (1, 2, 3, 5), {"aux": True}, "must have the stages c4, c5 for DeepLabV3 (it lacks c4)"),
            (DeepLabV3Plus, (3, 4, 5), {}, "must have the stages c2, c5 for DeepLabV3Plus (it lacks c2)"),
            (DeepLabV1, (1, 2, 3, 4), {}, "must have the stages c5 for DeepLab v1 and v2 (it lacks c5)"),
            (DeepLabV2, (1, 2, 3, 4), {}, "must have the stages c5 for DeepLab v1 and v2 (it lacks c5)")):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            builder(2, tiny_backbone(levels), output_stride=32, **options)


def test_a_depthwise_backbone_object_makes_the_head_separable():
    model = DeepLabV3Plus(2, depthwise_backbone(), output_stride=32)
    assert any(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in model.layers)
    plain = DeepLabV3Plus(2, tiny_backbone(), output_stride=32)
    assert not any(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in plain.layers)


def depthwise_backbone():
    pixels = keras.Input((None, None, 3))
    features, outputs = pixels, {}
    for level in range(1, 6):
        features = keras.layers.DepthwiseConv2D(3, strides=2, padding="same")(features)
        outputs[f"P{level}"] = features
    model = keras.Model(pixels, features)
    model.pyramid_outputs = outputs
    return model


def test_bad_rates(tiny):
    with pytest.raises(TypeError, match="`rates` must be a tuple of numbers, got rates=6. Write for"):
        DeepLabV3(2, "resnet18", rates=6)
    with pytest.raises(ValueError) as caught:
        DeepLabV3(2, "resnet18", rates=(6, 0))
    assert str(caught.value) == ("`rates` must be a positive integer, got rates=0. "
                                 "Give whole feature pixels at output stride 16.")
