"""smp's names of encoders, as kseg's in their geometry."""

import re

from kseg import checks
from kseg.encoders import names, row_of
from kseg.encoders.pixels import MINUS_ONE_TO_ONE, ZERO_TO_ONE

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

_PIXELS = {  # pattern of timm's tag (or of a name whose default tag it is) -> what those weights were trained on
    r"(ra4_.*|ap_in1k|advprop)": MINUS_ONE_TO_ONE, r"miil_.*": ZERO_TO_ONE,
    r"clip_.*": ((122.771, 116.746, 104.094), (68.501, 66.632, 70.323))}
_DEFAULT_TAGS = {"tu-efficientnet_b1": "ra4_e3600_r240_in1k"}
_STRIDES = {r"torchconvnext.*": (16,)}  # at 8, timm pads the even kernels of the last stage on the other side too


def in_kseg(encoder: str, argument: str) -> str:
    """Return kseg's name of the encoder that smp calls `encoder`, with or without timm's tag ("tu-resnet50.a1_in1k").

    `argument` is where the user named it, for the error sentence.

    Raises:
        ValueError: if kseg has no network in its geometry.
    """
    name = next((match.expand(form) for pattern, form in _ROWS.items()
                 if (match := re.fullmatch(pattern, encoder.lower().partition(".")[0]))), None)
    if name not in names():
        raise ValueError(checks.sentence(argument, f"must have an encoder_name of smp that kseg has ({_SHOWN})",
                                         encoder, "Other encoders' features are not kseg's."))
    return name


def normalization_of(encoder: str, weights: str | None = None) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return (mean, std) of the pixels, 0-255, where they are others than usual, or None.

    Timm's tag of smp's `encoder` tells it, or the name of the `weights` it was trained from.
    """
    name, _, tag = encoder.lower().partition(".")
    tags = (tag or _DEFAULT_TAGS.get(name, ""), weights or "")
    return next((pixels for pattern, pixels in _PIXELS.items()
                 if any(re.fullmatch(pattern, one) for one in tags)), None)


def check_stride(encoder: str, output_stride: int) -> None:
    """Raise ValueError unless kseg's `encoder` is dilated as smp's at `output_stride`."""
    strides = next((found for pattern, found in _STRIDES.items() if re.fullmatch(pattern, encoder)),
                   row_of(encoder).strides)
    if output_stride not in strides:
        raise ValueError(checks.sentence("checkpoint", f"must have encoder_output_stride of {strides} with encoder "
                                         f"{encoder!r}", output_stride, "smp dilates it otherwise than kseg."))
