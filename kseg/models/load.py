"""Reading a saved model back, with every class of this package registered."""

import importlib
import os
import pkgutil
import warnings
import zipfile

import keras

from kseg import checks
from kseg.types import Path

_ROOMS = ("layers", "losses", "metrics", "training")  # where registered classes live, beside the Segmenter


def load_model(path: Path, compile: bool = True) -> keras.Model:
    """Return the model saved at `path` by `model.save`, without `custom_objects`.

    Args:
        path: str or path, a `.keras` file.
        compile: bool, whether its optimiser, loss and metrics come back too.
    Returns:
        `keras.Model`, pixels → logits.
    Raises:
        FileNotFoundError: if no file stands at `path`.
        ValueError: if it is no `.keras` file, or a damaged one.
    """
    path = checks.existing_file("path", os.fspath(path), "Give the .keras file that model.save wrote.")
    if not path.endswith(".keras"):
        raise ValueError(checks.sentence(
            "path", "must end in .keras", path,
            "SavedModel folders, .tflite and .onnx files run with kseg.predict but do not load as a Keras model."))
    try:
        with zipfile.ZipFile(path) as parts:
            parts.getinfo("config.json")
    except (zipfile.BadZipFile, KeyError) as failure:
        raise ValueError(checks.sentence(
            "path", "must be a whole .keras file", path,
            "It is damaged, was cut off or is another archive: copy or save it again.")) from failure
    _register_classes()
    with warnings.catch_warnings():  # a model saved before its first step has an optimiser without state
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer .* saved optimizer has 2 variables")
        return keras.saving.load_model(path, compile=compile)


def _register_classes():
    """Import every module that defines a class Keras must find by name; importing registers it."""
    importlib.import_module("kseg.models.segmenter")
    for room in _ROOMS:
        package = importlib.import_module(f"kseg.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"kseg.{room}."):
            importlib.import_module(module.name)
