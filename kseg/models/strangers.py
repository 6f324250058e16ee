"""What a `.keras` file from a stranger asks for, looked at before Keras builds anything of it.

Keras's safe mode refuses Python code in a file, but a program may switch it off for all files (Keras's
`enable_unsafe_deserialization`); here that changes nothing. Sizes that a file only claims are refused too.
"""

import concurrent.futures
import io
import json
import math
import zipfile
from collections.abc import Iterator
from typing import Any

import keras

from kseg import archives, checks

_CONFIG = "config.json"
_WEIGHTS = ("model.weights.h5", "model.weights.npz")  # Keras writes the first
_OF_CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer")
_OF_FILES = ("StringLookup", "IntegerLookup", "TextVectorization")  # may name a file of words, which is then read
_KERAS = ("activations", "constraints", "dtype_policies", "initializers", "layers", "losses", "metrics", "models",
          "ops", "optimizers", "quantizers", "random", "regularizers", "src")  # the parts of Keras that models are of
_DEEPEST = 200  # nested objects
_COUNTS, _MOST = ("classes", "num_classes", "num_thresholds"), 4096  # of a metric, which makes a table of them


def check_keras_file(path: str) -> dict[str, Any]:
    """Return the description of the model in the `.keras` file at `path`, after a look at all that the file asks for.

    Raises:
        ValueError: if it is damaged, holds code or names things that read files, or would need far more memory or
            disk than the file is large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            archives.check_members(archive)
            weights = next((name for name in _WEIGHTS if name in archive.namelist()), None)
            if weights == _WEIGHTS[0]:
                _check_weights(archive.read(weights), path)
            elif weights is None:
                raise ValueError("it holds no weights")
            config = json.loads(archive.read(_CONFIG))
            if not isinstance(config, dict):
                raise ValueError("it describes no model")
    except Exception as failure:  # zip, HDF5 and JSON meet damage with errors of many kinds
        raise ValueError(checks.sentence(
            "path", "must be a whole .keras file", path, f"It is damaged, was cut off or is another archive ("
            f"{' '.join(str(failure).split())[:200] or type(failure).__name__}): copy or save it again.")) from failure
    for described in _objects(config, path):
        _check_object(described, path)
    return config


def _check_weights(content, path):
    import h5py

    with h5py.File(io.BytesIO(content)) as file:
        archives.check_hdf5(file, path)


def _objects(config: Any, path: str) -> Iterator[dict[str, Any]]:
    """Yield every part of a description that names a class or a function."""
    waiting = [(config, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(checks.sentence("path", f"must be a .keras file of objects at most {_DEEPEST} deep", path,
                                             "It was not written by model.save."))
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            waiting += [(part, depth + 1) for part in value.values()]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]


def _check_object(described, path):
    kind, module = described["class_name"], described.get("module") or ""
    if not isinstance(kind, str) or not isinstance(module, str):
        raise ValueError(checks.sentence("path", "must be a .keras file that names its classes in text", path,
                                         "It is damaged: copy or save it again."))
    name = described.get("config") if kind == "function" else kind
    if kind in _OF_CODE:
        raise ValueError(checks.sentence(
            "path", f"must be a .keras file without code; this one has a {kind.strip('_')} layer or function, which "
            "could do anything on this machine", path, "Save it with registered layers instead. If the file is your "
            "own, load it with keras.saving.load_model(path, safe_mode=False) and pass kseg the model."))
    settings = described.get("config")
    large = [settings[count] for count in _COUNTS if isinstance(settings, dict) and count in settings]
    if any(isinstance(count, (int, float)) and count > _MOST for count in large):
        raise ValueError(checks.sentence("path", f"must be a .keras file of at most {_MOST} classes, not {large[0]}",
                                         path, "It is damaged: copy or save it again."))
    if kind in _OF_FILES or not _is_of_models(module):
        raise ValueError(checks.sentence(
            "path", f"must be a .keras file of layers for images, not of {'.'.join((module, str(name)))[:100]}", path,
            "If the file is your own, load it with keras.saving.load_model and pass kseg the model."))


def check_memory(config: dict[str, Any], path: str) -> None:
    """Raise ValueError if the weights of the model that `config` describes are far larger than the file at `path`.

    The model is built without its weights, in a thread of its own, which takes what Keras notes on them with it.

    Args:
        config: of `check_keras_file`; it is used up.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        try:
            claimed = thread.submit(_bytes_of_weights, config).result()
        except Exception as failure:
            if "Could not locate" in str(failure):  # Keras says so below, or the caller has it in a scope of Keras's
                return
            raise ValueError(checks.sentence(
                "path", "must be a .keras file that this version of Keras and kseg can build", path,
                f"Keras says: {said(failure)}")) from failure
    try:
        archives.check_size(claimed, path)
    except ValueError as failure:
        raise ValueError(checks.sentence("path", "must be a .keras file that holds all weights of its model", path,
                                         f"Its weights would be {claimed:,} bytes: do not trust it.")) from failure


def said(failure: Exception) -> str:
    """Return what Keras says of a failure, without the descriptions of whole models around it."""
    text = " ".join(str(failure).split())
    for mark in ("Exception encountered: ", "Error encountered during deserialization: "):
        text = text.rpartition(mark)[2]
    return text.partition(" Full object config")[0][:500]


def _bytes_of_weights(config):
    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object(_uncompiled(config), safe_mode=True)
    return sum(8 * math.prod(variable.shape) for variable in getattr(model, "variables", ()))  # at most float64


def _uncompiled(described):
    """Return a description without the optimisers of models, and of models in models, whose counters have values."""
    if isinstance(described, dict):
        return {name: None if name == "compile_config" else _uncompiled(value) for name, value in described.items()}
    return [_uncompiled(value) for value in described] if isinstance(described, list) else described


def _is_of_models(module):
    """Whether Keras's `module` holds parts of models; others hold none, unless somebody has registered some."""
    package, _, inside = module.partition(".")
    return package != "keras" or not inside or inside.split(".")[0] in _KERAS
