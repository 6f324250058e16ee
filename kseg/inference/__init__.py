"""Inference: prediction by image, window, scale and flip; evaluation; pictures; the dense CRF."""

from typing import TYPE_CHECKING

from kseg._lazy import attach

if TYPE_CHECKING:  # the same names for editors and type checkers; a test holds the two equal
    from kseg import pictures as pictures
    from kseg.inference.dense_crf import CRFParameters as CRFParameters
    from kseg.inference.dense_crf import DenseCRF as DenseCRF
    from kseg.inference.file_prediction import predict_files as predict_files
    from kseg.inference.predict import Predictor as Predictor
    from kseg.inference.results import label_map as label_map
    from kseg.inference.runners import runner as runner
    from kseg.inference.tiled import predict_tiled as predict_tiled

_PUBLIC = {
    "CRFParameters": "kseg.inference.dense_crf",
    "DenseCRF": "kseg.inference.dense_crf",
    "Predictor": "kseg.inference.predict",
    "label_map": "kseg.inference.results",
    "pictures": "kseg",
    "predict_files": "kseg.inference.file_prediction",
    "predict_tiled": "kseg.inference.tiled",
    "runner": "kseg.inference.runners",
}
__all__ = sorted(_PUBLIC)
if not TYPE_CHECKING:  # else every misspelt name would pass
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
