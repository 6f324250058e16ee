"""The page that segments images in a browser: its files, and `model.json`, which tells it about one model.

`kseg.export.web_page` writes them into a folder, with the model; a server gives them out of the package. The format of
`model.json`, and what an engine is, stands at the head of `segment/app.js`.
"""

import json
import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

from kseg import checks, tasks
from kseg.labels import LabelSet

_PAGES = pathlib.Path(__file__).parent
_SHARED = ("index.html", "segment.css", "app.js", "viewer.js", "camera.js", "png.js", "file_address.js")
_ENGINES = {"litert": ("engine_litert.js", "litert_worker.js", "pixels.js"), "server": ("engine_server.js",)}


def files(engine: str) -> dict[str, pathlib.Path]:
    """Return the files of the page but `model.json`: name -> where it lies in the package.

    Args:
        engine: "litert" or "server".
    Raises:
        ValueError: for any other engine.
    """
    names = (*_SHARED, *_ENGINES[checks.one_of("engine", engine, _ENGINES)])
    return {"style.css": _PAGES / "style.css", **{name: _PAGES / "segment" / name for name in names}}


def manifest(engine: str, *, title: str, about: str, label_set: LabelSet, task: str, threshold: tasks.Threshold,
             channels: int, image_size: tuple[int, int] | None, examples: Sequence[tuple[str, str]] = (),
             details: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what `model.json` holds, JSON-ready.

    Args:
        engine: "litert" or "server".
        title: str, heading of the page.
        about: str, a sentence or two below it.
        label_set: `LabelSet` of the model.
        task: name of its task.
        threshold: of the task "binary" or "multilabel"; None for "multiclass".
        channels: int, bands of the pixels: 1 or 3.
        image_size: `(height, width)` in pixels if the model takes no other, else None.
        examples: (address relative to the page, name) of images offered.
        details: what the engine alone needs, JSON-ready.
    Raises:
        ValueError: for an unknown engine, or where `channels` is neither 1 nor 3.
    """
    import kseg

    checks.one_of("channels", channels, (1, 3), "A browser opens grey and RGB images alone: use kseg.predict.")
    checks.one_of("engine", engine, _ENGINES)
    return {
        "format": 1, "kseg_version": kseg.__version__, "engine": engine, "title": title, "about": about, "task": task,
        "classes": [{"name": name, "color": color} for name, color in zip(label_set.names, label_set.palette.tolist())],
        "ignore": {"id": label_set.ignore_class, "color": list(label_set.ignore_color)},
        "threshold": threshold if threshold is None or isinstance(threshold, (int, float)) else list(threshold),
        "input": {"channels": channels, "image_size": None if image_size is None else list(image_size)},
        "examples": [{"file": file, "name": name} for file, name in examples],
        engine: details or {},
    }


def write(folder: str | os.PathLike, contents: dict[str, Any]) -> None:
    """Write the files of the page and `contents`, a `manifest`, as `model.json` into an existing folder."""
    folder = pathlib.Path(folder)
    for name, source in files(contents["engine"]).items():
        shutil.copyfile(source, folder / name)
    (folder / "model.json").write_text(json.dumps(contents, indent=1) + "\n", encoding="utf-8")
