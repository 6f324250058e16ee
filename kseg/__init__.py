"""kseg: semantic segmentation with Keras 3 and TensorFlow.

Names resolve on first use: `import kseg` loads neither TensorFlow nor Keras.
"""

from typing import TYPE_CHECKING

from kseg._lazy import attach

__version__ = "0.1.0"

if TYPE_CHECKING:  # the same names for editors and type checkers; a test holds the two equal
    from kseg import checks as checks
    from kseg import data as data
    from kseg import distributed as distributed
    from kseg import encoders as encoders
    from kseg import export as export
    from kseg import inference as inference
    from kseg import labels as labels
    from kseg import layers as layers
    from kseg import losses as losses
    from kseg import machine as machine
    from kseg import metrics as metrics
    from kseg import models as models
    from kseg import pictures as pictures
    from kseg import pretrained as pretrained
    from kseg import serving as serving
    from kseg import tasks as tasks
    from kseg import training as training
    from kseg.data.guards import DataWarning as DataWarning
    from kseg.inference.evaluation import evaluate as evaluate
    from kseg.inference.figure import show as show
    from kseg.inference.predict import predict as predict
    from kseg.labels import LabelSet as LabelSet
    from kseg.pretrained.load import load_model as load_model

_PUBLIC = {
    "DataWarning": "kseg.data.guards",
    "LabelSet": "kseg.labels",
    "checks": None,
    "data": None,
    "distributed": None,
    "encoders": None,
    "evaluate": "kseg.inference.evaluation",
    "export": None,
    "inference": None,
    "labels": None,
    "layers": None,
    "load_model": "kseg.pretrained.load",
    "losses": None,
    "machine": None,
    "metrics": None,
    "models": None,
    "pictures": None,
    "predict": "kseg.inference.predict",
    "pretrained": None,
    "serving": None,
    "show": "kseg.inference.figure",
    "tasks": None,
    "training": None,
}
__all__ = sorted(_PUBLIC)
if not TYPE_CHECKING:  # else every misspelt name would pass
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
