"""kseg: semantic segmentation with Keras 3 and TensorFlow.

Names resolve on first use: `import kseg` loads neither TensorFlow nor Keras.
"""

from kseg._lazy import attach

__version__ = "0.1.0"

_PUBLIC = {
    "LabelSet": "kseg.labels",
    "checks": None,
    "data": None,
    "encoders": None,
    "evaluate": "kseg.inference.evaluation",
    "export": None,
    "inference": None,
    "labels": None,
    "layers": None,
    "load_model": "kseg.models.load",
    "losses": None,
    "machine": None,
    "metrics": None,
    "models": None,
    "predict": "kseg.inference.predict",
    "serving": None,
    "training": None,
}
__all__ = sorted(_PUBLIC)
__getattr__, __dir__ = attach(__name__, _PUBLIC)
