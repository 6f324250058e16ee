"""smp's names of encoders, as kseg's in their geometry."""

import re

from kseg import checks
from kseg.encoders import names, row_of

_ROWS = {  # pattern of smp's name -> kseg's; "tu-" are networks of timm, "timm-" their older spelling
    r"(?:tu-)?resnet(18|34|50|101|152)": r"resnet\1",
    r"tu-resnet(50|101|152)s": r"resnet\1deep",
    r"tu-resnet(50|101)c": r"resnet\1v1c",
    r"mobilenet_v2": "torchmobilenetv2",
    r"tu-mobilenetv2_100": "timmmobilenetv2",
    r"tu-mobilenetv3_(large|small)_100": r"timmmobilenetv3\1",
    r"(?:tu-tf|timm)[_-]mobilenetv3_(large|small)_100": r"tfmobilenetv3\1",
    r"efficientnet-b([0-7])": r"smpefficientnetb\1",
    r"tu-efficientnet_b([0-4])": r"torchefficientnetb\1",
    r"tu-tf_efficientnet_b([0-7])": r"efficientnetb\1",
    r"tu-efficientnet_lite([0-4])": r"torchefficientnetlite\1",
    r"tu-tf_efficientnet_lite([0-4])": r"tfefficientnetlite\1",
    r"vgg(16|19)(?:_(bn))?": r"smpvgg\1\2",
    r"densenet(121|169|201)": r"smpdensenet\1",
    r"xception": "smpxception",
    r"mit_b([0-5])": r"torchmitb\1",
    r"tu-convnext_(tiny|small|base|large|xlarge)": r"torchconvnext\1",
}
_SHOWN = ("resnet18 … 152, mobilenet_v2, efficientnet-b0 … b7, vgg16, vgg19 (and _bn), densenet121, 169 and 201, "
          "xception, mit_b0 … b5, and of timm tu-resnet…, tu-mobilenetv2_100, tu-mobilenetv3_…, tu-efficientnet_b…, "
          "tu-efficientnet_lite…, both also with tf_, tu-convnext_…")

_STRIDES = {r"torchconvnext.*": (16,)}  # at 8, timm pads the even kernels of the last stage on the other side too


def in_kseg(encoder: str) -> str:
    """Return kseg's name of the encoder that smp calls `encoder`.

    Raises:
        ValueError: if kseg has no network in its geometry.
    """
    name = next((match.expand(form) for pattern, form in _ROWS.items()
                 if (match := re.fullmatch(pattern, encoder.lower()))), None)
    if name not in names():
        raise ValueError(checks.sentence("encoder_name", f"must be an encoder of smp that kseg has ({_SHOWN})", encoder,
                                         "Other encoders' features are not kseg's."))
    return name


def check_stride(encoder: str, output_stride: int) -> None:
    """Raise ValueError unless kseg's `encoder` is dilated as smp's at `output_stride`."""
    strides = next((found for pattern, found in _STRIDES.items() if re.fullmatch(pattern, encoder)),
                   row_of(encoder).strides)
    if output_stride not in strides:
        raise ValueError(checks.sentence("checkpoint", f"must have encoder_output_stride of {strides} with encoder "
                                         f"{encoder!r}", output_stride, "smp dilates it otherwise than kseg."))
