"""`config.json` of a folder that smp's `save_pretrained` wrote."""

import functools
import json

import numpy as np

from kseg.pretrained.origins import smp
from tests.campaigns.mutations import damaged_json as damage  # noqa: F401 (the campaign asks for it)

_UNET = {"_model_class": "Unet", "encoder_name": "resnet18", "encoder_depth": 5, "encoder_weights": "imagenet",
         "decoder_use_batchnorm": True, "decoder_channels": [256, 128, 64, 32, 16], "decoder_attention_type": None,
         "in_channels": 3, "classes": 2, "activation": None, "aux_params": None}
_DEEPLAB = {"_model_class": "DeepLabV3", "encoder_name": "tu-resnet50.a1_in1k", "encoder_depth": 5,
            "encoder_output_stride": 8, "decoder_channels": 256, "decoder_atrous_rates": [12, 24, 36],
            "decoder_aspp_separable": False, "decoder_aspp_dropout": 0.5, "in_channels": 3, "classes": 2,
            "activation": None, "upsampling": 8, "aux_params": None}


@functools.cache
def _arrays(model):
    small = np.zeros((8, 8, 1, 1), "float32")
    if model == "Unet":
        return {f"decoder.blocks.{index}.conv1.0.weight": small for index in range(5)}
    return {"decoder.aspp.convs.0.0.weight": small}


def seeds(folder):
    yield json.dumps(_UNET).encode()
    yield json.dumps(_DEEPLAB).encode()


def read(content, folder):
    with open(f"{folder}/config.json", "wb") as file:
        file.write(content)
    config = smp.read_config(folder)
    return smp.plan(_arrays("DeepLabV3" if "DeepLab" in str(config["_model_class"]) else "Unet"), None, config)


def check(answer, content):
    assert answer.builder in ("UNet", "DeepLabV3")
