"""Data: named datasets to batches of (pixels, labels), their checks, class weights and records."""

from kseg._lazy import attach
from kseg.data.check import check  # noqa: F401 (first: importing the module later would put it in place of this)

_PUBLIC = {
    "CheckReport": "kseg.data.check",
    "Recipe": "kseg.data.augment",
    "Source": "kseg.data.sources",
    "augment": None,
    "border_weights": "kseg.data.borders",
    "check": "kseg.data.check",
    "class_weights": "kseg.data.class_balance",
    "decode": None,
    "failure_sentence": "kseg.data.failures",
    "label_set": "kseg.data.sources",
    "load": "kseg.data.pipeline",
    "shapes": "kseg.data.sources",
    "source": "kseg.data.sources",
    "write_records": "kseg.data.record_writer",
}
__all__ = sorted(_PUBLIC)
__getattr__, __dir__ = attach(__name__, _PUBLIC)
