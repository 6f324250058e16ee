"""Files under PyTorch's names: recognised, taken over with a warning, or refused with a sentence."""

import re

import keras
import numpy as np
import pytest

from kseg.encoders import build_encoder, canonical_name, row_of
from kseg.encoders.model import encoder_model, normalized_input
from kseg.encoders.pixels import TORCH
from kseg.encoders.torch_names.schemes import bare, scheme_of
from kseg.encoders.weights import save_arrays
from kseg.models import DeepLabV1
from tests.data.golden.weights import picture
from tests.encoders.test_torch_files import golden
from tests.encoders.torch_files import write_arrays


@pytest.fixture(scope="module")
def mobilenet():
    """The arrays of torchvision's MobileNetV2 by name."""
    return golden("torchvision_mobilenet_v2")[0]


def saved(folder, arrays):
    path = folder / "arrays.npz"
    np.savez(path, **arrays)
    return path


def test_another_geometry_is_taken_over_with_a_warning(mobilenet, tmp_path):
    path = tmp_path / "mobilenet_v2.pth"
    write_arrays(path, mobilenet)
    with pytest.warns(UserWarning, match=re.escape(
            "The weights were trained in another geometry than that of encoder 'mobilenetv2': 'torchmobilenetv2' is "
            "built (padding symmetric instead of same; epsilon 1e-05 instead of that of keras.applications; pixels "
            "((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)) instead of ((127.5, ")):
        recognised = build_encoder("mobilenet_v2", encoder_weights=path)
    named = build_encoder("torchmobilenetv2", encoder_weights=path)  # no warning, which would be an error here
    image = picture(64, 64)[None]
    np.testing.assert_array_equal(recognised(image)["c5"], named(image)["c5"])
    assert row_of("mobilenetv2", path) is row_of("torchmobilenetv2") is not row_of("mobilenetv2")


def test_missing_and_extra_arrays_are_named_with_the_nearest(mobilenet, tmp_path):
    arrays = {name.replace("features.3.conv.2.", "features.3.conv.two."): value for name, value in mobilenet.items()}
    with pytest.raises(ValueError) as caught:
        build_encoder("torchmobilenetv2", encoder_weights=saved(tmp_path, arrays))
    message = str(caught.value)
    assert message.startswith("`encoder_weights` must hold the arrays of the encoder, no fewer and no more; the file "
                              "lacks features.3.conv.2.weight; it holds besides features.3.conv.two.weight, got ")
    assert "features.3.conv.two.weight beside features.3.conv.2.weight" in message


def test_another_depth_is_refused(tmp_path):
    path = saved(tmp_path, golden("torchvision_vgg19")[0])
    with pytest.raises(ValueError, match="lacks features.17.weight, .*; it holds besides features.16"):
        build_encoder("torchvgg16", encoder_weights=path)


def test_names_that_do_not_tell_are_refused(tmp_path):
    path = saved(tmp_path, golden("timm_efficientnet_b0")[0])
    with pytest.raises(ValueError, match=re.escape(
            "`encoder_name` must tell which network of timm the arrays are of, as their names do not: 'tu-tf_…' "
            "(padded as TensorFlow pads) or 'tu-…' (symmetrically) before 'efficientnetb0', got encoder_name="
            "'efficientnet_b0'")):
        build_encoder("efficientnet_b0", encoder_weights=path)
    assert row_of("tu-tf_efficientnet_b0", path).name == "efficientnetb0"
    assert row_of("tu-efficientnet_b0", path).name == "torchefficientnetb0"
    with pytest.raises(ValueError, match=re.escape(
            "`encoder_weights` must come from one of efficientnet_pytorch, timm tf, torchvision for encoder "
            "'efficientnetb5': kseg does not have the geometry of timm's, got")):
        build_encoder("tu-efficientnet_b5", encoder_weights=path)


def test_spellings():
    for spelled, name in (("tu-tf_efficientnet_lite0", "tfefficientnetlite0"), ("vgg16_bn", "torchvgg16bn"),
                          ("tu-tf_mobilenetv3_large_100", "tfmobilenetv3large"),
                          ("tf_efficientnet_b3", "efficientnetb3"),
                          ("tu-mobilenetv3_small_100", "mobilenetv3small"), ("tu-convnext_tiny", "convnexttiny")):
        assert canonical_name(spelled) == name


@pytest.mark.parametrize("names, first", [
    (("module.encoder.features.0.0.weight", "module.decoder.x"), "features.0.0.weight"),
    (("backbone.0.0.weight", "classifier.4.weight"), "features.0.0.weight"),
    (("encoder.model.stem_0.weight", "decoder.x"), "stem.0.weight"),
    (("encoder.model.conv_stem.weight", "decoder.x"), "conv_stem.weight"),
    (("encoder._conv_stem.weight", "segmentation_head.0.weight"), "_conv_stem.weight"),
])
def test_prefixes_are_taken_off(names, first):
    found = bare(dict.fromkeys(names, np.zeros(1)))
    assert list(found) == [first] and scheme_of(found)


def test_names_of_keras_stay():
    arrays = {"Conv1/kernel": np.zeros(1), "bgr": np.uint8(0)}
    assert bare(arrays) == arrays and scheme_of(arrays) is None


@pytest.mark.slow
def test_vgg_with_holes_takes_the_pixels_over(tmp_path):
    path = saved(tmp_path, golden("torchvision_vgg16")[0])
    with pytest.warns(UserWarning, match="'torchvgg16' is built"):
        model = DeepLabV1(classes=3, encoder_weights=path, compile=False)
    assert model.encoder.get_layer("normalize").std[0] == pytest.approx(58.395)
    with pytest.warns(UserWarning, match="'torchvgg16bn' is built"):
        path = saved(tmp_path, golden("torchvision_vgg16_bn")[0])
        model = DeepLabV1(classes=3, encoder_weights=path, compile=False)
    assert any(layer.name == "block1_conv1_bn" for layer in model.encoder.layers)


@pytest.mark.parametrize("ending", [".npz", ".weights.h5"])
def test_files_of_kseg_bring_their_geometry_with_them(ending, mobilenet, tmp_path):
    named = build_encoder("torchmobilenetv2", encoder_weights=saved(tmp_path, mobilenet))
    path = str(tmp_path / f"encoder{ending}")
    named.save_weights(path) if ending == ".weights.h5" else save_arrays(named, path)
    with pytest.warns(UserWarning, match="'torchmobilenetv2' is built .padding symmetric instead of same"):
        recognised = build_encoder("mobilenetv2", encoder_weights=path)
    image = picture(64, 64)[None]
    np.testing.assert_array_equal(recognised(image)["c5"], named(image)["c5"])
    other = build_encoder("mobilenetv2")
    other.save_weights(path) if ending == ".weights.h5" else save_arrays(other, path)
    with pytest.raises(ValueError, match="must be saved from a network of padding symmetric, epsilon 1e-05, mean .123.*"
                       "for encoder 'torchmobilenetv2', got .* of padding same, .*Name the encoder that it was saved"):
        build_encoder("torchmobilenetv2", encoder_weights=path)


def test_weights_of_another_geometry_are_refused_by_the_model_too(tmp_path):
    """The arrays of both have the same names and shapes."""
    def network(geometry):
        pixels, values = normalized_input((None, None), 3, TORCH, geometry)
        return encoder_model(pixels, {"c5": keras.layers.Conv2D(2, 3, name="conv")(values)})

    network("padding same").save_weights(tmp_path / "m.weights.h5")
    network("padding same").load_weights(tmp_path / "m.weights.h5")
    network(None).load_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match="must come from a network of padding symmetric, mean"):
        network("padding symmetric").load_weights(tmp_path / "m.weights.h5")
