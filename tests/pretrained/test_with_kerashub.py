"""KerasHub itself beside kseg, where it is installed: a preset that it wrote, and the logits it gives."""

import json
import sys

import numpy as np
import pytest

from kseg import pretrained
from tests.data.golden.weights import picture

SCALE, OFFSET = [1 / (255 * std) for std in (0.229, 0.224, 0.225)], [-2.118, -2.036, -1.804]


def preset(folder, units, block_type):
    """Write a preset whose weights, batch normalisation's too, are drawn; return its model."""
    keras_hub = pytest.importorskip("keras_hub", reason="KerasHub is not installed")
    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[7], stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=units, stackwise_num_strides=[1, 2, 2, 2], block_type=block_type,
        use_pre_activation=False)
    backbone = keras_hub.models.DeepLabV3Backbone(
        image_encoder=encoder, low_level_feature_key="P2", spatial_pyramid_pooling_key="P5",
        dilation_rates=[6, 12, 18], upsampling_size=8)
    preprocessor = keras_hub.models.DeepLabV3ImageSegmenterPreprocessor(
        keras_hub.layers.DeepLabV3ImageConverter(scale=SCALE, offset=OFFSET))
    model = keras_hub.models.DeepLabV3ImageSegmenter(backbone, num_classes=5, preprocessor=preprocessor)
    random = np.random.default_rng(0)
    for variable in model.variables:
        kind = variable.path.split("/")[-1]
        if kind in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif kind in ("beta", "moving_mean"):
            variable.assign(random.uniform(-0.2, 0.2, variable.shape))
    model.save_to_preset(str(folder))
    return model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # KerasHub's
@pytest.mark.parametrize("units, block_type, encoder, size", [  # it takes multiples of 32, and one size per model
    ([2, 2, 2, 2], "basic_block", "resnet18", (96, 160)),
    ([3, 4, 6, 3], "bottleneck_block", "resnet50", (128, 128)),
])
def test_logits_of_a_preset(units, block_type, encoder, size, tmp_path):
    theirs = preset(tmp_path, units, block_type)
    report = pretrained.conversion(tmp_path, f"kerashub/deeplab_v3_plus_{encoder}")
    assert report.options["encoder_name"] == encoder and not report.left_out
    pixels = picture(*size)[None].astype("float32")
    expected = theirs.predict(pixels, verbose=0)  # with its preprocessor
    ours = np.asarray(report.model(pixels, training=False))
    assert np.abs(ours - expected).max() < 1e-4 * np.abs(expected).max()


def test_presets_that_cannot_be_read_are_refused(tmp_path, monkeypatch):
    task = tmp_path / "task.json"
    task.write_text(json.dumps({"class_name": "SegFormerImageSegmenter"}))
    with pytest.raises(ValueError, match="`checkpoint` must be one of .'DeepLabV3ImageSegmenter',. as the task of a "
                                         "KerasHub preset, got checkpoint='SegFormerImageSegmenter'"):
        pretrained.convert(tmp_path)
    task.write_text("{")
    with pytest.raises(ValueError, match="no readable task.json"):
        pretrained.convert(tmp_path)
    task.write_text(json.dumps({"class_name": "DeepLabV3ImageSegmenter"}))
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    for place in (tmp_path, "kaggle://keras/deeplabv3plus/keras/deeplab_v3_plus_resnet50_pascalvoc/4"):
        with pytest.raises(ImportError, match=r'`checkpoint` needs the package keras_hub.*install "kseg.kerashub."'):
            pretrained.convert(place)
