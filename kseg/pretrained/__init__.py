"""Trained segmentation models by name, and the checkpoints of PyTorch libraries as Keras models."""

from typing import TYPE_CHECKING

from kseg._lazy import attach

if TYPE_CHECKING:  # the same names for editors and type checkers; a test holds the two equal
    from kseg.pretrained.convert import Conversion as Conversion
    from kseg.pretrained.convert import conversion as conversion
    from kseg.pretrained.convert import convert as convert
    from kseg.pretrained.hub import push as push
    from kseg.pretrained.load import load as load
    from kseg.pretrained.load import names as names

_PUBLIC = {
    "Conversion": "kseg.pretrained.convert",
    "conversion": "kseg.pretrained.convert",
    "convert": "kseg.pretrained.convert",
    "load": "kseg.pretrained.load",
    "names": "kseg.pretrained.load",
    "push": "kseg.pretrained.hub",
}
__all__ = sorted(_PUBLIC)
if not TYPE_CHECKING:  # else every misspelt name would pass
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
