"""AdamW in one operation per weight equals Keras's: in a traced step, with its options, and saved."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg.models.assembly import finish, pixels_input
from kseg.models.blocks import classify
from kseg.models.fused_adamw import FusedAdamW

SHAPES = (3, 3, 2, 4), (4,), (5,)


def _weights():
    keras.utils.set_random_seed(2)
    return [keras.Variable(np.random.normal(size=shape), dtype="float32", name=f"weight_{index}")
            for index, shape in enumerate(SHAPES)]


def _trained(optimizer, spared=()):
    """Return weights and state after six traced steps; the gradients, alike for all, reach from 1e-6 to 10."""
    weights, random = _weights(), np.random.default_rng(0)
    if spared:
        optimizer.exclude_from_weight_decay(var_names=list(spared))
    optimizer.build(weights)
    step = tf.function(lambda *gradients: optimizer.apply(list(gradients), weights))
    for _ in range(6):
        step(*(tf.constant(random.normal(size=shape) * 10.0 ** random.uniform(-6, 1, shape), "float32")
               for shape in SHAPES))
    return [one.numpy() for one in (*weights, *optimizer.variables)]


@pytest.mark.parametrize("options", [
    {}, {"weight_decay": 0.0}, {"amsgrad": True}, {"clipnorm": 0.5}, {"use_ema": True, "ema_momentum": 0.9},
    {"gradient_accumulation_steps": 2}, {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3},
    {"learning_rate": "schedule"}], ids=str)
def test_equals_keras(options):
    options = {"learning_rate": 0.05, "weight_decay": 0.1, **options}
    if options["learning_rate"] == "schedule":
        options["learning_rate"] = keras.optimizers.schedules.PolynomialDecay(0.05, 4)
    for own, of_keras in zip(_trained(FusedAdamW(**options)), _trained(keras.optimizers.AdamW(**options)), strict=True):
        np.testing.assert_allclose(own, of_keras, rtol=2e-5, atol=1e-6)


def test_spares_what_is_excluded_from_decay():
    first, *_ = _trained(FusedAdamW(0.05, weight_decay=0.5), spared=["weight_0"])
    expected, *_ = _trained(keras.optimizers.AdamW(0.05, weight_decay=0.5), spared=["weight_0"])
    np.testing.assert_allclose(first, expected, rtol=2e-5, atol=1e-6)
    decayed, *_ = _trained(FusedAdamW(0.05, weight_decay=0.5))
    assert np.abs(first - decayed).max() > 0.01


def test_a_step_holds_one_operation_per_weight():
    weights, optimizer = _weights(), FusedAdamW(0.05, weight_decay=0.0)
    optimizer.build(weights)
    step = tf.function(lambda: optimizer.apply([tf.ones(shape) for shape in SHAPES], weights))
    kinds = [one.type for one in step.get_concrete_function().graph.get_operations()]
    assert kinds.count("ResourceApplyAdam") == 3 and "Sqrt" not in kinds


def _model():
    pixels = pixels_input(3, (None, None), 3)
    features = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")(pixels)
    return finish(pixels, classify(features, 3, like=pixels), compile=True, name="small")


@pytest.mark.parametrize("kind", [FusedAdamW, keras.optimizers.AdamW])
def test_a_saved_model_goes_on_with_its_optimiser(tmp_path, kind):
    """Models are compiled with the fused one; what was saved with Keras's keeps that."""
    model, images = _model(), np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3))
    labels = images[..., 0] // 86
    if kind is keras.optimizers.AdamW:
        model.compile(kind(1e-3, weight_decay=1e-4), kseg.losses.CrossEntropy())
    model.train_on_batch(images, labels)
    model.save(tmp_path / "model.keras")
    again = kseg.load_model(tmp_path / "model.keras")
    assert type(model.optimizer) is type(again.optimizer) is kind and again.optimizer.weight_decay == 1e-4
    for one in (model, again):
        one.train_on_batch(images, labels)
    for own, loaded in zip([*model.weights, *model.optimizer.variables], [*again.weights, *again.optimizer.variables],
                           strict=True):
        np.testing.assert_allclose(own.numpy(), loaded.numpy(), rtol=1e-5, atol=1e-7)
