"""Files of torchvision, timm and smp answer in kseg as their own networks do (golden files, `make_encoders.py`)."""

import json
import os
import warnings

import numpy as np
import pytest

from kseg.encoders import build_encoder
from tests.data.golden.weights import draw_all, picture, sample

FOLDER = os.path.join(os.path.dirname(__file__), os.pardir, "data", "golden")
SIZES = ((97, 129), (128, 128), (225, 225))
NAMES = {  # golden file -> the name a user writes; a plain one is recognised by the arrays' names, with a warning
    "torchvision_mobilenet_v2": "mobilenetv2",
    "timm_mobilenetv2_100": "mobilenetv2",
    "smp_mobilenet_v2": "mobilenet_v2",
    "timm_tf_efficientnet_lite0": "tu-tf_efficientnet_lite0",
    "timm_efficientnet_lite0": "tu-efficientnet_lite0",
    "timm_tf_efficientnet_b0": "tu-tf_efficientnet_b0",
    "timm_efficientnet_b0": "torchefficientnetb0",
    "smp_efficientnet_b0": "efficientnet-b0",
    "torchvision_efficientnet_b0": "efficientnet_b0",
    "torchvision_efficientnet_b5": "torchefficientnetb5",
    "torchvision_vgg16": "vgg16",
    "torchvision_vgg19": "torchvgg19",
    "torchvision_vgg16_bn": "vgg16",
    "torchvision_vgg19_bn": "vgg19_bn",
    "smp_vgg16": "smpvgg16",
    "smp_vgg16_bn": "smpvgg16bn",
    "torchvision_densenet121": "densenet121",
    "smp_densenet121": "torchdensenet121",
    "torchvision_mobilenet_v3_large": "mobilenetv3large",
    "torchvision_mobilenet_v3_small": "mobilenetv3small",
    "timm_mobilenetv3_large_100": "tu-mobilenetv3_large_100",
    "timm_tf_mobilenetv3_large_100": "tu-tf_mobilenetv3_large_100",
    "timm_mobilenetv3_small_100": "tu-mobilenetv3_small_100",
    "torchvision_convnext_tiny": "convnext_tiny",
    "timm_convnext_tiny": "tu-convnext_tiny",
    "smp_xception": "xception",
    "smp_mit_b0": "mit_b0",
}
FAST = ("torchvision_mobilenet_v2",)


def golden(file):
    """Return (the arrays of the network by PyTorch's name; its stages as (shape, largest magnitude, sample))."""
    with np.load(os.path.join(FOLDER, f"encoder_{file}.npz")) as archive:
        facts, values = json.loads(archive["facts"].tobytes()), archive["values"]
    stages = {stage: (tuple(shape), largest, value) for (stage, (shape, largest)), value in
              zip(facts["stages"].items(), values, strict=True)}
    shapes = {name: [1] if name.startswith("classifier.") else shape  # left out, by its name; VGG's has 120 million
              for name, shape in facts["arrays"].items()}
    return draw_all(shapes, facts["gain"]), stages


def built(file, folder, encoder_name=None, output_stride=32):
    """Return the encoder with the arrays of golden `file`, through a file of arrays, and the stages of its origin."""
    arrays, stages = golden(file)
    path = os.path.join(folder, "arrays.npz")
    np.savez(path, **arrays)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The weights were trained in another geometry")
        return build_encoder(encoder_name or NAMES[file], output_stride, path), stages


@pytest.mark.parametrize("file", [file if file in FAST else pytest.param(file, marks=pytest.mark.slow)
                                  for file in NAMES])
def test_features_are_those_of_the_origin(file, tmp_path):
    encoder, stages = built(file, tmp_path)
    for height, width in SIZES:
        features = encoder(picture(height, width)[None])
        for key, value in features.items():
            shape, largest, expected = stages[f"{height}x{width}/{key}"]
            value = np.asarray(value[0])
            assert value.shape == shape, (height, width, key)
            assert np.abs(sample(value, 4) - expected).max() < 1e-4 * largest, (height, width, key)
