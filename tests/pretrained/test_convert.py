"""Checkpoints of PyTorch's libraries answer in Keras as they did there, and wrong ones are refused by name."""

import json
import pathlib
import warnings

import numpy as np
import pytest
from safetensors.numpy import save_file

import kseg
from kseg import pretrained
from kseg.pretrained import bands
from kseg.pretrained.convert import compared
from kseg.pretrained.origins import smp_encoders
from tests.data.golden.weights import BANDS, draw_all, picture, sample

GOLDEN = pathlib.Path(__file__).parent.parent / "data" / "golden"
QUICK = ("torchvision/deeplabv3_resnet50", "mmsegmentation/deeplabv3plus_r50", "smp/unet/resnet18",
         "smp/deeplabv3plus/tu-tf_efficientnet_lite0")  # one of each origin, head and block; the others are slow
NAMES = sorted(path.stem.removeprefix("segmentation_").replace("__", "/")
               for path in GOLDEN.glob("segmentation_*.npz") if path.stem.count("__") < 3)


def golden(name):
    """Return (arrays of the checkpoint, the golden file)."""
    file = np.load(GOLDEN / f"segmentation_{name.replace('/', '__')}.npz")
    gain = float(file["gain"]) if "gain" in file.files else 1.0
    return draw_all(json.loads(str(file["shapes"])), gain), file


def checkpoint(folder, arrays, name="model.safetensors"):
    path = folder / name
    save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, path)
    return path


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
                                  for name in NAMES])
def test_logits_equal_those_of_torch(name, tmp_path):
    arrays, file = golden(name)
    like = name if name.count("/") == 2 else None
    report = pretrained.conversion(checkpoint(tmp_path, arrays), like)
    assert report.origin == name.split("/")[0]
    assert report.matched + len(report.left_out) == sum("num_batches_tracked" not in key for key in arrays)
    assert_logits(report.model, file)


def assert_logits(model, file):
    """Hold the logits of three pictures against those of PyTorch in the golden `file`."""
    for key in file.files:
        if not key[0].isdigit():
            continue
        pixels = picture(*map(int, key.split("x")), model.in_channels)
        logits = np.asarray(model(pixels[None].astype("float32"), training=False))[0]
        largest = float(file[f"largest_{key}"])
        np.testing.assert_allclose(sample(logits, 9), file[key], atol=1e-4 * largest, rtol=0)
        assert abs(np.abs(logits).max() - largest) < 1e-4 * largest


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(path, arrays) of smp's Unet with a ResNet-18."""
    arrays = golden("smp/unet/resnet18")[0]
    return checkpoint(tmp_path_factory.mktemp("smp"), arrays), arrays


def test_a_folder_of_save_pretrained_needs_no_more_than_its_path(small, tmp_path):
    checkpoint(tmp_path, small[1])
    config = {"_model_class": "Unet", "encoder_name": "resnet18", "classes": 5, "in_channels": 3, "activation": None,
              "decoder_attention_type": None, "encoder_depth": 5}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = pretrained.convert(tmp_path)
    assert model.classes == 5 and model.name == "unet"
    (tmp_path / "config.json").write_text(json.dumps({**config, "decoder_attention_type": "scse"}))
    with pytest.raises(ValueError, match="decoder_attention_type"):
        pretrained.convert(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json"):
        pretrained.convert(tmp_path)


def test_a_network_of_one_class_becomes_a_binary_model(small, tmp_path):
    path, arrays = small
    one = dict(arrays)
    for name in ("weight", "bias"):
        one[f"segmentation_head.0.{name}"] = arrays[f"segmentation_head.0.{name}"][2:3]
    report = pretrained.conversion(checkpoint(tmp_path, one))
    assert (report.model.task, report.model.classes, report.model.threshold) == ("binary", 1, 0.5)
    pixels = picture(33, 47)[None].astype("float32")
    wanted = np.asarray(pretrained.convert(path)(pixels, training=False))[..., 2:3]
    np.testing.assert_allclose(np.asarray(report.model(pixels, training=False)), wanted, atol=1e-4 * abs(wanted).max())
    assert compared(report, pixels, np.moveaxis(wanted, -1, 1)).label_agreement == 1
    np.testing.assert_array_equal(kseg.predict(report.model, picture(33, 47)), wanted[0, ..., 0] > 0)


def test_another_count_of_classes_keeps_all_but_the_classifier(small):
    path, arrays = small
    with pytest.raises(ValueError, match="must be 5, the classes of the checkpoint"):
        pretrained.convert(path, classes=2)
    with pytest.warns(UserWarning, match="starts anew"):
        model = pretrained.convert(path, classes=2, replace_classifier=True)
    assert model.classes == 2
    kernel = arrays["decoder.blocks.4.conv2.0.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(model.get_layer("decoder5_2_conv").kernel, kernel)


def test_the_converted_model_is_saved_as_any_other(small, tmp_path):
    model = pretrained.convert(small[0])
    model.save(tmp_path / "unet.keras")
    pixels = picture(64, 96)[None].astype("float32")
    again = kseg.load_model(tmp_path / "unet.keras")
    np.testing.assert_array_equal(again(pixels), model(pixels))


def test_logits_given_are_compared(small):
    pixels = picture(64, 96)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = pretrained.conversion(small[0])
    logits = np.asarray(first.model(pixels[None].astype("float32")))
    same = pretrained.conversion(small[0], image=pixels, logits=np.moveaxis(logits, -1, 1))
    assert same.max_abs_difference == 0 and same.label_agreement == 1
    other = pretrained.conversion(small[0], image=pixels, logits=logits + 1)
    assert other.max_abs_difference == pytest.approx(1, abs=1e-3)
    with pytest.raises(ValueError, match="must have the shape"):
        pretrained.conversion(small[0], image=pixels, logits=logits[:, :32])


@pytest.mark.parametrize("change, message", [
    (lambda arrays: arrays.pop("decoder.blocks.2.conv1.0.weight"), "blocks.2.conv1.0.weight"),
    (lambda arrays: arrays.pop("encoder.layer2.0.conv1.weight"), "layer2"),
    (lambda arrays: arrays.update({f"decoder.more.{i}": np.zeros(3, "float32") for i in range(7)}),
     "7 that belong nowhere .decoder.more.0, decoder.more.1, decoder.more.2, decoder.more.3, decoder.more.4, …"),
    (lambda arrays: arrays.update({"segmentation_head.0.weight": np.zeros((5, 8, 3, 3), "float32")}),
     "of another shape .segmentation_head.0.weight"),
])
def test_arrays_that_do_not_fit_are_named(small, tmp_path, change, message):
    arrays = dict(small[1])
    change(arrays)
    with pytest.raises(ValueError, match="^`checkpoint` must hold .*" + message):
        pretrained.convert(checkpoint(tmp_path, arrays))


def test_arrays_that_an_encoder_lacks_are_named_as_the_checkpoints(tmp_path):
    arrays = golden("smp/unet/mobilenet_v2")[0]
    del arrays["encoder.features.3.conv.2.weight"]
    with pytest.raises(ValueError, match="^`checkpoint` must hold the arrays of the encoder, no fewer and no more; the "
                                         "file lacks features.3.conv.2.weight, got"):
        pretrained.convert(checkpoint(tmp_path, arrays), "smp/unet/mobilenet_v2")


def test_a_network_without_a_builder_is_refused_and_those_with_one_are_named(tmp_path):
    path = checkpoint(tmp_path, {"backbone.stages.0.weight": np.zeros((3, 3), "float32")})
    with pytest.raises(ValueError, match="torchvision's DeepLabV3 and FCN"):
        pretrained.convert(path)
    with pytest.raises(ValueError, match="like.*must be one of"):
        pretrained.convert(path, "detectron")
    with pytest.raises(FileNotFoundError):
        pretrained.convert(tmp_path / "nothing.pth")


def test_what_kseg_cannot_lay_out_is_refused(tmp_path):
    arrays = golden("smp/deeplabv3plus/resnet34")[0]
    path = checkpoint(tmp_path, arrays)
    with pytest.raises(ValueError, match="of smp"):
        pretrained.convert(path, "smp/fpn/resnet34")
    with pytest.raises(ValueError, match="encoder_name"):
        pretrained.convert(path, "smp/deeplabv3plus/se_resnet50")


@pytest.mark.parametrize("name, like, found", [
    ("torchvision/fcn_resnet50", "torchvision/deeplabv3_resnet50", "fcn_resnet50"),
    ("mmsegmentation/pspnet_r50", "mmsegmentation/pspnet_r101-d8_cityscapes", "pspnet_r50"),
    ("smp/unet/resnet18", "smp/deeplabv3/resnet18", "unet"),
])
def test_a_file_of_another_network_than_named_is_refused(name, like, found, tmp_path):
    path = checkpoint(tmp_path, golden(name)[0])
    with pytest.raises(ValueError, match=f"`like` must name the network that the checkpoint holds, '{found}'"):
        pretrained.convert(path, like)


@pytest.mark.parametrize("bands", BANDS)
def test_networks_of_other_bands_than_rgb(bands, tmp_path):
    arrays, file = golden(f"smp/unet/resnet18/{bands}")
    path = checkpoint(tmp_path, arrays)
    model = pretrained.convert(path, normalization=BANDS[bands])
    assert model.in_channels == bands
    assert_logits(model, file)
    with pytest.warns(UserWarning, match=f"of {bands} bands?, and does not tell how its pixels were normalised"):
        usual = pretrained.convert(path)
    layer = usual.encoder.get_layer("normalize")
    assert layer.mean[0] == pytest.approx(123.675 if bands > 3 else np.mean((123.675, 116.28, 103.53)))
    model.save(tmp_path / "model.keras")
    pixels = picture(64, 64, bands)[None].astype("float32")
    np.testing.assert_array_equal(kseg.load_model(tmp_path / "model.keras")(pixels), model(pixels))


def test_an_origin_of_other_pixels_is_spread_over_other_bands():
    """What the origin says is for RGB: with one band its average is taken, with a warning, and the user's own wins."""
    model = kseg.models.UNet(2, encoder_name="mobilenetv2", in_channels=1)
    layer = model.encoder.get_layer("normalize")
    with pytest.warns(UserWarning, match="1 band, and does not tell"):
        bands.normalize(model, ((10.0, 20.0, 30.0), (4.0, 5.0, 6.0)), None, "file")
    assert (list(layer.mean), list(layer.std)) == ([20.0] * 3, [5.0] * 3)
    bands.normalize(model, ((10.0, 20.0, 30.0), (4.0, 5.0, 6.0)), (0, 255), "file")
    assert (list(layer.mean), list(layer.std)) == ([0.0] * 3, [255.0] * 3)


def test_weights_of_adversarial_examples_have_their_own_pixels():
    assert smp_encoders.normalization_of("efficientnet-b0", "advprop") == ((127.5,) * 3, (127.5,) * 3)
    assert smp_encoders.normalization_of("efficientnet-b0", "imagenet") is None


def test_pixels_of_the_users_own_normalization(small):
    path, _ = small
    usual, half = pretrained.convert(path), pretrained.convert(path, normalization=(127.5, 127.5))
    pixels = picture(64, 64)[None].astype("float32")
    as_usual = (pixels - 127.5) / 127.5 * (58.395, 57.12, 57.375) + (123.675, 116.28, 103.53)
    np.testing.assert_allclose(half(pixels), usual(as_usual.astype("float32")), atol=1e-3, rtol=1e-4)
    for wrong in ((0, 0), 1, ((1, 2), (3, 4)), ("a", 1), (0, float("nan"))):
        with pytest.raises(ValueError, match="`normalization` must be .mean, std., each a number or 3, one per band"):
            pretrained.convert(path, normalization=wrong)


@pytest.mark.parametrize("name, mean", [
    ("tu-resnet18", 123.675), ("tu-resnet18.a1_in1k", 123.675), ("tu-resnet34.ra4_e3600_r224_in1k", 127.5)])
def test_timms_tags_tell_the_pixels(name, mean, tmp_path):
    arrays = golden("smp/unet/resnet34" if "34" in name else "smp/unet/resnet18")[0]
    model = pretrained.convert(checkpoint(tmp_path, arrays), f"smp/unet/{name}")
    assert model.encoder.get_layer("normalize").mean[0] == pytest.approx(mean)


@pytest.mark.parametrize("name, like, message", [
    ("smp/unet/mobilenet_v2", "smp/unet/efficientnet-b0",
     "`checkpoint` must hold the arrays of encoder 'smpefficientnetb0' under the names of efficientnet_pytorch, not of "
     "torchvision"),
    ("smp/unet/tu-tf_efficientnet_lite0", "smp/unet/efficientnet-b0",
     "`checkpoint` must hold the arrays of encoder 'smpefficientnetb0' under the names of efficientnet_pytorch, not of "
     "timm"),
    ("smp/unet/resnet18", "smp/unet/vgg13", "`like` must have an encoder_name of smp that kseg has"),
    ("smp/unet/resnet18", "smp/unet/mobilenetv2", "`like` must have an encoder_name of smp that kseg has"),
    ("smp/unet/resnet18", "semseg/pspnet50", "`like` must begin with 'smp', after which the arrays"),
    ("semseg/pspnet50", "torchvision/fcn_resnet50", "`like` must begin with 'semseg'"),
    ("semseg/pspnet50", "semseg/pspnet101", "`like` must name the network that the checkpoint holds, 'pspnet50'"),
])
def test_a_file_with_another_encoder_than_named_is_refused(name, like, message, tmp_path):
    path = checkpoint(tmp_path, golden(name)[0])
    with pytest.raises(ValueError, match=message):
        pretrained.convert(path, like)


def test_semsegs_other_networks_are_refused(tmp_path):
    arrays = {name.replace("ppm.", "psa."): value for name, value in golden("semseg/pspnet50")[0].items()}
    with pytest.raises(ValueError, match="must have the pyramid of a PSPNet, of bins .1, 2, 3, 6., got checkpoint=.0 "):
        pretrained.convert(checkpoint(tmp_path, arrays))


@pytest.mark.parametrize("encoder, stride, legal", [("tu-convnext_tiny", 8, "16,"), ("mit_b0", 16, "32,")])
def test_encoders_that_smp_dilates_otherwise_are_refused(encoder, stride, legal, tmp_path):
    arrays = golden("smp/deeplabv3/resnet18" if stride == 8 else "smp/deeplabv3plus/resnet34")[0]
    model = "deeplabv3" if stride == 8 else "deeplabv3plus"
    with pytest.raises(ValueError, match=f"must have encoder_output_stride of .{legal}. with encoder .*={stride}"):
        pretrained.convert(checkpoint(tmp_path, arrays), f"smp/{model}/{encoder}")


def test_decoders_without_a_builder_are_told_from_their_arrays(small, tmp_path):
    arrays = {name.replace("decoder.blocks.", "decoder.p"): value for name, value in small[1].items()}
    with pytest.raises(ValueError, match="must be one of smp's Unet, DeepLabV3, DeepLabV3Plus, PSPNet, got checkpoint="
                                         "'a decoder with decoder.p0.conv1.0.weight"):
        pretrained.convert(checkpoint(tmp_path, arrays))


def test_a_folder_of_another_library_than_named_is_refused(small, tmp_path):
    checkpoint(tmp_path, small[1])
    (tmp_path / "config.json").write_text(json.dumps({"_model_class": "Unet", "encoder_name": "resnet18"}))
    with pytest.raises(ValueError, match="`like` must be one of .'smp',. for this folder, got like='torchvision'"):
        pretrained.convert(tmp_path, "torchvision/fcn_resnet50")
