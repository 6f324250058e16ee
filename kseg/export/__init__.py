"""Models for production: TensorFlow Serving folders and TFLite files, each compared with its Keras model."""

from kseg._lazy import attach

_PUBLIC = {
    "GPU_DELEGATE_OPERATORS": "kseg.export.operators",
    "ParityReport": "kseg.export.parity_report",
    "SavedModelRunner": "kseg.inference.runners.saved_model",
    "TFLiteModel": "kseg.inference.runners.tflite",
    "next_version": "kseg.export.saved_model",
    "read_metadata": "kseg.inference.metadata",
    "saved_model": "kseg.export.saved_model",
    "structured_images": "kseg.export.comparison_images",
    "tflite": "kseg.export.tflite",
    "tflite_operators": "kseg.export.operators",
}
__all__ = sorted(_PUBLIC)
__getattr__, __dir__ = attach(__name__, _PUBLIC)
