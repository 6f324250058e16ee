"""Where the ImageNet weights of each encoder come from, and their licence.

Keras's own where they exist; else the files of torchvision and timm, whose names end in the beginning of their SHA-256.
ImageNet's images themselves are for research and education; what that means for weights, each user decides.
"""

import dataclasses
import re

from kseg.encoders.row import Encoder

_TORCHVISION = "https://download.pytorch.org/models/"
_TIMM = "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-weights/"
_FILES = {  # row -> file
    "resnet18": "resnet18-f37072fd", "resnet34": "resnet34-b627a593", "resnet50": "resnet50-0676ba61",
    "resnet101": "resnet101-63fe2227", "resnet152": "resnet152-394f9c45",
    "torchmobilenetv2": "mobilenet_v2-b0353104", "torchmobilenetv3large": "mobilenet_v3_large-8738ca79",
    "torchmobilenetv3small": "mobilenet_v3_small-047dcff4",
    "torchvgg16": "vgg16-397923af", "torchvgg19": "vgg19-dcbb9e9d", "torchvgg16bn": "vgg16_bn-6c64b313",
    "torchvgg19bn": "vgg19_bn-c79401a0", "smpvgg16": "vgg16-397923af", "smpvgg19": "vgg19-dcbb9e9d",
    "smpvgg16bn": "vgg16_bn-6c64b313", "smpvgg19bn": "vgg19_bn-c79401a0",
    "torchdensenet121": "densenet121-a639ec97", "torchdensenet169": "densenet169-b2777c0a",
    "torchdensenet201": "densenet201-c1103571", "smpdensenet121": "densenet121-a639ec97",
    "smpdensenet169": "densenet169-b2777c0a", "smpdensenet201": "densenet201-c1103571",
    "torchefficientnetb0": "efficientnet_b0_rwightman-7f5810bc", "torchefficientnetb1": "efficientnet_b1-c27df63c",
    "torchefficientnetb2": "efficientnet_b2_rwightman-c35c1473",
    "torchefficientnetb3": "efficientnet_b3_rwightman-b3899882",
    "torchefficientnetb4": "efficientnet_b4_rwightman-23ab8bcd",
    "torchefficientnetb5": "efficientnet_b5_lukemelas-1a07897c",
    "torchefficientnetb6": "efficientnet_b6_lukemelas-24a108a5",
    "torchefficientnetb7": "efficientnet_b7_lukemelas-c5b4e57e",
    "torchconvnexttiny": "convnext_tiny-983f1562", "torchconvnextsmall": "convnext_small-0c510722",
    "torchconvnextbase": "convnext_base-6075fbad", "torchconvnextlarge": "convnext_large-ea097f82",
    "tfefficientnetlite0": "tf_efficientnet_lite0-0aa007d2", "tfefficientnetlite1": "tf_efficientnet_lite1-bde8b488",
    "tfefficientnetlite2": "tf_efficientnet_lite2-dcccb7df", "tfefficientnetlite3": "tf_efficientnet_lite3-b733e338",
    "tfefficientnetlite4": "tf_efficientnet_lite4-741542c3",
}
_LICENCES = {  # pattern of a row's name -> licence of Keras's weights; the others are Google's, Apache-2.0
    r"vgg\d+": "CC-BY-4.0", r"(kerasresnet\d+|resnet\d+v2)": "MIT", r"densenet\d+": "BSD-3-Clause",
    r"xception": "MIT", r"convnext.*": "MIT", r"mitb\d": "NVIDIA (non-commercial)",
}


def published(row: Encoder) -> Encoder:
    """Return `row` with the source, the address and the licence of its ImageNet weights."""
    file = _FILES.get(row.name)
    if file:
        timm = file.startswith("tf_")
        return dataclasses.replace(row, url=f"{_TIMM if timm else _TORCHVISION}{file}.pth",
                                   imagenet_source="timm" if timm else "torchvision",
                                   licence="Apache-2.0" if timm else "BSD-3-Clause")
    if row.name.startswith("efficientnetlite"):
        return dataclasses.replace(row, imagenet_row=f"tf{row.name}", imagenet_source="timm", licence="Apache-2.0")
    if row.padding != "same" or not (row.library == "keras.applications" or row.preset):
        return row  # the library's weights, where it has some, were trained in its own geometry
    licence = next((text for names, text in _LICENCES.items() if re.fullmatch(names, row.name)), "Apache-2.0")
    return dataclasses.replace(row, imagenet_source=row.library, licence=licence)
