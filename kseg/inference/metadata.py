"""What a deployed model says about itself: class names, palette, pixel range. Reading loads no TensorFlow."""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kseg import checks, tasks
from kseg.labels import LabelSet

if TYPE_CHECKING:
    import keras

FILE_NAME = "kseg.json"
_LONGEST = 2 ** 24  # bytes of a description; 255 classes take 10,000


def describe(model: "keras.Model", *, kind: str, label_set: LabelSet | None = None,
             image_size: tuple[int | None, int | None] = (None, None), output: str = "logits",
             quantize: str | None = None, scales_inside: bool = False, **details: Any) -> dict[str, Any]:
    """Return the description stored with an exported model, JSON-ready.

    Args:
        model: the model that was exported.
        kind: "saved_model", "tflite" or "onnx".
        label_set, image_size, output, quantize: as in `kseg.export.tflite`.
        scales_inside: bool, whether it takes numbers as they are stored and scales them by the model's `pixel_range`.
        details: further entries, JSON-ready.
    Raises:
        ValueError: if the label set does not name as many classes as the model has.
    """
    import kseg
    from kseg.layers import NormalizePixels
    from kseg.models.walk import layers_of

    classes = int(model.outputs[0].shape[-1])
    task = tasks.of_model(model)
    label_set = known_labels(label_set or getattr(model, "label_set", None), classes, task)
    pixel_range = getattr(model, "pixel_range", None)
    scale = {} if pixel_range is None else {"pixel_range": pixel_range.to_list(),
                                            "scaled_inside_the_graph": scales_inside}
    normalize = next((layer for layer in layers_of(model) if isinstance(layer, NormalizePixels)), None)
    return {
        "format": 1,
        "kseg_version": kseg.__version__,
        "kind": kind,
        "model": model.name,
        "task": task.name,
        "threshold": getattr(model, "threshold", None),
        "classes": classes,
        "label_set": label_set.to_dict(),
        "input": {"name": "pixels", "channels": int(model.inputs[0].shape[-1]), "order": "RGB",
                  "range": None if scales_inside else [0, 255], "image_size": list(image_size), **scale},
        "normalization": {"inside_the_graph": True, "mean": normalize.mean if normalize else None,
                          "std": normalize.std if normalize else None},
        "output": output,
        "quantize": quantize,
        **details,
    }


def known_labels(label_set: LabelSet | None, classes: int,
                 task: tasks.Task = tasks.TASKS["multiclass"]) -> LabelSet:
    """Return `label_set`, or numbered classes if it is None.

    Raises:
        ValueError: if it does not name as many as a model of `classes` classes and this task has.
    """
    if label_set is None:
        return task.label_set(classes)
    if len(label_set) != task.names(classes):
        named = "background and the one class" if task.background else f"the {classes} classes"
        raise ValueError(checks.sentence("label_set", f"must name {named} of the model", list(label_set.names),
                                         "Pass the label set the model was trained on."))
    return label_set


def checked(metadata: dict[str, Any] | None, classes: int) -> dict[str, Any]:
    """Return what a runner needs of a description: `label_set`, `task`, `threshold`, `pixel_range`, `scales_inside`.

    Args:
        metadata: what was found in the model, or None.
        classes: how many the model answers with.
    Raises:
        ValueError: if it is not as `describe` makes it.
    """
    from kseg.data.pixel_range import PixelRange

    try:
        metadata = metadata or {}
        given, stored = metadata.get("input") or {}, metadata.get("label_set")
        task = tasks.known(metadata.get("task"), classes)
        label_set = known_labels(LabelSet.from_dict(stored), classes, task) if stored else None
        threshold = task.checked_threshold(metadata.get("threshold"), classes)
        scale = PixelRange.of(given.get("pixel_range"))
    except Exception as failure:  # what was text may be a list, a number an object: each has an error of its own
        raise ValueError(checks.sentence(
            "model", f"must have a {FILE_NAME} inside that describes it as kseg.export does", str(metadata)[:200],
            f"It is damaged ({' '.join(str(failure).split())[:300]}): export the model again.")) from failure
    return {"label_set": label_set, "task": task.name if metadata.get("task") else None, "threshold": threshold,
            "pixel_range": scale, "scales_inside": scale is not None and bool(given.get("scaled_inside_the_graph"))}


def classes_in(metadata: dict[str, Any] | None) -> int | None:
    """Return the number of classes of a description; None if it says none, or no number."""
    classes = (metadata or {}).get("classes")
    return classes if type(classes) is int and classes > 0 else None


def as_properties(metadata: dict[str, Any]) -> dict[str, str]:
    """Return what a file of one model holds besides it: name -> text, the `metadata` and the class names."""
    return {FILE_NAME: json.dumps(metadata, indent=1), "labels.txt": "\n".join(metadata["label_set"]["names"]) + "\n"}


def in_properties(properties: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the description among the properties of an ONNX file, name -> text; None if there is none."""
    try:
        return _object(properties[FILE_NAME]) if FILE_NAME in properties else None
    except (ValueError, RecursionError):
        return None


def _object(text):
    """Return the object that a text in JSON is, which must be one."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def append_to_tflite(content: bytes, metadata: dict[str, Any]) -> bytes:
    """Return the TFLite file `content` with `metadata` and the class names packed behind it as a ZIP archive.

    That is where TFLite's own metadata keeps associated files: runtimes ignore it, and any unzip program lists it.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as files:
        for name, text in as_properties(metadata).items():
            files.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), text)  # equal exports, equal files
    return content + archive.getvalue()


def write_to_saved_model(folder: str, metadata: dict[str, Any]) -> None:
    """Write `metadata` into the SavedModel at `folder`, where TensorFlow Serving leaves further files alone."""
    os.makedirs(os.path.join(folder, "assets.extra"), exist_ok=True)
    with open(os.path.join(folder, "assets.extra", FILE_NAME), "w", encoding="utf-8") as file:
        json.dump(metadata, file, indent=1)


def read_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """Return what an exported model says about itself; loads neither TensorFlow nor Keras.

    Args:
        path: a `.tflite` or `.onnx` file or a SavedModel folder written by `kseg.export`.
    Returns:
        dict with `task`, `threshold`, `classes`, `label_set` (see `LabelSet.from_dict`), `input`, `normalization`,
        `output`, `quantize`.
    Raises:
        FileNotFoundError: if nothing stands at `path`.
        ValueError: if kseg did not write it.
        ImportError: for an ONNX file, if onnx is not installed.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(checks.sentence("path", "must be a .tflite or .onnx file or a SavedModel folder", path,
                                                "Check the spelling of the path."))
    metadata = found_metadata(path)
    if metadata is None:
        raise ValueError(checks.sentence(
            "path", f"must be a model exported by kseg, with {FILE_NAME} inside", path,
            "Export it again with kseg.export."))
    return metadata


def found_metadata(model: str | bytes) -> dict[str, Any] | None:
    """Return the description in a SavedModel folder, an ONNX file or a TFLite file; None if there is none.

    Args:
        model: the path, or the content of a TFLite file.
    """
    if isinstance(model, str) and model.lower().endswith(".onnx"):
        return _in_onnx(model)
    try:
        if isinstance(model, str) and os.path.isdir(model):
            with open(os.path.join(model, "assets.extra", FILE_NAME), encoding="utf-8") as file:
                return _object(file.read())
        with zipfile.ZipFile(io.BytesIO(model) if isinstance(model, bytes) else model) as files:
            if files.getinfo(FILE_NAME).file_size > _LONGEST:
                return None
            return _object(files.read(FILE_NAME))
    except (OSError, KeyError, ValueError, RecursionError, EOFError, RuntimeError, NotImplementedError, zlib.error,
            zipfile.BadZipFile):
        return None


def _in_onnx(path):
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as failure:
        raise checks.missing("path", "the package onnx", path, "onnx") from failure
    try:
        model = onnx.load_model(path, load_external_data=False)
    except DecodeError:
        return None
    return in_properties({entry.key: entry.value for entry in model.metadata_props})
