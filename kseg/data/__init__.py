"""Data: named datasets to batches of (pixels, labels), their checks, class weights and records."""

from typing import TYPE_CHECKING

from kseg._lazy import attach
from kseg.data.check import check  # noqa: F401 (first: importing the module later would put it in place of this)

if TYPE_CHECKING:  # the same names for editors and type checkers; a test holds the two equal
    from kseg.data import augment as augment
    from kseg.data import decode as decode
    from kseg.data.augment import Recipe as Recipe
    from kseg.data.borders import border_weights as border_weights
    from kseg.data.check import CheckReport as CheckReport
    from kseg.data.check import check as check
    from kseg.data.class_balance import class_weights as class_weights
    from kseg.data.conversion import convert as convert
    from kseg.data.dataset_sheet import show as show
    from kseg.data.in_memory import from_arrays as from_arrays
    from kseg.data.own_pipeline import Augmentation as Augmentation
    from kseg.data.pipeline import load as load
    from kseg.data.pixel_range import PixelRange as PixelRange
    from kseg.data.record_writer import write_records as write_records
    from kseg.data.sources import Source as Source
    from kseg.data.sources import label_set as label_set
    from kseg.data.sources import shapes as shapes
    from kseg.data.sources import source as source
    from kseg.data.sources.arrays import ArraysSource as ArraysSource
    from kseg.data.sources.base import failure_sentence as failure_sentence

_PUBLIC = {
    "ArraysSource": "kseg.data.sources.arrays",
    "Augmentation": "kseg.data.own_pipeline",
    "CheckReport": "kseg.data.check",
    "PixelRange": "kseg.data.pixel_range",
    "Recipe": "kseg.data.augment",
    "Source": "kseg.data.sources",
    "augment": None,
    "border_weights": "kseg.data.borders",
    "check": "kseg.data.check",
    "class_weights": "kseg.data.class_balance",
    "convert": "kseg.data.conversion",
    "decode": None,
    "failure_sentence": "kseg.data.sources.base",
    "from_arrays": "kseg.data.in_memory",
    "label_set": "kseg.data.sources",
    "load": "kseg.data.pipeline",
    "shapes": "kseg.data.sources",
    "show": "kseg.data.dataset_sheet",
    "source": "kseg.data.sources",
    "write_records": "kseg.data.record_writer",
}
__all__ = sorted(_PUBLIC)
if not TYPE_CHECKING:  # else every misspelt name would pass
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
