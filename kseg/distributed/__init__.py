"""The same recipe, folder and report on many machines, with Ray (extra `ray`)."""

from typing import TYPE_CHECKING

from kseg._lazy import attach

if TYPE_CHECKING:  # the same names for editors and type checkers; a test holds the two equal
    from kseg.distributed.batch_prediction import predict as predict
    from kseg.distributed.dataset_evaluation import evaluate as evaluate
    from kseg.distributed.train import resume as resume
    from kseg.distributed.train import train as train

_PUBLIC = {
    "evaluate": "kseg.distributed.dataset_evaluation",
    "predict": "kseg.distributed.batch_prediction",
    "resume": "kseg.distributed.train",
    "train": "kseg.distributed.train",
}
__all__ = sorted(_PUBLIC)
if not TYPE_CHECKING:  # else every misspelt name would pass
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
