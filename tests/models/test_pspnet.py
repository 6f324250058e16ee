"""PSPNet is the published network."""

import re

import numpy as np
import pytest
import tensorflow as tf

from kseg.models import PSPNet
from kseg.models.pspnet import pyramid_pooling
from tests.conftest import without_values
from tests.models.tiny_backbone import tiny_backbone

# The plain stem has 7x7x3x64 and BN 2 x 64 in the place of 3x3x3x64 + 3x3x64x64 + 3x3x64x128 and BN 2 x 256, before a
# first unit that reads 64 channels instead of 128 in its 1x1 (x 64) and its shortcut (x 256).
DEEP_STEM = 1_728 + 36_864 + 73_728 + 512 + 64 * 64 + 64 * 256
PLAIN_STEM = 9_408 + 128


def counts(model):
    def total(weights):
        return sum(int(np.prod(weight.shape)) for weight in weights if "seed_generator" not in weight.path)
    return total(model.trainable_variables), total(model.non_trainable_variables)


@pytest.mark.parametrize("encoder_name, aux, expected", [  # released code, 21 classes
    ("resnet50deep", False, (46_716_373, 58_624)),
    ("resnet50deep", True, (49_081_578, 59_136)),
    ("resnet101deep", False, (65_708_501, 110_848)),
    ("resnet152deep", False, (81_352_149, 156_928)),
])
def test_parameters_of_the_paper(encoder_name, aux, expected):
    assert counts(without_values(PSPNet, 21, encoder_name, aux=aux, compile=False)) == expected


def test_parameters_with_the_plain_stem():
    # The deep stem's statistics: 2 x (64 + 64 + 128) against 2 x 64.
    assert counts(without_values(PSPNet, classes=21, compile=False)) == (46_716_373 - DEEP_STEM + PLAIN_STEM,
                                                                         58_624 - 512 + 128)


def test_pyramid_levels_have_a_quarter_of_the_channels():
    features = tf.keras.Input((12, 18, 64))
    assert pyramid_pooling(features, (1, 2, 3, 6)).shape == (None, 12, 18, 64 + 4 * 16)


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_output_stride_and_size(output_stride):
    model = PSPNet(4, "efficientnetlite0", output_stride=output_stride)
    assert model.encoder(np.zeros((1, 64, 96, 3)))["c5"].shape[1:3] == (64 // output_stride, 96 // output_stride)
    assert model(np.zeros((1, 65, 97, 3), "uint8")).shape == (1, 65, 97, 4)


def test_auxiliary_head_trains_and_is_gone_at_inference():
    model = PSPNet(3, tiny_backbone(), aux=True, output_stride=32, filters=8)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3)).astype("uint8")
    labels = (pixels[..., 0] // 86).astype("int32")
    before = [np.array(weight) for weight in model.trainable_variables if "aux" in weight.path]
    logs = model.fit(pixels, labels, verbose=0).history
    after = [np.array(weight) for weight in model.trainable_variables if "aux" in weight.path]
    assert before and all(np.abs(new - old).max() > 0 for old, new in zip(before, after))
    assert logs["aux_loss"][0] > 0 and logs["loss"][0] > 0.4 * logs["aux_loss"][0]
    assert model(pixels).shape == (2, 64, 64, 3) and model.predict(pixels, verbose=0).shape == (2, 64, 64, 3)
    assert "aux_loss" not in model.evaluate(pixels, labels, verbose=0, return_dict=True)


def test_auxiliary_loss_counts_with_its_weight():
    model = PSPNet(3, tiny_backbone(), aux=True, aux_weight=0.25, dropout=0, output_stride=32, filters=8)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3)).astype("uint8")
    labels = (pixels[..., 0] // 86).astype("int32")
    main, aux = model(pixels, training=True)
    loss = model.compute_loss(pixels, labels, [main, aux])
    from kseg.losses import CrossEntropy

    expected = CrossEntropy()(labels, main) + 0.25 * CrossEntropy()(labels, aux)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_bad_arguments():
    for bins in ((), 3):
        with pytest.raises(ValueError, match=re.escape(f"must be a tuple of at least one number, got bins={bins}.")):
            PSPNet(3, tiny_backbone(), output_stride=32, bins=bins)
    with pytest.raises(ValueError, match="`bins` must be a positive integer, got bins=0"):
        PSPNet(3, tiny_backbone(), output_stride=32, bins=(0, 2))
    with pytest.raises(ValueError, match=re.escape("must have the stages c5 for PSPNet (it lacks c5)")):
        PSPNet(3, tiny_backbone((1, 2, 3, 4)), output_stride=32)
    with pytest.raises(ValueError, match=re.escape("must have the stages c4, c5 for PSPNet (it lacks c4)")):
        PSPNet(3, tiny_backbone((1, 2, 3, 5)), output_stride=32, aux=True)
    with pytest.raises(ValueError, match=re.escape(
            "`output_stride` must be one of (8, 16, 32) for encoder 'mobilenetv2', got output_stride=4. "
            "Use 8 for its densest features.")):
        PSPNet(3, "mobilenetv2", output_stride=4)
    with pytest.raises(ValueError, match=re.escape("got encoder_name='resnet5O'. Did you mean 'resnet50'?")):
        PSPNet(3, "resnet5O")
    with pytest.raises(ValueError, match=re.escape(
            "`image_size` must be two positive integers (height, width), or None for any size, got image_size=384. "
            "Write for example image_size=(384, 512).")):
        PSPNet(3, image_size=384)
    with pytest.raises(ValueError, match=re.escape(
            "`classes` must be an integer of at least 2, got classes=1. Count the classes without the ignore class; "
            'background and one kind of object are 2, or classes=1 with task="binary".')):
        PSPNet(1)
