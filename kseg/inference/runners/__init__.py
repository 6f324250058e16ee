"""One way to run a model, whatever its format: used to predict, and to prove that an export answers as its model."""

import os

import keras

from kseg import checks
from kseg.inference.runners.interface import Runner
from kseg.inference.runners.keras_model import KerasRunner
from kseg.inference.runners.onnx import ONNXModel
from kseg.inference.runners.saved_model import SavedModelRunner
from kseg.inference.runners.tflite import TFLiteModel
from kseg.pretrained.load import goes_by_name, load_model

_FILES = {".tflite": TFLiteModel, ".onnx": ONNXModel}  # ending -> what runs the file; others are Keras's


def runner_for(model: keras.Model | str | os.PathLike | Runner) -> Runner:
    """Return the `Runner` of a model.

    Args:
        model: a `keras.Model` from pixels to logits, the path of a `.keras`, `.tflite` or `.onnx` file or of a
            SavedModel folder, an address or name that `kseg.load_model` takes, or a Runner, which is returned.
    Raises:
        TypeError: if it is none of these.
        FileNotFoundError: if nothing stands at the path.
        ValueError: if the file's signature is not from pixels to logits, or fixes one side of the images alone.
    """
    if isinstance(model, (str, os.PathLike)):
        model = _opened(os.fspath(model))
    if isinstance(model, keras.Model):
        model = KerasRunner(model)
    if not isinstance(model, Runner):
        raise TypeError(checks.sentence(
            "model", "must be a keras.Model, or the path of a .keras, .tflite or .onnx file or a SavedModel folder",
            type(model).__name__, "Build one with kseg.models or load one with kseg.load_model."))
    if model.shape[:2].count(None) == 1:
        raise ValueError(checks.sentence(
            "model", "must take images of one size or of any, not fix one side alone", (None, *model.shape),
            "Build or export it with both sides, or with neither."))
    return model


runner = runner_for  # the public name, `kseg.inference.runner`


def _opened(path):
    """Return the model in a file or folder, or by name, as a Runner or still as a `keras.Model`."""
    if goes_by_name(path):
        return load_model(path, compile=False)
    if os.path.isdir(path):
        return SavedModelRunner(path)
    checks.existing_file("model", path, "Give a .keras, .tflite or .onnx file, or a SavedModel folder.")
    ending = os.path.splitext(path.lower())[1]
    if ending in _FILES:
        return _FILES[ending](path, os.cpu_count())
    return load_model(path, compile=False)
