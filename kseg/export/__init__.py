"""Models for production: TensorFlow Serving folders, TFLite and ONNX files, each compared with its Keras model."""

from typing import TYPE_CHECKING

from kseg._lazy import attach

if TYPE_CHECKING:  # the same names for editors and type checkers; a test holds the two equal
    from kseg.export.comparison_images import structured_images as structured_images
    from kseg.export.onnx import onnx as onnx
    from kseg.export.operators import GPU_DELEGATE_OPERATORS as GPU_DELEGATE_OPERATORS
    from kseg.export.operators import tflite_operators as tflite_operators
    from kseg.export.parity_report import ParityReport as ParityReport
    from kseg.export.saved_model import next_version as next_version
    from kseg.export.saved_model import saved_model as saved_model
    from kseg.export.tflite import tflite as tflite
    from kseg.export.web_page import web_page as web_page
    from kseg.inference.metadata import read_metadata as read_metadata
    from kseg.inference.runners.onnx import ONNXModel as ONNXModel
    from kseg.inference.runners.saved_model import SavedModelRunner as SavedModelRunner
    from kseg.inference.runners.tflite import TFLiteModel as TFLiteModel

_PUBLIC = {
    "GPU_DELEGATE_OPERATORS": "kseg.export.operators",
    "ONNXModel": "kseg.inference.runners.onnx",
    "ParityReport": "kseg.export.parity_report",
    "SavedModelRunner": "kseg.inference.runners.saved_model",
    "TFLiteModel": "kseg.inference.runners.tflite",
    "next_version": "kseg.export.saved_model",
    "onnx": "kseg.export.onnx",
    "read_metadata": "kseg.inference.metadata",
    "saved_model": "kseg.export.saved_model",
    "structured_images": "kseg.export.comparison_images",
    "tflite": "kseg.export.tflite",
    "tflite_operators": "kseg.export.operators",
    "web_page": "kseg.export.web_page",
}
__all__ = sorted(_PUBLIC)
if not TYPE_CHECKING:  # else every misspelt name would pass
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
