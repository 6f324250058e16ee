"""What the files of a folder say, so that two folders can be compared: times and dates left out, weights bit for bit.

Loads no TensorFlow's runtime: whoever forks processes may call it.
"""

import csv
import io
import json
import pathlib
import re
import zipfile

import h5py
import numpy as np
from PIL import Image

_TIMES = {"seconds", "seconds_an_epoch", "started", "resumed", "milliseconds", "date_saved",
          "shared_object_id"}  # an address in memory
_LOGS = "tensorboard"  # every start of a run begins a file of events


class Half(Exception):
    """A file that is there is not whole."""


def contents(folder):
    """Return relative path -> what the file says, of every file of a finished name below `folder`.

    Raises:
        Half: if a file cannot be read to its end.
    """
    root, found = pathlib.Path(folder), {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if path.is_file() and _LOGS not in name.parts and not unfinished(name):
            try:
                found[str(name)] = _json(path, root) if path.suffix == ".json" else _said(path)
            except Exception as failure:
                raise Half(f"{name}: {failure!r}") from failure
    return found


def unfinished(name):
    """Return whether a relative path is one of a file being written, which no reader takes."""
    return any(part.startswith(".") or part.endswith((".part", ".lockfile")) or "tempstate" in part
               for part in pathlib.PurePath(name).parts)


def left_behind(folder):
    """Return the relative paths of unfinished files and folders below `folder`."""
    root = pathlib.Path(folder)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if unfinished(path.relative_to(root)))


def _said(path):
    return _READERS.get(path.suffix, pathlib.Path.read_bytes)(path)


def _keras(path):
    with zipfile.ZipFile(path) as file:
        if file.testzip() is not None:
            raise ValueError("a damaged zip file")
        weights = {}
        with h5py.File(io.BytesIO(file.read("model.weights.h5"))) as stored:
            stored.visititems(lambda name, one: weights.update({name: one[()].tobytes()})
                              if isinstance(one, h5py.Dataset) else None)
        return _timeless(json.loads(file.read("config.json"))), weights


def _arrays(path):
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    facts = arrays.pop("facts", None)
    return (None if facts is None else _timeless(json.loads(facts.tobytes())),
            {name: (array.shape, array.tobytes()) for name, array in arrays.items()})


def _array(path):
    array = np.load(path)
    return array.shape, str(array.dtype), array.tobytes()


def _table(path):
    return [_timeless(row) for row in csv.DictReader(io.StringIO(path.read_text()))]


def _json(path, root):
    return _timeless(json.loads(path.read_text().replace(str(root), "")))  # recipes name files of earlier stages


def _picture(path):
    with Image.open(path) as image:
        return image.size, image.tobytes()


def _page(path):
    text = path.read_text()
    if "</html>" not in text[-20:]:
        raise ValueError("a page without an end")
    return text


def _timeless(values):
    if isinstance(values, dict):
        kept = {key: _timeless(value) for key, value in values.items() if key not in _TIMES}
        if isinstance(kept.get("name"), str):  # Keras counts the optimisers that a process has made
            kept["name"] = re.sub(r"^(adam_w|sgd)_\d+$", r"\1", kept["name"])
        return kept
    return [_timeless(value) for value in values] if isinstance(values, list) else values


_READERS = {".keras": _keras, ".npz": _arrays, ".npy": _array, ".csv": _table, ".html": _page,
            ".png": _picture, ".jpg": _picture}
