"""A folder with a page that runs a model in the browser: static files, for any web server, nothing to build."""

import os
import pathlib
import shutil
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from kseg import checks, files, pictures
from kseg.export import litert_runtime
from kseg.export.parity_report import ParityReport
from kseg.export.tflite import tflite
from kseg.inference.images import open_image
from kseg.inference.metadata import read_metadata
from kseg.inference.runners.tflite import TFLiteModel
from kseg.labels import LabelSet
from kseg.pages import segment_page
from kseg.pretrained.load import load_model

MODEL_FILE = "model.tflite"
MANIFEST = "model.json"
_SHOWN_BY_BROWSERS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".avif")
_ABOUT = "{} classes. Images are segmented in this browser: none leaves this device."


def web_page(model: keras.Model | str | os.PathLike, folder: str | os.PathLike,
             image_size: Sequence[int] | None = None, quantize: str | None = None,
             calibration: tf.data.Dataset | np.ndarray | None = None, *, examples: Sequence[Any] = (),
             title: str | None = None, runtime: str | os.PathLike | None = None, maximum_megabytes: float = 100.0,
             images: np.ndarray | None = None, evaluate_on: Iterable | None = None,
             minimum_agreement: float | None = None, label_set: LabelSet | None = None,
             overwrite: bool = False) -> ParityReport | None:
    """Write a page that segments images in the browser, by LiteRT.js, as `kseg.predict` does in Python.

    The folder holds `index.html`, its scripts, `model.tflite` and `model.json` (classes, palette, sizes). Any web
    server gives it out as it is, such as `python -m http.server`; opened as a file it only says so. The page decodes,
    turns (EXIF), resizes and decides as `kseg.predict`; images stay in the browser. WebGPU is used where it gives the
    labels that WebAssembly gives. LiteRT.js is fetched from jsDelivr, a public network of copies of npm's packages, in
    one version, each file compared with its hash; or from the folder itself with `runtime`.

    Args:
        model: `keras.Model` of kseg, or the path or name of one, which is exported by `kseg.export.tflite`, with its
            proof; or the path of a `.tflite` file of kseg, which is taken as it is.
        folder: str or path of the folder; missing ones above it are made.
        image_size: (height, width) in pixels that the exported file takes; the page resizes any image to it. None for
            a `.tflite` file, which has one.
        quantize, calibration, images, evaluate_on, minimum_agreement, label_set: as in `kseg.export.tflite`; None for a
            `.tflite` file. With "int8_float_io" and "int8" the file is a quarter as large.
        examples: images offered on the page: paths, PIL images or uint8 arrays `[H, W, channels]`.
        title: str, heading of the page, or None (the model's name).
        runtime: for networks without internet, the folder in which npm installed LiteRT.js (`npm install
            @litertjs/core@2.5.3 @litertjs/wasm-utils@2.5.3`): what the page needs of it is copied, 29 MB. None: the
            page fetches 10 MB when it is first opened.
        maximum_megabytes: float, the largest model (millions of bytes) that may be written: visitors download it.
        overwrite: bool, whether an existing page may be replaced.
    Returns:
        `ParityReport` of the exported file; None for a `.tflite` file.
    Raises:
        ValueError: if the model is larger than allowed, takes other bands than 1 or 3 or numbers of more than 8 bits,
            answers for less than the image, or its comparison fails (see `kseg.export.tflite`).
        FileExistsError: if `folder` exists.
        FileNotFoundError: if a file is missing.
        OSError: if the disk refuses.
    """
    checks.number_between("maximum_megabytes", maximum_megabytes, 0, 2000, exclude=(0,))
    packages = None if runtime is None else litert_runtime.checked_packages(runtime)
    path = None if isinstance(model, keras.Model) else os.fspath(model)
    made = path is not None and path.lower().endswith(".tflite")
    given = {"image_size": image_size, "quantize": quantize, "calibration": calibration, "images": images,
             "evaluate_on": evaluate_on, "minimum_agreement": minimum_agreement, "label_set": label_set}
    if made:
        _nothing_given(given)
        checks.existing_file("model", path, "Give a .tflite file of kseg, or a .keras file.")
    else:
        model = model if path is None else load_model(path, compile=False)
        checks.image_size(image_size)
        _eight_bits(getattr(model, "pixel_range", None))
    with files.draft(folder, overwrite=overwrite, folder_with=MANIFEST) as temporary, files.refusals(folder):
        os.makedirs(temporary)
        target, report = os.path.join(temporary, MODEL_FILE), None
        if made:
            shutil.copyfile(path, target)
        else:
            report = tflite(model, target, **given)
            report.path = os.path.join(os.fspath(folder), MODEL_FILE)
            report.save(f"{target}.parity.json")
        _check_size(target, maximum_megabytes)
        segment_page.write(temporary, _manifest(target, temporary, examples, title, packages))
        if packages is not None:
            litert_runtime.copy(packages, os.path.join(temporary, "runtime"))
    return report


def _manifest(path, folder, examples, title, packages):
    """Return what `model.json` says of the TFLite file at `path`; the examples are written into `folder`."""
    described, run = read_metadata(path), TFLiteModel(path)
    _eight_bits(run.pixel_range)
    if run.margin or run.image_size is None:
        raise ValueError(checks.sentence(
            "model", "must answer for the whole of an image of one size", f"{run.shape}, {run.margin} pixels less on "
            "every side", "Build the network with padding; kseg.predict tiles the image for one without."))
    stored, answered = run.storage()
    labels = LabelSet.from_dict(described["label_set"])
    return segment_page.manifest(
        "litert", title=title or described["model"], about=_ABOUT.format(len(labels)), label_set=labels,
        task=run.task.name, threshold=run.threshold, channels=run.in_channels, image_size=run.image_size,
        examples=_written(examples, folder, run.in_channels), details={
            "model": {"file": MODEL_FILE, "bytes": os.path.getsize(path),
                      "integrity": litert_runtime.integrity_of(path)},
            "input": stored,
            "output": {**answered, "shape": [*run.image_size, run.classes], "votes": run.labels_only},
            "runtime": {"version": litert_runtime.VERSION,
                        "files": litert_runtime.addresses(local=packages is not None)}})


def _written(examples, folder, channels):
    """Write the examples into `folder`; return their (address, name)."""
    if isinstance(examples, (str, os.PathLike, np.ndarray)):
        raise TypeError(checks.sentence("examples", "must be a list of images", type(examples).__name__,
                                        "Put the one image into a list."))
    result = []
    for number, example in enumerate(examples, 1):
        source = pathlib.Path(example) if isinstance(example, (str, os.PathLike)) else None
        name = f"image {number}" if source is None else source.name
        suffix = source.suffix.lower() if source is not None else ""
        address = f"examples/{number}{suffix if suffix in _SHOWN_BY_BROWSERS else '.png'}"
        target = os.path.join(folder, address)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        pixels = open_image(example, channels, "examples")  # a broken one is found now, not by a visitor
        if suffix in _SHOWN_BY_BROWSERS:
            shutil.copyfile(source, target)
        else:
            Image.fromarray(pictures.as_rgb(np.asarray(pixels))).save(target)
        result.append((address, name))
    return result


def _nothing_given(arguments):
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(checks.sentence(name, "must be None for a .tflite file, which is taken as it is",
                                             value if isinstance(value, (str, int, float, tuple, list))
                                             else type(value).__name__, "Give the .keras file to export it anew."))


def _eight_bits(pixel_range):
    if pixel_range is not None:
        raise ValueError(checks.sentence(
            "model", "must take pixels of 8 bits, the only ones that browsers open", f"a pixel_range of "
            f"{pixel_range.to_list()}", "Use kseg.predict or TensorFlow Serving for images of more bits."))


def _check_size(path, maximum):
    size = os.path.getsize(path) / 1e6
    if size > maximum:
        raise ValueError(checks.sentence(
            "maximum_megabytes", f"must be at least the {size:.1f} million bytes of the model, which every visitor of "
            "the page downloads", maximum, 'Export with quantize="int8_float_io" or a smaller encoder, or raise it.'))
