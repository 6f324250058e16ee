"""ResNet is torchvision's and timm's: the same features from the same weights, under their names."""

import dataclasses
import json
import os

import numpy as np
import pytest

from kseg.encoders import build_encoder
from kseg.encoders.assign import assign_arrays
from kseg.encoders.families import ENCODERS
from kseg.encoders.torch_names import keras_names
from tests.conftest import without_values
from tests.data.golden.weights import draw_all, picture, sample
from tests.encoders.test_atrous_consistency import randomize

GOLDEN = os.path.join(os.path.dirname(__file__), "..", "data", "golden")
SLOW = ("resnet101", "resnet101_at_8", "resnet152", "resnet50deep", "resnet50v1c")
# Trainable and moving statistics of torchvision's networks without "fc", and of timm's resnet50s and resnet50c.
COUNTS = {"resnet18": (11_176_512, 9_600), "resnet34": (21_284_672, 17_024), "resnet50": (23_508_032, 53_120),
          "resnet101": (42_500_160, 105_344), "resnet152": (58_143_808, 151_424), "resnet50deep": (23_631_808, 53_504),
          "resnet50v1c": (23_527_264, 53_248)}


def golden(name):
    """Return (the network's weights under PyTorch's names, the answers by "HxW/key")."""
    with np.load(os.path.join(GOLDEN, f"resnet_{name}.npz")) as archive:
        answers = dict(archive)
    return draw_all(json.loads(answers.pop("shapes").tobytes())), answers


def encoder_of(name, weights):
    encoder_name, _, stride = name.partition("_at_")
    encoder = build_encoder(encoder_name, int(stride or 32))
    assign_arrays(encoder, keras_names(weights, encoder, ENCODERS[encoder_name]), name, ENCODERS[encoder_name])
    return encoder


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet50_at_8", *(
    pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_features_equal_those_of_torch(name):
    weights, answers = golden(name)
    encoder = encoder_of(name, weights)
    for height, width in ((97, 129), (128, 128), (225, 225)):
        features = encoder(picture(height, width)[None])
        assert sorted(features) == ["c1", "c2", "c3", "c4", "c5"]
        for key, value in features.items():
            expected = answers[f"{height}x{width}/{key}"]
            actual = np.asarray(value)[0]
            assert actual.shape == tuple(answers[f"{height}x{width}/{key}/shape"]), key
            error = np.abs(sample(actual) - expected).max() / np.abs(expected).max()
            assert error < 1e-4, (height, width, key, error)


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_torchvision_and_timm(name):
    encoder = without_values(build_encoder, name)
    trainable, statistics = (sum(int(np.prod(weight.shape)) for weight in weights)
                             for weights in (encoder.trainable_variables, encoder.non_trainable_variables))
    assert (trainable, statistics) == COUNTS[name]
    assert ENCODERS[name].parameters == trainable + statistics


@pytest.mark.parametrize("bands", [1, 3])
def test_a_file_of_torchvision_loads(bands, tmp_path):
    """All arrays of the checkpoint, the classifier's and the counters too, in its own names and layouts."""
    weights, _ = golden("resnet18")
    assert {"fc.weight", "fc.bias", "bn1.num_batches_tracked"} < set(weights)
    np.savez(tmp_path / "resnet18.npz", **weights)
    loaded = build_encoder("resnet18", encoder_weights=tmp_path / "resnet18.npz", in_channels=bands)
    grey = picture(64, 96)[None][..., :1]
    expected = encoder_of("resnet18", weights)(np.repeat(grey, 3, -1))["c5"]
    np.testing.assert_allclose(loaded(np.repeat(grey, bands, -1))["c5"], expected, rtol=1e-4,
                               atol=1e-5 * np.abs(expected).max())


def rows_of_four_units(monkeypatch):
    """Shorten resnet34 and resnet50deep to the units that differ, so that they are built in no time."""
    for name, units in (("resnet34", (1, 2, 2, 2)), ("resnet50deep", (1, 1, 2, 3))):
        monkeypatch.setitem(ENCODERS, name, dataclasses.replace(ENCODERS[name], units=units))


@pytest.mark.parametrize("name, output_stride", [
    ("resnet34", 8), ("resnet34", 16), ("resnet50deep", 8),
    pytest.param("resnet50deep", 16, marks=pytest.mark.slow)])
def test_dense_features_lie_on_the_pixels_of_the_strided_ones(name, output_stride, monkeypatch):
    """Stricter than test_atrous_consistency: symmetric padding has one phase, the first pixel, at every size."""
    rows_of_four_units(monkeypatch)
    strided, dense = build_encoder(name, 32), build_encoder(name, output_stride)
    randomize(strided)
    dense.set_weights(strided.get_weights())
    for height, width in ((64, 96), (65, 51)):
        expected, actual = strided(picture(height, width)[None]), dense(picture(height, width)[None])
        for key, stride in (("c1", 2), ("c2", 4), ("c3", 8), ("c4", 16), ("c5", 32)):
            rate = max(1, stride // output_stride)
            coarse, picked = np.asarray(expected[key]), np.asarray(actual[key])[:, ::rate, ::rate]
            assert picked.shape == coarse.shape == (1, -(-height // stride), -(-width // stride), coarse.shape[-1])
            assert np.abs(picked - coarse).max() < 1e-4 * coarse.std(), (key, height, width)


@pytest.mark.parametrize("output_stride, multi_grid, fourth, fifth", [
    (8, None, {1, 2}, [2, 4, 4]),
    (8, (1, 1, 1), {1, 2}, [2, 4, 4]),  # the same: off
    (8, (1, 2, 4), {1, 2}, [4, 8, 16]),  # DeepLab v3 section 4.1
    (16, None, {1}, [1, 2, 2]),
    (16, (1, 2, 4), {1}, [2, 4, 8]),
    (32, (1, 2, 4), {1}, [1, 2, 4]),
])
def test_rates(output_stride, multi_grid, fourth, fifth, monkeypatch):
    rows_of_four_units(monkeypatch)
    encoder = without_values(build_encoder, "resnet50deep", output_stride, multi_grid=multi_grid)
    assert {encoder.get_layer(f"layer3_{unit}_conv2").dilation_rate[0] for unit in (0, 1)} == fourth
    assert [encoder.get_layer(f"layer4_{unit}_conv2").dilation_rate[0] for unit in (0, 1, 2)] == fifth


def test_a_strided_convolution_has_no_multi_grid():
    with pytest.raises(ValueError) as caught:
        build_encoder("resnet50", 32, multi_grid=(2, 4, 8))
    assert str(caught.value) == (
        "`multi_grid` must begin with 1 at output stride 32, where c5's first unit is strided, got "
        "multi_grid=(2, 4, 8). Use (1, 2, 4), or output_stride=16 or 8.")


def test_deep_stems_under_the_names_of_each_library():
    """The arrays of timm's stem, called as mmsegmentation and semseg call them, become the same arrays of kseg."""
    stem = ("conv1.0", "conv1.1", "conv1.3", "conv1.4", "conv1.6", "bn1")
    timm, _ = golden("resnet50v1c")
    expected = keras_names(timm, None, ENCODERS["resnet50v1c"])
    assert "conv1_6/kernel" in expected and "fc/kernel" not in expected
    for names in (("stem.0", "stem.1", "stem.3", "stem.4", "stem.6", "stem.7"),
                  ("layer0.0", "layer0.1", "layer0.3", "layer0.4", "layer0.6", "layer0.7"),
                  ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3")):
        called = dict(zip(stem, names))
        arrays = {f"{called.get(module, module)}.{kind}": value
                  for (module, _, kind), value in ((key.rpartition("."), value) for key, value in timm.items())}
        actual = keras_names(arrays, None, ENCODERS["resnet50v1c"])
        assert set(actual) == set(expected)
        for key, value in expected.items():
            np.testing.assert_array_equal(actual[key], value, err_msg=f"{names[0]} {key}")
