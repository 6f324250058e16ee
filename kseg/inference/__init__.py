"""Inference: prediction by image, window, scale and flip; evaluation; pictures; the dense CRF."""

from kseg._lazy import attach

_PUBLIC = {
    "CRFParameters": "kseg.inference.dense_crf",
    "DenseCRF": "kseg.inference.dense_crf",
    "Predictor": "kseg.inference.predict",
    "label_map": "kseg.inference.predict",
    "pictures": None,
    "predict_files": "kseg.inference.file_prediction",
    "predict_tiled": "kseg.inference.tiled",
    "runner": "kseg.inference.runners",
}
__all__ = sorted(_PUBLIC)
__getattr__, __dir__ = attach(__name__, _PUBLIC)
