"""One way to run a model, whatever its format: used to predict, and to prove that an export answers as its model."""

import os
from typing import TYPE_CHECKING

from kseg import checks
from kseg.inference.runners.interface import Runner

if TYPE_CHECKING:
    import keras


def runner_for(model: "keras.Model | str | os.PathLike | Runner") -> Runner:
    """Return the `Runner` of a model.

    Args:
        model: a `keras.Model` from pixels to logits, the path of a `.keras` file, of a SavedModel folder or of a
            `.tflite` file, an address or name that `kseg.load_model` takes, or a Runner, which is returned.
    Raises:
        TypeError: if it is none of these.
        FileNotFoundError: if nothing stands at the path.
        ValueError: if the file's signature is not from pixels to logits, or fixes one side of the images alone.
    """
    run = model if isinstance(model, Runner) else _made(model)
    if run.shape[:2].count(None) == 1:
        raise ValueError(checks.sentence(
            "model", "must take images of one size or of any, not fix one side alone", (None, *run.shape),
            "Build or export it with both sides, or with neither."))
    return run


runner = runner_for  # the public name, `kseg.inference.runner`


def _made(model):
    import keras

    from kseg.inference.runners.keras_model import KerasRunner

    if isinstance(model, keras.Model):
        return KerasRunner(model)
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(checks.sentence(
            "model", "must be a keras.Model, or the path of a .keras file, a SavedModel folder or a .tflite file",
            type(model).__name__, "Build one with kseg.models or load one with kseg.load_model."))
    from kseg.pretrained.load import goes_by_name, load_model

    path = os.fspath(model)
    if goes_by_name(path):
        return KerasRunner(load_model(path, compile=False))
    if os.path.isdir(path):
        from kseg.inference.runners.saved_model import SavedModelRunner

        return SavedModelRunner(path)
    checks.existing_file("model", path, "Give a .keras file, a SavedModel folder or a .tflite file.")
    if path.lower().endswith(".tflite"):
        from kseg.inference.runners.tflite import TFLiteModel

        return TFLiteModel(path, os.cpu_count())
    return KerasRunner(load_model(path, compile=False))
