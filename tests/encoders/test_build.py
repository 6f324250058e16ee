"""Encoders: names, features, bands, and equality with the library's own network."""

import dataclasses
import re

import keras
import numpy as np
import pytest

from kseg.encoders import build_encoder, canonical_name, names, parameter_count, table
from kseg.encoders.families import ENCODERS
from kseg.encoders.stem import adapt_stem
from kseg.encoders.weights import save_arrays
from tests.conftest import structured_image, without_values
from tests.encoders.test_atrous_consistency import randomize


def test_spellings_of_keras_and_smp():
    assert canonical_name("ResNet50") == "resnet50" == canonical_name("resnet_50")
    assert canonical_name("Keras-ResNet50") == "kerasresnet50"
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


# Not the library's Xception, whose convolutions without padding kseg pads; B0 stands for all of EfficientNet V2, as in
# the deeper ones, at random, a change of the pixels by 1e-6 already changes c5 by 5e-2.
SLOW_FAMILIES = ["kerasresnet50", "resnet50v2", "mobilenet", "mobilenetv2", "mobilenetv3small",
                 "mobilenetv3large", "efficientnetb0", "efficientnetv2b0", "efficientnetlite0", "densenet121",
                 "convnexttiny", "vgg16"]


@pytest.mark.parametrize("name", ["cspdarknettiny", "mitb0", *(
    pytest.param(name, marks=pytest.mark.slow) for name in SLOW_FAMILIES)])
def test_clone_equals_the_library_network(name, monkeypatch):
    """At an even size and stride 32 the clone is the library's network, its preprocessing included."""
    row = dataclasses.replace(ENCODERS[name], imagenet_row="", url="")  # as if the library had weights of each
    monkeypatch.setitem(ENCODERS, name, row)
    built_at = (64, 64) if name == "mitb0" else (512, 512)
    holds_blocks_of_one_size = name in ("mitb0", "cspdarknettiny", "convnexttiny")
    size = built_at if holds_blocks_of_one_size else (128, 160)
    library = row.build(size=built_at)
    randomize(library)
    monkeypatch.setattr("kseg.encoders.build.load_imagenet", lambda *arguments: library)
    encoder = build_encoder(name, encoder_weights="imagenet", image_size=size)
    image = structured_image(*size)[None].astype("float32")
    mean, std = (np.array(value, "float32") for value in row.pixels)
    keeps_own_preprocessing = name == "efficientnetb0"  # Rescaling and an identity Normalization inside the library
    pixels = image if keeps_own_preprocessing else (image - mean) / std
    if keeps_own_preprocessing:
        encoder.get_layer("normalize").mean, encoder.get_layer("normalize").std = [0.0] * 3, [255.0] * 3
    expected = library_features(library, size, row.taps)(pixels[..., ::-1] if row.bgr else pixels)
    actual = encoder(image)
    assert set(actual) == set(expected)
    for key, value in expected.items():
        value = np.asarray(value)
        np.testing.assert_allclose(actual[key], value, atol=2e-4 * np.abs(value).max(), err_msg=key)


def library_features(library, size, taps):
    """Return the library's network at `size`, its own layers called again: pixels to the tensors that `taps` name."""
    inputs, outputs = {}, {}

    def call(layer, *arguments, **options):
        inputs[layer.name], outputs[layer.name] = arguments[0], layer(*arguments, **options)
        return outputs[layer.name]

    pixels = keras.Input((*size, 3))
    keras.models.clone_model(library, input_tensors=pixels, clone_function=lambda layer: layer, call_function=call)
    last = {tap: [name for name in outputs if name.startswith(tap.rstrip("*")) and (tap.endswith("*") or name == tap)]
            for tap in taps.values() if not tap.startswith("<")}
    return keras.Model(pixels, {key: inputs[tap[1:]] if tap.startswith("<") else outputs[last[tap][-1]]
                                for key, tap in taps.items()})


def test_imagenet_presets_leave_the_rescaling_to_kseg(monkeypatch):
    """No network here: the stub notes what the library is asked for."""
    import keras_cv

    asked = {}
    monkeypatch.setattr(keras_cv.models.MiTBackbone, "from_preset",
                        lambda preset, **keywords: asked.update(keywords, preset=preset))
    ENCODERS["mitb0"].build("imagenet", (64, 64))
    assert asked == {"preset": "mit_b0_imagenet", "load_weights": True, "input_shape": (64, 64, 3),
                     "include_rescaling": False}


@pytest.mark.slow
def test_one_and_six_bands_answer_as_a_grey_rgb_image(tmp_path):
    grey = structured_image(64, 64)[None][..., :1]
    rgb = build_encoder("mobilenetv2")
    path = str(tmp_path / "m.npz")
    save_arrays(rgb, path)
    expected = np.asarray(rgb(np.repeat(grey, 3, -1))["c3"])
    for bands in (1, 2, 4, 6):
        keras.backend.clear_session()
        encoder = build_encoder("mobilenetv2", in_channels=bands, encoder_weights=path)
        np.testing.assert_allclose(encoder(np.repeat(grey, bands, -1))["c3"], expected, atol=1e-4, err_msg=str(bands))


@pytest.mark.slow
@pytest.mark.parametrize("name, bands", [("mobilenetv2", 4), ("cspdarknettiny", 5)])
def test_three_bands_of_a_keras_file_are_adapted(name, bands, tmp_path):
    grey = structured_image(64, 64)[None][..., :1]
    rgb = build_encoder(name)
    randomize(rgb)
    rgb.save_weights(tmp_path / "m.weights.h5")
    expected = np.asarray(rgb(np.repeat(grey, 3, -1))["c3"])
    encoder = build_encoder(name, in_channels=bands, encoder_weights=tmp_path / "m.weights.h5")
    np.testing.assert_allclose(encoder(np.repeat(grey, bands, -1))["c3"], expected,
                               atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("groups", [1, 4])
def test_only_stems_of_three_bands_are_adapted(groups):
    kernel = np.arange(groups * 3 * 2, dtype="float32").reshape(1, 1, 3 * groups, 2)
    for bands in (4, 6):
        adapted = adapt_stem(kernel, bands * groups, groups)
        assert adapted.shape[2] == bands * groups
        np.testing.assert_allclose(adapted.reshape(groups, bands, 2).sum(1), kernel.reshape(groups, 3, 2).sum(1))
    for trained, bands in ((4, 3), (4, 6), (6, 4), (6, 3)):
        with pytest.raises(ValueError, match=re.escape(
                f"`in_channels` must fit the weights, whose stem reads {trained * groups} channels (only stems that "
                f"read {3 * groups} are adapted to other bands), got in_channels={bands}. ")):
            adapt_stem(np.ones((3, 3, trained * groups, 2)), bands * groups, groups)
    four = np.ones((3, 3, 4 * groups, 2))
    assert adapt_stem(four, 4 * groups, groups) is four


def test_arrays_of_a_network_of_bgr_tell_their_order(tmp_path):
    """The arrays that keras.applications trained have the names of kseg's, but read blue first."""
    encoder = build_encoder("vgg16")
    randomize(encoder)
    save_arrays(encoder, str(tmp_path / "kseg.npz"))
    with np.load(tmp_path / "kseg.npz") as archive:
        arrays = dict(archive)
    assert arrays.pop("bgr") == 0
    np.savez(tmp_path / "unmarked.npz", **arrays)
    arrays["block1_conv1/kernel"] = arrays["block1_conv1/kernel"][:, :, ::-1]
    np.savez(tmp_path / "library.npz", bgr=1, **arrays)
    image = structured_image(32, 32)[None]
    for name in ("kseg.npz", "library.npz"):
        loaded = build_encoder("vgg16", encoder_weights=tmp_path / name)
        np.testing.assert_allclose(loaded(image)["c2"], encoder(image)["c2"], rtol=1e-5, err_msg=name)
    with pytest.raises(ValueError, match=re.escape(
            "`encoder_weights` must hold an array 'bgr' for encoder 'vgg16', 0 if its stem reads red first as kseg's "
            "does, 1 if blue first as keras.applications's does, got encoder_weights=")):
        build_encoder("vgg16", encoder_weights=tmp_path / "unmarked.npz")


@pytest.mark.parametrize("name", ["cspdarknettiny", *(
    pytest.param(name, marks=pytest.mark.slow) for name in ("convnexttiny", "xception", "mitb0"))])
def test_arrays_load_after_other_encoders_were_built(name, tmp_path):
    """Keras counts layers without a name on from build to build."""
    size = (64, 64) if name == "mitb0" else (None, None)
    encoder = build_encoder(name, image_size=size)
    randomize(encoder)
    save_arrays(encoder, str(tmp_path / "m.npz"))
    with np.load(tmp_path / "m.npz") as archive:
        arrays = {key: archive[key] for key in sorted(archive)}  # safetensors sorts its names, "10" before "9"
    np.savez(tmp_path / "m.npz", **arrays)
    again = build_encoder(name, image_size=size, encoder_weights=tmp_path / "m.npz")
    for ours, theirs in zip(again.variables, encoder.variables):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


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
    for option in ({"encoder_weights": "imagenet"}, {"multi_grid": (1, 2, 4)}):
        with pytest.raises(ValueError, match="must be None for a backbone object, got .* It runs as it was built"):
            build_encoder(backbone, in_channels=bands, **option)


WITH_MULTI_GRID = ("resnet50", "resnet101", "resnet152", "resnet50deep", "resnet101deep", "resnet152deep",
                   "resnet50v1c", "resnet101v1c", "kerasresnet50", "kerasresnet101", "kerasresnet152")


@pytest.mark.parametrize("name, factors, sentence", [
    ("xception41", (1, 2, 4), f"`encoder_name` must be one of {WITH_MULTI_GRID} when multi_grid is given, got"),
    ("mitb0", (1, 2, 4), f"`encoder_name` must be one of {WITH_MULTI_GRID} when multi_grid is given, got"),
    ("resnet50", 2, "`multi_grid` must hold three factors, one per unit of the last stage, got multi_grid=2."),
    ("resnet50", (1, 2.5, 4), "`multi_grid` must be a positive integer, got multi_grid=2.5."),
])
def test_a_multi_grid_that_cannot_be_given(name, factors, sentence):
    with pytest.raises((ValueError, TypeError), match=re.escape(sentence)):
        build_encoder(name, 32, multi_grid=factors)


def test_bad_weights(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="`encoder_weights` must be the path of a file, got encoder_weights="):
        build_encoder("mobilenetv2", encoder_weights=str(tmp_path / "none.npz"))
    with pytest.raises(ValueError, match=re.escape(
            "`encoder_weights` must be None, 'imagenet' or the path of a file (.weights.h5, .npz, .safetensors, "
            ".pth, .pt, .bin), got encoder_weights='imagnet'. Check the spelling.")):
        build_encoder("mobilenetv2", encoder_weights="imagnet")
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(ValueError, match="must be a readable file.*The file is damaged"):
        build_encoder("mobilenetv2", encoder_weights=str(broken))
    other = tmp_path / "other.npz"
    np.savez(other, **{"conv/kernel": np.zeros((3, 3, 3, 8))})
    with pytest.raises(ValueError, match="must hold every array of encoder 'mobilenetv2'"):
        build_encoder("mobilenetv2", encoder_weights=str(other))
    for name in ("resnet50deep", "xception41"):
        with pytest.raises(ValueError, match="nobody publishes ImageNet weights, got encoder_weights='imagenet'"):
            build_encoder(name, encoder_weights="imagenet")


def test_no_network_for_imagenet(monkeypatch):
    def offline(*arguments, **keywords):
        raise Exception("URL fetch failure: Name or service not known")
    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(ConnectionError, match=re.escape(
            "`encoder_weights` must be downloadable when it is 'imagenet' (keras.applications could not fetch "
            "'mobilenetv2'), got encoder_weights='imagenet'. Connect to the internet once (the file is cached), pass "
            "the path of a weights file (.weights.h5, .npz, .safetensors, .pth, .pt, .bin), or use "
            "encoder_weights=None.")):
        build_encoder("mobilenetv2", encoder_weights="imagenet")


@pytest.mark.slow
def test_weights_files_round_trip(tmp_path):
    from safetensors.numpy import save_file

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


@pytest.mark.parametrize("name", ["mobilenetv2", "resnet18", "efficientnetlite0", "mitb0", "xception41"])
def test_table_counts_parameters(name):
    counted = name != "mitb0"  # keras_cv counts values
    count = without_values(parameter_count, name) if counted else parameter_count(name)
    assert next(row["parameters"] for row in table() if row["name"] == name) == count


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
