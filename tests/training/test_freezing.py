"""Frozen parts stand still over a fit step, and stay frozen after saving."""

import keras
import numpy as np
import pytest

from kseg.models import Segmenter
from kseg.training import freeze_batch_normalization, freeze_encoder
from tests.training.tiny import tiny_builder


def _fit(model):
    generator = np.random.default_rng(0)
    pixels = generator.uniform(0, 255, (4, 16, 16, 3)).astype("float32")
    model.fit(pixels, generator.integers(0, 3, (4, 16, 16)).astype("int32"), verbose=0)


def _moved(model, before):
    """Return the paths of the weights that changed, without the layer's number."""
    return {weight.path for weight, old in zip(model.weights, before) if not np.array_equal(weight.numpy(), old)}


@pytest.mark.parametrize("saved", [False, True])
def test_frozen_encoder_keeps_weights_and_statistics(tmp_path, saved):
    model = freeze_encoder(tiny_builder(3))
    if saved:
        model.save(tmp_path / "model.keras")
        model = keras.models.load_model(tmp_path / "model.keras")
    before = [weight.numpy() for weight in model.weights]
    _fit(model)
    assert _moved(model, before) == {"hidden/kernel", "hidden/bias", "logits_scores/kernel", "logits_scores/bias"}


@pytest.mark.parametrize("saved", [False, True])
def test_frozen_batch_normalization_keeps_statistics_and_affine(tmp_path, saved):
    model = freeze_batch_normalization(tiny_builder(3))
    if saved:
        model.save(tmp_path / "model.keras")
        model = keras.models.load_model(tmp_path / "model.keras")
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
