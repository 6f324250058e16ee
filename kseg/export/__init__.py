"""Models for production: TensorFlow Serving folders and TFLite files, each compared with its Keras model."""

from kseg._lazy import attach

_PUBLIC = {
    "GPU_DELEGATE_OPERATORS": "kseg.export.operators",
    "ParityReport": "kseg.export.parity",
    "SavedModelRunner": "kseg.export.runner",
    "TFLiteModel": "kseg.export.runner",
    "next_version": "kseg.export.staging",
    "read_metadata": "kseg.export.metadata",
    "saved_model": "kseg.export.servable",
    "structured_images": "kseg.export.pictures",
    "tflite": "kseg.export.lite",
    "tflite_operators": "kseg.export.operators",
}
__all__ = sorted(_PUBLIC)
__getattr__, __dir__ = attach(__name__, _PUBLIC)
