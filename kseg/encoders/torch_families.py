"""Rows of networks as PyTorch's libraries have them: padding, epsilon or pixels are others than in Keras's.

A file of arrays is laid out in the geometry of its origin (`kseg.encoders.origin`); these rows can also be named.
"""

import dataclasses
from collections.abc import Iterable

from kseg.encoders.pixels import MINUS_ONE_TO_ONE, TORCH
from kseg.encoders.row import Encoder
from kseg.encoders.symmetric import symmetric
from kseg.encoders.torch_names import efficientnet, mobilenet_v2

_TORCH = {"padding": "symmetric", "layout": symmetric, "pixels": TORCH, "bgr": False, "preset": None}


def with_siblings(rows: Iterable[Encoder]) -> list[Encoder]:
    """Return `rows` and, after them, their siblings in the geometry of PyTorch's libraries."""
    taken, added = [], []
    for row in rows:
        own, others = _differences(row.name)
        siblings = [dataclasses.replace(row, **{**own, **difference}) for difference in others]
        taken.append(dataclasses.replace(row, **own, siblings=tuple(sibling.name for sibling in siblings)))
        added += siblings
    return taken + added


def _differences(name):
    """Return (what the row `name` says besides, what each of its siblings says otherwise)."""
    if name == "mobilenetv2":
        own = {"names": mobilenet_v2.names}
        return own, [{**_TORCH, "name": "torchmobilenetv2", "epsilon": 1e-5, "origins": ("torchvision", "timm")}]
    if name.startswith("efficientnetlite"):
        # Google trained them on (pixels - 127) / 128; timm feeds its tf_ networks (pixels - 127.5) / 127.5.
        own = {"names": efficientnet.names, "origins": ("efficientnet_pytorch",)}
        return own, [{**_TORCH, "name": f"torch{name}", "epsilon": 1e-5, "origins": ("timm",)},
                     {"name": f"tf{name}", "pixels": MINUS_ONE_TO_ONE, "origins": ("timm tf",)}]
    if name.startswith("efficientnetb"):
        own = {"names": efficientnet.names, "origins": ("efficientnet_pytorch", "timm tf")}
        small = name[-1] in "01234"  # torchvision keeps TensorFlow's epsilon from B5 on, timm nowhere
        return own, [{**_TORCH, "name": f"torch{name}", "epsilon": 1e-5 if small else 1e-3,
                      "origins": ("torchvision", "timm") if small else ("torchvision",)}]
    return {}, []
