"""Encoders: names, features, bands, and equality with the library's own network."""

import re

import keras
import numpy as np
import pytest

from kseg.encoders import build_encoder, canonical_name, names, parameter_count, table
from kseg.encoders.families import ENCODERS
from tests.conftest import structured_image


def test_spellings_of_keras_and_smp():
    assert canonical_name("ResNet50") == "resnet50" == canonical_name("resnet_50")
    assert canonical_name("tu-efficientnet-lite0") == "efficientnetlite0"
    assert canonical_name("mobilenet_v2") == "mobilenetv2" == canonical_name("MobileNetV2")


def test_table_has_every_name():
    assert [row["name"] for row in table()] == list(names())
    assert len(names()) > 50 and all(row["output_strides"] for row in table())


@pytest.mark.parametrize("name", ["efficientnetlite0", "mobilenetv2", "vgg16",
                                  pytest.param("convnexttiny", marks=pytest.mark.slow)])
def test_features_have_rounded_up_sizes(name):
    features = build_encoder(name)(structured_image(97, 129)[None])
    for key, value in features.items():
        stride = 4 if key == "low_level" else 2 ** int(key[1])
        assert value.shape[1:3] == (-(-97 // stride), -(-129 // stride)), key


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2", "efficientnetb0", "densenet121", "convnexttiny",
                                  "vgg16", "mobilenetv3large"])
def test_clone_equals_the_library_network(name):
    """At an even size and stride 32 the clone is the library's network, its preprocessing included."""
    keras.utils.set_random_seed(3)
    row = ENCODERS[name]
    library = row.build()
    keras.utils.set_random_seed(3)
    encoder = build_encoder(name)
    tap = row.taps["c5"]
    last = [layer for layer in library.layers if layer.name.startswith(tap.rstrip("*"))][-1]
    probe = keras.Model(library.input, last.output)
    by_name = {layer.name: layer for layer in encoder.layers}
    for layer in probe.layers:
        for ours, theirs in _layer_pairs(layer, by_name):
            ours.set_weights(theirs.get_weights())
    image = structured_image(512, 512)[None].astype("float32")
    mean, std = (np.array(value, "float32") for value in row.pixels)
    keeps_own_preprocessing = name == "efficientnetb0"  # Rescaling and an identity Normalization inside the library
    pixels = image if keeps_own_preprocessing else (image - mean) / std
    if keeps_own_preprocessing:
        encoder.get_layer("normalize").mean, encoder.get_layer("normalize").std = [0.0] * 3, [255.0] * 3
    expected = np.asarray(probe(pixels))
    np.testing.assert_allclose(encoder(image)["c5"], expected, atol=2e-4 * np.abs(expected).max())


def _layer_pairs(layer, by_name):
    if isinstance(layer, keras.Sequential):
        return [pair for inner in layer.layers for pair in _layer_pairs(inner, by_name)]
    return [(by_name[layer.name], layer)] if layer.weights and layer.name in by_name else []


@pytest.mark.slow
def test_one_and_six_bands_answer_as_a_grey_rgb_image(tmp_path):
    grey = structured_image(64, 64)[None][..., :1]
    rgb = build_encoder("mobilenetv2")
    path = str(tmp_path / "m.npz")
    from kseg.encoders.weights import save_arrays

    save_arrays(rgb, path)
    expected = np.asarray(rgb(np.repeat(grey, 3, -1))["c3"])
    for bands in (1, 2, 4, 6):
        keras.backend.clear_session()
        encoder = build_encoder("mobilenetv2", in_channels=bands, encoder_weights=path)
        np.testing.assert_allclose(encoder(np.repeat(grey, bands, -1))["c3"], expected, atol=1e-4, err_msg=str(bands))


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_backbone_object_plugs_in_by_its_pyramid(bands):
    inputs = keras.Input((None, None, bands))
    outputs, tensors = inputs, {}
    for level in range(1, 6):
        outputs = keras.layers.Conv2D(4 * level, 3, strides=2, padding="same")(outputs)
        tensors[f"P{level}"] = outputs
    backbone = keras.Model(inputs, outputs)
    backbone.pyramid_outputs = tensors
    features = build_encoder(backbone, in_channels=bands)(structured_image(64, 64, bands)[None])
    assert [features[f"c{level}"].shape[-1] for level in range(1, 6)] == [4, 8, 12, 16, 20]
    with pytest.raises(ValueError, match="`output_stride` must be one of \\(32,\\) for a backbone object"):
        build_encoder(backbone, output_stride=8, in_channels=bands)


def test_bad_weights(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="`encoder_weights` must be the path of a file, got encoder_weights="):
        build_encoder("mobilenetv2", encoder_weights=str(tmp_path / "none.npz"))
    with pytest.raises(ValueError, match=re.escape(
            "`encoder_weights` must be None, 'imagenet' or the path of a file (.weights.h5, .npz, .safetensors), "
            "got encoder_weights='imagnet'. Check the spelling.")):
        build_encoder("mobilenetv2", encoder_weights="imagnet")
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(ValueError, match="must be a readable file.*The file is damaged"):
        build_encoder("mobilenetv2", encoder_weights=str(broken))
    other = tmp_path / "other.npz"
    np.savez(other, **{"conv/kernel": np.zeros((3, 3, 3, 8))})
    with pytest.raises(ValueError, match="must hold every array of encoder 'mobilenetv2'"):
        build_encoder("mobilenetv2", encoder_weights=str(other))
    with pytest.raises(ValueError, match="whose library offers no ImageNet weights, got encoder_weights='imagenet'"):
        build_encoder("efficientnetlite0", encoder_weights="imagenet")


def test_no_network_for_imagenet(monkeypatch):
    def offline(*arguments, **keywords):
        raise Exception("URL fetch failure: Name or service not known")
    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(ConnectionError, match=re.escape(
            "`encoder_weights` must be downloadable when it is 'imagenet' (keras.applications could not fetch "
            "'mobilenetv2'), got encoder_weights='imagenet'. Connect to the internet once (the file is cached), pass "
            "the path of a weights file (.weights.h5, .npz, .safetensors), or use encoder_weights=None.")):
        build_encoder("mobilenetv2", encoder_weights="imagenet")


@pytest.mark.slow
def test_weights_files_round_trip(tmp_path):
    from safetensors.numpy import save_file

    from kseg.encoders.weights import save_arrays

    source = build_encoder("mobilenetv2")
    arrays = {variable.path: np.ascontiguousarray(variable) for variable in source.variables}
    source.save_weights(tmp_path / "m.weights.h5")
    save_arrays(source, str(tmp_path / "m.npz"))
    save_file(arrays, str(tmp_path / "m.safetensors"))
    image = structured_image(64, 64)[None]
    expected = np.asarray(source(image)["c5"])
    for name in ("m.weights.h5", "m.npz", "m.safetensors"):
        keras.backend.clear_session()
        encoder = build_encoder("mobilenetv2", encoder_weights=str(tmp_path / name))
        np.testing.assert_allclose(encoder(image)["c5"], expected, atol=1e-5, err_msg=name)


def test_pytorch_names_of_efficientnet_lite(tmp_path):
    """Arrays under PyTorch's names and layouts give what the same arrays give under Keras's."""
    encoder = build_encoder("efficientnetlite0")
    random = np.random.default_rng(0)
    torch_arrays, blocks = {}, []
    for variable in encoder.variables:
        variable.assign(np.asarray(variable) + 0.01 * random.random(variable.shape).astype("float32"))
        layer, kind = variable.path.split("/")
        if layer.startswith("block"):
            block = layer.split("_")[0]
            blocks = blocks if block in blocks else [*blocks, block]
            prefix = f"_blocks.{blocks.index(block)}."
        part = layer.split("_", 1)[1]
        module = {"stem_conv": "_conv_stem", "stem_bn": "_bn0"}.get(layer) or prefix + {
            "expand_conv": "_expand_conv", "expand_bn": "_bn0", "dwconv": "_depthwise_conv", "bn": "_bn1",
            "project_conv": "_project_conv", "project_bn": "_bn2"}[part]
        value = np.asarray(variable)
        if value.ndim == 4:
            value = value.transpose(2, 3, 0, 1) if part == "dwconv" else value.transpose(3, 2, 0, 1)
            kind = "weight"
        kind = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
                "moving_variance": "running_var"}.get(kind, kind)
        torch_arrays[f"{module}.{kind}"] = value
    np.savez(tmp_path / "torch.npz", **torch_arrays, **{"_fc.weight": np.zeros((2, 3))})
    image = structured_image(64, 96)[None]
    expected = np.asarray(encoder(image)["c5"])
    keras.backend.clear_session()
    loaded = build_encoder("efficientnetlite0", encoder_weights=str(tmp_path / "torch.npz"))
    np.testing.assert_allclose(loaded(image)["c5"], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenetv2", "resnet18", "efficientnetlite0"])
def test_table_counts_parameters(name):
    assert next(row["parameters"] for row in table() if row["name"] == name) == parameter_count(name)


@pytest.mark.slow
def test_mit_runs_at_its_own_strides_and_says_so():
    features = build_encoder("mit_b0", image_size=(64, 64))(structured_image(64, 64)[None])
    assert {key: value.shape[1] for key, value in features.items()} == {"c2": 16, "c3": 8, "c4": 4, "c5": 2}
    with pytest.raises(ValueError, match=re.escape(
            "`image_size` must be square with sides divisible by 32 for encoder 'mitb0', got image_size=(None, None). "
            "Write for example image_size=(512, 512), or choose an encoder that takes any size.")):
        build_encoder("mitb0")
    with pytest.raises(ValueError, match=re.escape("`output_stride` must be one of (32,) for encoder 'mitb0', got")):
        build_encoder("mitb0", output_stride=8, image_size=(64, 64))
