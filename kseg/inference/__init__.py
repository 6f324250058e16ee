"""Inference: prediction by image, window, scale and flip; evaluation; pictures; the dense CRF."""

from kseg._lazy import attach

_PUBLIC = {
    "CRFParameters": "kseg.inference.dense_crf",
    "DenseCRF": "kseg.inference.dense_crf",
    "label_map": "kseg.inference.predict",
    "pictures": None,
    "predict_files": "kseg.inference.files",
    "predict_tiled": "kseg.inference.overlap_tile",
    "runner": "kseg.inference.runners",
}
__all__ = sorted(_PUBLIC)
__getattr__, __dir__ = attach(__name__, _PUBLIC)
