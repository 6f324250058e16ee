"""Frozen parts stand still over a fit step, and stay frozen after saving."""

import keras
import numpy as np
import pytest

from kseg.models import Segmenter
from kseg.models.assembly import finish
from kseg.models.blocks import classify
from kseg.models.refinenet import _freeze_batch_norm
from kseg.training import freeze_batch_normalization, freeze_encoder
from tests.training.tiny import tiny_builder


def _fit(model):
    generator = np.random.default_rng(0)
    pixels = generator.uniform(0, 255, (4, 16, 16, 3)).astype("float32")
    model.fit(pixels, generator.integers(0, 3, (4, 16, 16)).astype("int32"), verbose=0)


def _moved(model, before):
    """Return the paths of the weights that changed, without the layer's number."""
    return {weight.path for weight, old in zip(model.weights, before) if not np.array_equal(weight.numpy(), old)}


def _reloaded(model, saved, folder):
    """Return `model`, or what is read back where it is `saved`."""
    if not saved:
        return model
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


@pytest.mark.parametrize("saved", [False, True])
def test_frozen_encoder_keeps_weights_and_statistics(tmp_path, saved):
    model = _reloaded(freeze_encoder(tiny_builder(3)), saved, tmp_path)
    before = [weight.numpy() for weight in model.weights]
    _fit(model)
    assert _moved(model, before) == {"hidden/kernel", "hidden/bias", "logits_scores/kernel", "logits_scores/bias"}


@pytest.mark.parametrize("saved", [False, True])
def test_an_encoder_thaws(tmp_path, saved):
    model = _reloaded(freeze_encoder(tiny_builder(3)), saved, tmp_path)
    model.encoder.trainable = True
    model.compile("sgd", model.loss)
    before = [weight.numpy() for weight in model.weights]
    _fit(model)
    assert len(_moved(model, before)) == len(model.weights)


@pytest.mark.parametrize("saved", [False, True])
def test_frozen_batch_normalization_keeps_statistics_and_affine(tmp_path, saved):
    model = _reloaded(freeze_batch_normalization(tiny_builder(3)), saved, tmp_path)
    before = [weight.numpy() for weight in model.weights]
    _fit(model)
    moved = _moved(model, before)
    assert not any(path.startswith("stem_bn") for path in moved)
    assert "stem/kernel" in moved and "hidden/kernel" in moved


def test_without_freezing_everything_moves():
    model = tiny_builder(3)
    before = [weight.numpy() for weight in model.weights]
    _fit(model)
    assert len(_moved(model, before)) == len(model.weights)


def test_a_model_without_these_parts_is_refused():
    pixels = keras.Input((8, 8, 3))
    model = Segmenter(pixels, keras.layers.Conv2D(3, 1)(pixels), name="plain")
    with pytest.raises(ValueError) as error:
        freeze_encoder(model)
    assert str(error.value) == ("`model` must have an encoder of its own, got model='plain'. "
                                "Set `trainable = False` on the layers to freeze instead.")
    with pytest.raises(ValueError) as error:
        freeze_batch_normalization(model)
    assert str(error.value) == ("`model` must hold batch normalisation, got model='plain'. There is nothing to freeze.")


@keras.saving.register_keras_serializable(package="test")
class _Block(keras.layers.Layer):
    """A convolution and its batch normalisation in one layer, as keras_cv has them."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.convolution = keras.layers.Conv2D(4, 3, strides=2, padding="same")
        self.normalization = keras.layers.BatchNormalization()

    def call(self, inputs, training=None):
        return self.normalization(self.convolution(inputs), training=training)


def test_batch_normalization_inside_layers_is_frozen_too():
    pixels = keras.Input((16, 16, 3))
    encoder = keras.Model(pixels, {"c5": _Block(name="block")(pixels)}, name="encoder")
    model = finish(pixels, classify(encoder(pixels)["c5"], 3, like=pixels), compile=True, name="blocks")
    before = [weight.numpy() for weight in freeze_batch_normalization(model).weights]
    _fit(model)
    moved = _moved(model, before)
    assert moved and not any("normalization" in path for path in moved)
    _freeze_batch_norm(encoder)
    assert encoder.get_layer("block").normalization.trainable is False
