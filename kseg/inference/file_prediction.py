"""Prediction on files and folders: indexed PNGs, overlays, and a sheet to look at."""

import collections
import functools
import itertools
import os
from collections.abc import Iterable, Sequence

import numpy as np

from kseg import checks, pictures, tasks
from kseg.inference import label_files, scenes
from kseg.inference.begun import Begun
from kseg.inference.metadata import known_labels
from kseg.inference.predict import Model, Predictor
from kseg.inference.progress import progress_bar
from kseg.labels import LabelSet

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy", ".dcm",
              ".nii", ".nii.gz")
_SHEET_PIXELS = 4_000_000  # larger images are thinned out for the sheet
_OVERLAY_PIXELS = 100_000_000  # and for overlays, which are to be looked at and would take gigabytes


def predict_files(model: Model, inputs: str | os.PathLike | Iterable[str | os.PathLike],
                  output_dir: str | os.PathLike, *, label_set: LabelSet | None = None, overlays: bool = True,
                  sheet: bool = True, opacity: float = 0.5, sheet_rows: int = 12, overwrite: bool = False,
                  batch_size: int = 4, window: int | Sequence[int] | None = None, overlap: float = 0.5,
                  blend: str = "hann", scales: float | Sequence[float] = (1.0,), flip: bool = False,
                  threshold: tasks.Threshold = None, progress: bool = False, polygons: bool = False) -> list[str]:
    """Segment image files and write what comes out.

    Below `output_dir`: `labels/NAME.png` (indexed, the stored values are the class ids), `overlays/NAME.png` (above
    100 million pixels every second row and column, or fewer) and `sheet.png` (image, overlay, prediction, a legend).
    The stored values of a binary model are 0 and 1; a multi-label model writes a file for each of its classes,
    `labels/CLASS/NAME.png`, which `kseg.data` reads as labels. Folders are searched with their subfolders, which are
    kept.

    A GeoTIFF with a place on earth (extra `geo`) gives `labels/NAME.tif` instead, in the same place, 255 where it has
    no data. It is read and written by windows (of 1024×1024 above four million pixels, unless `window` is given), so
    that memory does not grow with it. A NIfTI volume (extra `medical`) gives `labels/NAME.nii.gz`, slice by slice along
    the third axis, with its affine; overlay and sheet show the slice in the middle.

    The same call again goes on after one that was killed: images whose files are all there are not segmented again,
    but for the first ones, which the sheet shows. It does so for a model given by its path or name, and without
    `overwrite`.

    Args:
        model: a `keras.Model`, or the path of a `.keras`, `.tflite` or `.onnx` file or a SavedModel folder.
        inputs: path of an image file or of a folder, or a list of such.
        output_dir: str or path; made if missing.
        label_set: `LabelSet` or None (the model's own, else numbered classes).
        overlays: bool, whether overlays are written.
        sheet: bool, whether the sheet is written.
        opacity: float in [0, 1], of the labels in overlays.
        sheet_rows: int, images on the sheet at most.
        overwrite: bool, whether label files and a sheet that are there may be replaced.
        batch_size, window, overlap, blend, scales, flip, threshold: as in `kseg.predict`.
        progress: bool, whether a bar is drawn in the terminal.
        polygons: bool, whether `polygons/NAME.geojson` is written too, the connected areas of each class in longitude
            and latitude; for images with a place on earth.
    Returns:
        list of str, the paths written, the labels first.
    Raises:
        FileNotFoundError: if an input is missing, or no image file lies in a folder.
        FileExistsError: if a label file or the sheet is there, not by the same call killed, and `overwrite` is False.
        ValueError: if an image cannot be read, an argument is out of range, or polygons are asked for of an image
            without a place on earth.
    """
    output_dir = os.fspath(output_dir)
    predictor = Predictor(model, batch_size=batch_size, window=window, overlap=overlap, blend=blend, scales=scales,
                          flip=flip, threshold=threshold)
    run = predictor.run
    label_set = known_labels(label_set or run.label_set, run.classes, run.task)
    checks.number_between("opacity", opacity, 0, 1)
    checks.positive_integer("sheet_rows", sheet_rows)
    names = _named(inputs)
    kinds = {path: label_files.kind_for(path, run.in_channels, run.task) for path in names}
    placeless = next((path for path in names if kinds[path] is not label_files.GEOTIFF), None)
    if polygons and placeless is not None:
        raise ValueError(checks.sentence(
            "polygons", f"must be False for images without a place on earth, the first of which is {placeless!r}",
            polygons, "Give GeoTIFFs with a coordinate reference system, and install kseg[geo]."))
    targets = {path: label_paths(os.path.join(output_dir, "labels"), name + kinds[path].suffix, label_set, run.task)
               for path, name in names.items()}
    sheet_path = os.path.join(output_dir, "sheet.png")
    there = next(filter(os.path.exists, [*itertools.chain(*targets.values()), *([sheet_path] if sheet else [])]), None)
    begun = Begun(output_dir, model, names, [
        list(names.values()), label_set.to_dict(), overlays, sheet, opacity, sheet_rows, overwrite, polygons,
        window, overlap, blend, scales, flip, threshold])
    going_on = begun.here() and not overwrite
    if there is not None and not overwrite and not going_on:
        raise FileExistsError(checks.sentence("output_dir", "must not hold these files already", there,
                                              "Take another folder or pass overwrite=True."))
    written, painted, rows = [], [], []
    alone = len(names) == 1  # then the bar counts windows
    with begun.marked(), progress_bar(progress and not alone, len(names)) as advance:
        for path, name in names.items():
            areas = [os.path.join(output_dir, "polygons", f"{name}.geojson")] if polygons else []
            overlay = [os.path.join(output_dir, "overlays", f"{name}.png")] if overlays else []
            written.extend(targets[path])
            painted.extend(areas + overlay)
            shown = sheet and len(rows) < sheet_rows
            if going_on and not shown and all(map(os.path.exists, targets[path] + areas + overlay)):
                advance(1)
                continue
            pixels, labels = kinds[path].write(functools.partial(predictor, progress=progress and alone), path,
                                               targets[path], label_set, run.in_channels, run.pixel_range)
            for target in areas:
                scenes.write_polygons(target, targets[path][0], label_set)
            for target in overlay:
                pictures.write_picture(target, pictures.overlay(
                    *_thinned(pixels, labels, _OVERLAY_PIXELS), label_set, opacity))
            if shown:
                small, ids = _thinned(pixels, labels, _SHEET_PIXELS)
                rows.append((pictures.as_rgb(small), pictures.overlay(small, ids, label_set, opacity),
                             pictures.painted(ids, label_set)[0] if run.task.stacked else ids))
            del pixels, labels  # two large images at once would not fit
            advance(1)
        if sheet:
            painted.append(sheet_path)
            pictures.write_picture(sheet_path, pictures.sheet(
                rows, label_set, ("image", "overlay", "prediction"), list(names.values())[:len(rows)]))
    return written + painted


def _named(inputs):
    """Return the image files of `inputs`, sorted within each folder, path → name of its results."""
    found = {}
    for given in [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs:
        given = os.fspath(given)
        if os.path.isdir(given):
            found.update(image_files(given))
        else:
            checks.existing_file("inputs", given, "Give image files or folders of them.")
            found[given] = os.path.basename(given)
    return result_names(found)


def image_files(folder: str, name: str = "inputs") -> dict[str, str]:
    """Return the image files in a folder and its subfolders, sorted: path → path relative to the folder.

    Raises:
        FileNotFoundError: about the argument `name`, if there is none.
    """
    files = sorted(os.path.join(place, file) for place, _, names in os.walk(folder) for file in names
                   if file.lower().endswith(EXTENSIONS) and not file.startswith("."))
    if not files:
        raise FileNotFoundError(checks.sentence(
            name, f"must hold image files ({', '.join(EXTENSIONS)})", folder, "Give another folder."))
    return {path: os.path.relpath(path, folder) for path in files}


def result_names(found: dict[str, str], name: str = "inputs") -> dict[str, str]:
    """Return the names of images' results, from path → relative path: without extension, with it where two are equal.

    Raises:
        ValueError: about the argument `name`, if two are equal even so.
    """
    stems = {path: label_files.stem(relative) for path, relative in found.items()}
    equal = collections.Counter(stems.values())
    names = {path: found[path] if equal[stem] > 1 else stem for path, stem in stems.items()}
    twice = next((one for one, count in collections.Counter(names.values()).items() if count > 1), None)
    if twice is not None:
        raise ValueError(checks.sentence(name, "must have different file names", twice,
                                         "Predict the folders one by one, each into its own output folder."))
    return names


def label_paths(folder: str, name: str, label_set: LabelSet, task: tasks.Task) -> list[str]:
    """Return the paths of the label files of an image: one, or where labels are stacked one per class."""
    if not task.stacked:
        return [os.path.join(folder, name)]
    return [os.path.join(folder, class_name.replace("/", "-"), name) for class_name in label_set.names]


def _thinned(pixels, labels, most):
    """Return every so many rows and columns of an image and its labels, to leave at most about `most` pixels."""
    step = max(1, int(np.ceil(np.sqrt(labels.shape[0] * labels.shape[1] / most))))
    return np.asarray(pixels[::step, ::step]), np.asarray(labels[::step, ::step])
