"""Reading a saved model back, with every class of this package registered."""

import importlib
import os
import pkgutil
import warnings

import keras

from kseg import checks
from kseg.models.strangers import check_keras_file, check_memory, said
from kseg.types import Path

_ROOMS = ("layers", "losses", "metrics", "training")  # where registered classes live, beside the Segmenter


def load_model(path: Path, compile: bool = True) -> keras.Model:
    """Return the model saved at `path` by `model.save`, without `custom_objects`.

    A file from elsewhere runs no code, reads and writes no other file, and gets no more memory than it is worth.

    Args:
        path: str or path, a `.keras` file.
        compile: bool, whether its optimiser, loss and metrics come back too.
    Returns:
        `keras.Model`, pixels → logits.
    Raises:
        FileNotFoundError: if no file stands at `path`.
        ValueError: if it is no `.keras` file, or a damaged one, or one that holds code.
    """
    path = checks.existing_file("path", os.fspath(path), "Give the .keras file that model.save wrote.")
    if not path.endswith(".keras"):
        raise ValueError(checks.sentence(
            "path", "must end in .keras", path,
            "SavedModel folders, .tflite and .onnx files run with kseg.predict but do not load as a Keras model."))
    config = check_keras_file(path)
    _register_classes()
    check_memory(config, path)  # builds it once more, without weights: about a fifth of what Keras takes
    try:
        with warnings.catch_warnings():  # a model saved before its first step has an optimiser without state
            warnings.filterwarnings("ignore",
                                    "Skipping variable loading for optimizer .* saved optimizer has 2 variables")
            model = keras.saving.load_model(path, compile=compile, safe_mode=True)
    except Exception as failure:  # each layer meets settings that it cannot have with an error of its own
        raise ValueError(checks.sentence(
            "path", "must be a .keras file that this version of Keras and kseg can build", path,
            f"Keras says: {said(failure)}")) from failure
    if not isinstance(model, keras.Model):
        raise ValueError(checks.sentence("path", f"must hold a model, not a {type(model).__name__}", path,
                                         "Save the whole model with model.save."))
    return model


def _register_classes():
    """Import every module that defines a class Keras must find by name; importing registers it."""
    importlib.import_module("kseg.models.segmenter")
    for room in _ROOMS:
        package = importlib.import_module(f"kseg.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"kseg.{room}."):
            importlib.import_module(module.name)
