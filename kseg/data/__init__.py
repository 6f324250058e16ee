"""Data: named datasets to batches of (pixels, labels), their checks, class weights and records."""

from kseg._lazy import attach

_PUBLIC = {
    "Recipe": "kseg.data.augment",
    "augment": None,
    "border_weights": "kseg.data.borders",
    "CheckReport": "kseg.data.dataset_check",
    "check": "kseg.data.dataset_check",
    "class_weights": "kseg.data.weights",
    "decode": None,
    "failure_sentence": "kseg.data.reader",
    "label_set": "kseg.data.sources",
    "load": "kseg.data.pipeline",
    "shapes": None,
    "source": "kseg.data.sources",
    "write_records": "kseg.data.records",
}
__all__ = sorted(_PUBLIC)
__getattr__, __dir__ = attach(__name__, _PUBLIC)
