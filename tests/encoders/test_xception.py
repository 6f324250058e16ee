import functools

import keras
import numpy as np
import pytest

from kseg.encoders.xception import VARIANTS, xception
from tests.conftest import without_values

COUNTS = {  # trainable, moving statistics: arithmetic over the block table of the released network
    "xception41": (24_920_560, 115_312),
    "xception65": (37_867_312, 185_200),
    "xception71": (40_289_736, 198_976),
}


@functools.lru_cache(maxsize=3)  # building one takes seconds
def features_model(name, output_stride):
    pixels = keras.Input((None, None, 3))
    return keras.Model(pixels, xception(name, output_stride, pixels))


def size_of(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def picture(height, width):
    """Waves of several lengths and a step: every position differs from its neighbours."""
    y, x = np.mgrid[:height, :width]
    bands = [np.sin(x / 7 + y / 11), np.cos(x * y / 160), np.where(x > width // 3, 0.8, -0.6)]
    return np.stack(bands, axis=-1)[None].astype("float32")


def awaken(model):
    """Give batch normalisation statistics and weights of its own, so that its place in the graph matters."""
    generator = np.random.RandomState(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            channels = layer.gamma.shape[0]
            layer.set_weights([generator.uniform(0.5, 1, channels), generator.normal(0, 0.2, channels),
                               generator.normal(0, 0.1, channels), generator.uniform(0.8, 1.5, channels)])


def assert_counts(model, name):
    assert (size_of(model.trainable_variables), size_of(model.non_trainable_variables)) == COUNTS[name]


def assert_consistent(name, output_stride, sizes):
    """Features at a smaller output stride, subsampled, equal those at the largest one with the same weights."""
    strided, dense = features_model(name, 32), features_model(name, output_stride)
    awaken(strided)
    dense.set_weights(strided.get_weights())
    steps = {"c1": 1, "c2": 1, "low_level": 1, "c3": 1, "c4": max(1, 16 // output_stride), "c5": 32 // output_stride}
    for height, width in sizes:
        pixels = picture(height, width)
        expected, got = strided(pixels, training=False), dense(pixels, training=False)
        for stage, step in steps.items():
            reference, subsampled = expected[stage].numpy(), got[stage].numpy()[:, ::step, ::step]
            assert subsampled.shape == reference.shape
            error = np.abs(subsampled - reference).max() / np.abs(reference).max()
            assert error < 1e-4, (name, output_stride, height, width, stage, error)


def assert_rates(model, output_stride, rates):
    """Section 3.2 of DeepLab v3 and the released network: all three convolutions of a module share one rate."""
    for module, rate in zip(("entry1", "middle1", "exit1", "exit2"), rates):
        for index in (1, 2, 3):
            depthwise = model.get_layer(f"{module}_separable{index}_depthwise")
            assert depthwise.dilation_rate == (rate, rate), (output_stride, module, index)


def shortened(monkeypatch, name):
    """Have "short" built as `name` with one of its 8 or 16 equal modules in the middle."""
    monkeypatch.setitem(VARIANTS, "short", (VARIANTS[name][0], 1))
    features_model.cache_clear()


def test_one_middle_module_at_8(monkeypatch):
    shortened(monkeypatch, "xception41")
    assert_rates(features_model("short", 8), 8, (1, 2, 2, 4))
    assert_rates(features_model("short", 32), 32, (1, 1, 1, 1))
    assert_consistent("short", 8, [(64, 96), (65, 51)])
    features = features_model("short", 8)(picture(65, 96))
    assert {stage: tuple(value.shape[1:]) for stage, value in features.items()} == {
        "c1": (33, 48, 64), "c2": (17, 24, 128), "low_level": (17, 24, 256), "c3": (9, 12, 256), "c4": (9, 12, 728),
        "c5": (9, 12, 2048)}
    assert float(features["low_level"].numpy().min()) < 0  # before its ReLU


@pytest.mark.slow
def test_one_middle_module_at_16(monkeypatch):
    shortened(monkeypatch, "xception41")
    assert_rates(features_model("short", 16), 16, (1, 1, 1, 2))
    assert_consistent("short", 16, [(64, 96), (65, 51)])


@pytest.mark.slow
def test_the_longer_entry_of_xception71(monkeypatch):
    shortened(monkeypatch, "xception71")
    assert_consistent("short", 8, [(66, 97)])
    assert features_model("short", 8)(picture(33, 33))["low_level"].shape == (1, 9, 9, 256)


@pytest.mark.parametrize("name", COUNTS)
def test_variants(name):
    """They differ in their tables alone; what the numbers of the table make is tried on the shortened ones."""
    model = without_values(features_model.__wrapped__, name, 8)
    assert_counts(model, name)
    assert_rates(model, 8, (1, 2, 2, 4))
    assert model.output["low_level"].shape[-1] == 256


@pytest.mark.parametrize("name, output_stride, message", [
    ("xception65", 4, "`output_stride` must be one of (8, 16, 32) for encoder 'xception65', got output_stride=4. "
                      "Use 16 to train and 8 for the densest features."),
    ("xception66", 16, "`encoder_name` must be one of ('xception41', 'xception65', 'xception71'), "
                       "got encoder_name='xception66'. Did you mean 'xception65'?"),
])
def test_bad_input(name, output_stride, message):
    with pytest.raises(ValueError) as caught:
        features_model(name, output_stride)
    assert str(caught.value) == message
