"""What a deployed model says about itself: class names, palette, pixel range. NumPy and the standard library only."""

import io
import json
import os
import zipfile

from kseg import checks
from kseg.labels import LabelSet

FILE_NAME = "kseg.json"


def describe(model, *, kind, label_set=None, image_size=(None, None), output="logits", quantize=None, **details):
    """Return the description stored with an exported model, JSON-ready.

    Args:
        model: the `keras.Model` that was exported.
        kind: "saved_model" or "tflite".
        label_set: `LabelSet` or None (the model's own, else numbered classes).
        image_size: (height, width) in pixels; None for any.
        output: "logits" or "labels".
        quantize: None or the kind of quantisation.
        details: further entries, JSON-ready.
    """
    import kseg

    classes = int(model.outputs[0].shape[-1])
    label_set = chosen_label_set(model, classes, label_set)
    normalize = next((layer for layer in _all_layers(model) if type(layer).__name__ == "NormalizePixels"), None)
    return {
        "format": 1,
        "kseg_version": kseg.__version__,
        "kind": kind,
        "model": model.name,
        "classes": classes,
        "label_set": label_set.to_dict(),
        "input": {"name": "pixels", "channels": int(model.inputs[0].shape[-1]), "order": "RGB", "range": [0, 255],
                  "image_size": list(image_size)},
        "normalization": {"inside_the_graph": True, "mean": normalize.mean if normalize else None,
                          "std": normalize.std if normalize else None},
        "output": output,
        "quantize": quantize,
        **details,
    }


def chosen_label_set(model, classes, label_set=None):
    """Return `label_set`, or else the model's own, or else numbered classes; its length must be `classes`."""
    label_set = label_set or getattr(model, "label_set", None) or LabelSet.generic(classes)
    if len(label_set) != classes:
        raise ValueError(checks.sentence(
            "label_set", f"must name the {classes} classes of the model", list(label_set.names),
            "Pass the label set the model was trained on."))
    return label_set


def _all_layers(model):
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _all_layers(layer)


def append_to_tflite(content, metadata):
    """Return the TFLite file `content` (bytes) with `metadata` and the class names packed behind it as a ZIP archive.

    That is where TFLite's own metadata keeps associated files: runtimes ignore it, and any unzip program lists it.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as files:
        for name, text in ((FILE_NAME, json.dumps(metadata, indent=1)),
                           ("labels.txt", "\n".join(metadata["label_set"]["names"]) + "\n")):
            files.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), text)  # equal exports, equal files
    return content + archive.getvalue()


def read_metadata(path):
    """Return what an exported model says about itself; loads neither TensorFlow nor Keras.

    Args:
        path: a `.tflite` file or a SavedModel folder written by `kseg.export`.
    Returns:
        dict with `classes`, `label_set` (see `LabelSet.from_dict`), `input`, `normalization`, `output`, `quantize`.
    Raises:
        FileNotFoundError: if nothing stands at `path`.
        ValueError: if kseg did not write it.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(checks.sentence("path", "must be a .tflite file or a SavedModel folder", path,
                                                "Check the spelling of the path."))
    try:
        if os.path.isdir(path):
            with open(os.path.join(path, "assets.extra", FILE_NAME), encoding="utf-8") as file:
                return json.load(file)
        with zipfile.ZipFile(path) as files:
            return json.loads(files.read(FILE_NAME))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as failure:
        raise ValueError(checks.sentence(
            "path", f"must be a model exported by kseg, with {FILE_NAME} inside", path,
            "Export it again with kseg.export.tflite or kseg.export.saved_model.")) from failure
