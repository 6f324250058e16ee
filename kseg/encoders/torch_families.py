"""Rows of networks as PyTorch's libraries have them: padding, epsilon or pixels are others than in Keras's.

A file of arrays is laid out in the geometry of its origin (`kseg.encoders.origin`); these rows can also be named.
"""

import dataclasses
import re
from collections.abc import Iterable

from kseg.encoders.fixed_padding import fixed_padding
from kseg.encoders.pixels import MINUS_ONE_TO_ONE, TORCH
from kseg.encoders.row import Encoder
from kseg.encoders.torch_mit import torch_mit
from kseg.encoders.torch_names import (
    convnext,
    densenet,
    efficientnet,
    mit,
    mobilenet_v2,
    mobilenet_v3,
    resnet,
    vgg,
    xception,
)
from kseg.encoders.vgg_stages import FILTERS, vgg_normalized

_TORCH = {"padding": "symmetric", "layout": fixed_padding, "pixels": TORCH, "bgr": False, "preset": None,
          "shifted_shortcuts": False}
_SIDES = (224, 240, 260, 300, 380, 456, 528, 600)  # of the images that EfficientNet B0 to B7 were designed for


def with_siblings(rows: Iterable[Encoder]) -> list[Encoder]:
    """Return `rows` and, after them, their siblings in the geometry of PyTorch's libraries."""
    taken, added = [], []
    for row in rows:
        of_family = next((of for names, of in _FAMILIES.items() if re.fullmatch(names, row.name)), None)
        own, others = of_family(row) if of_family else ({}, [])
        siblings = [dataclasses.replace(row, **{**own, **difference}) for difference in others]
        taken.append(dataclasses.replace(row, **own, siblings=tuple(sibling.name for sibling in siblings)))
        added += siblings
    return taken + added


# Each function returns (what the library's row says besides, what each of its siblings says otherwise).

def _mobilenet_v2(row):
    taps = {key: tap for key, tap in row.taps.items() if key != "low_level"}  # c2, as everywhere
    of_torch = {**_TORCH, "epsilon": 1e-5}
    return {"names": mobilenet_v2.names}, [  # the first with the last convolution, which smp's decoders read
        {**of_torch, "name": f"torch{row.name}", "taps": {**taps, "c5": "out_relu"}, "origins": ("torchvision", "timm"),
         "parameters": row.parameters + 320 * 1280 + 4 * 1280},
        {**of_torch, "name": f"timm{row.name}", "taps": taps, "origins": ("timm",)}]


def _mobilenet_v3(row):
    last = {"taps": {**row.taps, "c5": "activation*"},  # the last convolution, which torchvision's and smp's heads read
            "parameters": row.parameters + {"mobilenetv3large": 157_440, "mobilenetv3small": 57_600}[row.name]}
    return {"names": mobilenet_v3.names}, [
        {**_TORCH, **last, "name": f"torch{row.name}", "epsilon": 1e-3, "origins": ("torchvision",)},
        {**_TORCH, **last, "name": f"timm{row.name}", "epsilon": 1e-5, "origins": ("timm",)},
        {**last, "name": f"tf{row.name}", "origins": ("timm tf",)}]


def _efficientnet_lite(row):
    # Google trained them on (pixels - 127) / 128; timm feeds its tf_ networks (pixels - 127.5) / 127.5.
    return {"names": efficientnet.names, "origins": ("efficientnet_pytorch",)}, [
        {**_TORCH, "name": f"torch{row.name}", "epsilon": 1e-5, "origins": ("timm",)},
        {"name": f"tf{row.name}", "pixels": MINUS_ONE_TO_ONE, "preset": None, "origins": ("timm tf",)}]


def _efficientnet(row):
    number = int(row.name[-1])
    # smp reads c1 before the first block and, in B0 alone, c4 behind the first of three; c5's stage begins behind it.
    smp = {"taps": {**row.taps, "c1": "stem_activation"}}
    if number == 0:
        smp = {"taps": {**smp["taps"], "c4": "block5a*"}, "ahead": ("block5b", "block5c")}
    small = number < 5  # torchvision keeps TensorFlow's epsilon from B5 on, timm's symmetric networks nowhere
    return {"names": efficientnet.names, "origins": ("timm tf",)}, [
        {**_TORCH, "name": f"torch{row.name}", "epsilon": 1e-5 if small else 1e-3,
         "origins": ("torchvision", "timm") if small else ("torchvision",)},
        {**_TORCH, **smp, "name": f"smp{row.name}", "padding": "static", "padded_for": _SIDES[number],
         "origins": ("efficientnet_pytorch",)}]


def _vgg(row):
    normalized = {"layout": vgg_normalized, "library": "kseg", "class_name": "", "epsilon": 1e-5, "convolutions": (),
                  "units": row.convolutions, "with_holes": False, "origins": ("torchvision_bn",),
                  "parameters": row.parameters + 4 * sum(
                      count * width for count, width in zip(row.convolutions, FILTERS, strict=True))}
    plain = {**_TORCH, "origins": ("torchvision",)}
    ends = [f"block{stage}_conv{count}" for stage, count in enumerate(row.convolutions, start=1)]
    before = dict(zip(("c1", "c2", "c3", "c4"), ends[1:]))  # smp's stages end before the poolings, but for the last
    return {"names": vgg.names}, [
        {**plain, "name": f"torch{row.name}"},
        {**plain, **normalized, "name": f"torch{row.name}bn"},
        {**plain, "name": f"smp{row.name}", "taps": {**row.taps, **before}, "convolutions": (), "with_holes": False},
        {**plain, **normalized, "name": f"smp{row.name}bn", "taps": {**row.taps, **before}}]


def _densenet(row):
    of_torch = {**_TORCH, "epsilon": 1e-5, "origins": ("torchvision",)}
    return {"names": densenet.names}, [
        {**of_torch, "name": f"torch{row.name}"},
        {**of_torch, "name": f"smp{row.name}", "taps": {**row.taps, "c5": "bn"}}]  # before the last ReLU


def _convnext(row):
    # Behind the last stage, Keras's network without its top normalises once more; the others do so behind the pooling.
    return {"names": convnext.names}, [
        {**_TORCH, "name": f"torch{row.name}", "taps": {**row.taps, "c5": "<layer_normalization*"},
         "parameters": row.parameters - 2 * _CONVNEXT_WIDTHS[row.name], "origins": ("torchvision", "timm")}]


def _xception(row):
    # As smp has it: timm's legacy_xception takes the same arrays without padding in its first two convolutions.
    of_torch = {**_TORCH, "epsilon": 1e-5, "pixels": MINUS_ONE_TO_ONE, "origins": ("cadene",)}
    before = {stage: f"<{row.taps[stage]}" for stage in ("c2", "c3", "c4")}  # smp's stages end before the ReLU
    return {"names": xception.names}, [
        {**of_torch, "name": f"torch{row.name}"},
        {**of_torch, "name": f"smp{row.name}", "taps": {**row.taps, **before, "c5": "block14_sepconv2_bn"}}]


def _mit(row):
    # Of any size, unlike keras_cv's.
    return {"names": mit.names}, [
        {**_TORCH, "name": f"torch{row.name}", "layout": torch_mit, "library": "kseg", "class_name": "", "taps": {},
         "side_multiple": None, "bands": (), "origins": ("mit",)}]


def _resnet(row):
    return {"names": resnet.names, "origins": ("resnet",)}, []


_CONVNEXT_WIDTHS = {"convnexttiny": 768, "convnextsmall": 768, "convnextbase": 1024, "convnextlarge": 1536,
                    "convnextxlarge": 2048}
_FAMILIES = {  # pattern of the rows' names -> function
    "mobilenetv2": _mobilenet_v2, "mobilenetv3.*": _mobilenet_v3, "efficientnetlite.*": _efficientnet_lite,
    "efficientnetb.*": _efficientnet, "vgg.*": _vgg, "densenet.*": _densenet, "convnext.*": _convnext,
    "xception": _xception, "mit.*": _mit, r"resnet\d+(deep|v1c)?": _resnet,
}
