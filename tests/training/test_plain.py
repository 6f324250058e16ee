"""Plain training: the network of a recipe, compiled, frozen and of the data's bands."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg import models
from kseg.data import shapes
from kseg.training import TrainingRecipe
from kseg.training.plain import PlainTraining
from kseg.training.splits import Splits
from tests.training.tiny import tiny_builder


def _fitted(recipe):
    training = PlainTraining(recipe)
    return training.fitted(Splits.open(recipe, training.channels), 10)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", None])
def test_the_model_of_a_recipe(monkeypatch, policy):
    monkeypatch.setattr(models, "PSPNet", tiny_builder, raising=False)
    fitted = _fitted(TrainingRecipe(mixed_precision=policy, freeze_encoder=True))
    model = fitted.segmenter
    assert keras.config.dtype_policy().name == "float32"
    assert model.get_layer("hidden").compute_dtype == (policy or "mixed_float32").removeprefix("mixed_")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
    assert not model.encoder.trainable_weights and model.label_set == shapes.label_set()
    assert fitted.score.classes == 5 and fitted.model is model
    again = _fitted(TrainingRecipe(mixed_precision=policy)).segmenter
    for one, other in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(one, other)  # one seed, one initial state


def test_the_programs_own_random_numbers_go_on_as_they_were(monkeypatch):
    monkeypatch.setattr(models, "PSPNet", tiny_builder, raising=False)

    def drawn(between):
        keras.utils.set_random_seed(3)
        between()
        return random.random(), np.random.random(), float(tf.random.uniform([]))

    fitted = []
    assert drawn(lambda: None) == drawn(lambda: fitted.append(_fitted(TrainingRecipe(seed=1)).segmenter))
    keras.utils.set_random_seed(4)
    again = _fitted(TrainingRecipe(seed=1)).segmenter
    for one, other in zip(fitted[0].get_weights(), again.get_weights()):
        np.testing.assert_array_equal(one, other)  # whatever the global seeds


def test_bands_of_data_and_model_must_agree():
    with pytest.raises(ValueError) as error:
        _fitted(TrainingRecipe(model_options={"in_channels": 1}, data_options={"channels": 3}))
    assert str(error.value) == ("`channels` must be the model's in_channels, 1, got channels=3. "
                                "Set both to the bands of the images.")
