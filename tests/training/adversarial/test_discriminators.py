"""Discriminators: parameter counts of the paper's networks, receptive fields by gradient, errors."""

import numpy as np
import pytest
import tensorflow as tf

from kseg.training import LargeFOV, SmallFOV, discriminator


@pytest.mark.parametrize("name, classes, encoding, count", [
    ("LargeFOV", 21, "basic", 2_351_170), ("LargeFOV", 21, "product", 2_387_458),
    ("LargeFOV-light", 21, "scaling", 871_490), ("LargeFOV-light", 21, "product", 907_778),
    ("SmallFOV", 21, "basic", 1_572_802), ("SmallFOV", 21, "product", 1_609_090),
    ("SmallFOV-light", 21, "basic", 490_434), ("SmallFOV-light", 21, "product", 526_722),
    ("Stanford", 8, "basic", 1_671_874)])
def test_parameter_counts(name, classes, encoding, count):
    model = discriminator(name, classes, encoding)
    assert model.count_params() == count
    assert model.outputs[0].shape == (None, 2)


@pytest.mark.parametrize("build, light, side", [
    (LargeFOV, False, 34), (LargeFOV, True, 34), (SmallFOV, False, 18), (SmallFOV, True, 18)])
def test_receptive_field_by_gradient(build, light, side):
    model = build(1, light=light)
    maps = tf.constant(np.random.default_rng(0).random((1, 56, 56, 1)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        values = maps
        for layer in model.layers[1:]:
            if layer.name != "logits":
                values = layer(values)
        middle = tf.reduce_sum(values[:, 7, 7])
    slope = tape.gradient(middle, maps)[0, :, :, 0].numpy()
    rows, columns = np.nonzero(slope)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (side, side)


def test_logits_are_the_mean_of_the_scores_at_any_size():
    model = SmallFOV(3, light=True)
    maps = np.random.default_rng(0).random((2, 13, 22, 3)).astype("float32")
    values = maps
    for layer in model.layers[1:-1]:
        values = layer(values)
    assert values.shape == (2, 4, 6, 2)
    np.testing.assert_allclose(model(maps), np.mean(values, axis=(1, 2)), rtol=1e-5, atol=1e-6)


def test_error_sentences():
    with pytest.raises(ValueError) as caught:
        discriminator("LargeFOW", 3)
    assert str(caught.value) == (
        "`discriminator` must be one of ('LargeFOV', 'LargeFOV-light', 'SmallFOV', 'SmallFOV-light', 'Stanford'), "
        "got discriminator='LargeFOW'. Did you mean 'LargeFOV'?")
    with pytest.raises(ValueError) as caught:
        discriminator("Stanford", 3, "product")
    assert str(caught.value) == (
        "`label_encoding` must be one of ('basic', 'scaling') for discriminator 'Stanford', got "
        "label_encoding='product'. It sees the image in a branch of its own.")
