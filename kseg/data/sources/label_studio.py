"""Label Studio's JSON export ("label_studio"): a list of tasks, each an image and its annotations.

Read are brushes, polygons, rectangles and ellipses, the latter two also turned; key points and vectors have no area.
What stands later covers what stands earlier (`overlap="listed"`).
"""

import contextlib
import dataclasses
import os
import re
import typing
import urllib.parse

import numpy as np

from kseg import checks
from kseg.data import drawing, outlines, painted_masks
from kseg.data.label_ids import Classes
from kseg.data.sources import annotation_files, untrusted
from kseg.data.sources.base import SPLITS
from kseg.data.sources.class_names import NamedClasses
from kseg.data.sources.patterns import IMAGE_SUFFIXES
from kseg.data.sources.tools import Figure, ToolSource

_LAYOUTS = ("{split}.json", "{split}/*.json", "annotations/{split}.json")
_WHOLE = ("*.json",)
_SHAPES = {"rle": "brush", "points": "polygon", "radiusX": "ellipse", "height": "rectangle",
           "vertices": "vector", "imageDataURL": "bitmask", "x": "keypoint"}  # by the first of these that is there


def _percent(value, keys, sides, where):
    """Return numbers in percent of sides of the image in pixels."""
    return [untrusted.number(value.get(key), key, where) / 100 * side for key, side in zip(keys, sides)]


def _brush(record, class_id, height, width, where):
    mask = painted_masks.brush_mask(record["value"]["rle"], height, width, where)
    return painted_masks.placed(class_id, mask, 0, 0, height, width, where)


def _polygon(record, class_id, height, width, where):
    corners = untrusted.value(record["value"], "points", list, where)
    ring = np.array(untrusted.points(corners, len(corners), "points", where)).reshape(-1, 2) / 100 * (width, height)
    return drawing.polygon_region(class_id, [ring], height, width, where=where)


def _rectangle(record, class_id, height, width, where):
    value = record["value"]
    left, top, wide, high = _percent(value, ("x", "y", "width", "height"), (width, height, width, height), where)
    degrees = untrusted.number(value.get("rotation") or 0, "rotation", where)
    corners = outlines.rectangle(left, top, left + wide, top + high, degrees, about=(left, top))
    return drawing.polygon_region(class_id, [corners], height, width, where=where)


def _ellipse(record, class_id, height, width, where):
    value = record["value"]
    x, y, a, b = _percent(value, ("x", "y", "radiusX", "radiusY"), (width, height, width, height), where)
    degrees = untrusted.number(value.get("rotation") or 0, "rotation", where)
    return outlines.ellipse_region(class_id, (x, y), (a, b), degrees, height, width, where)


@dataclasses.dataclass(frozen=True, eq=False)
class LabelStudioSource(ToolSource):
    """Images with Label Studio's regions; class 0 is the background, then come the labels of all splits, sorted.

    `classes` replaces those labels; then every label must be among them. `background` and `_background_` are class 0;
    `ignore`, `__ignore__` and `void` become 255. A region without a label is left out.

    Of a task's annotations that nobody cancelled, the one marked as ground truth is read, or else the first. A task
    without any was not labelled yet and is left out; one whose annotation is empty is background alone.

    The file of a split is `train.json` or the only one in `train`; the only one in `data_dir` is "train". An image is
    looked for by the path that the task names, as much of its first folders left out as is needed, in every folder
    that is usual below `data_dir`, and without the eight digits that an upload puts before its name. Addresses on
    the net are not loaded, only looked for likewise.

    Example:
        >>> train = kseg.data.load("label_studio", "train", data_dir="photos", image_size=(256, 256))
        >>> own = kseg.data.source("label_studio", data_dir="photos", annotations="project-1.json")
    """

    DRAWN = {"brush": _brush, "polygon": _polygon, "rectangle": _rectangle, "ellipse": _ellipse}
    WITHOUT_AREA = ("keypoint", "vector", "region without a label")

    results: tuple[list[dict], ...] = ()

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             classes: Classes | None = None, annotations: str | os.PathLike | None = None, overlap: str = "listed",
             problems: list | None = None) -> typing.Self:
        """Return the source of a split; arguments as `kseg.data.source`."""
        checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
        path = annotation_files.find_file(name, data_dir, split, annotations, _LAYOUTS, _WHOLE)
        tasks = _tasks(path, problems)
        named = (NamedClasses.chosen(classes) if classes is not None
                 else _all_classes(name, data_dir, annotations, path, tasks))
        folders = annotation_files.image_folders(data_dir, split, path)
        images = _images([name for name, _ in tasks], folders, path, data_dir, problems)
        kept = [(image, results) for image, (_, results) in zip(images, tasks) if image is not None]
        return cls.of(name, split, [(image, path) for image, _ in kept], named.label_set, channels=channels,
                      overlap=overlap, classes=named, results=tuple(results for _, results in kept))

    def figures(self, index: int) -> tuple[typing.Any, list[Figure]]:
        image, path = self.pairs[index]
        labelled = {str(result.get("id")) for result in self.results[index] if _labels(result)}
        found, sizes = [], {}
        for number, result in enumerate(self.results[index]):
            where = f"{path!r}, result number {number} of {image!r}"
            value, labels = result.get("value"), _labels(result)
            kind = next((kind for key, kind in _SHAPES.items() if isinstance(value, dict) and key in value), None)
            if kind is None or (not labels and str(result.get("id")) in labelled):
                continue  # about the whole image, or the outline of a region that comes with its label too
            if len(labels) > 1 or result.get("image_rotation"):
                raise ValueError(checks.sentence(
                    "result", f"must have one label, and an image that was not rotated, in {where}",
                    {"labels": labels, "image_rotation": result.get("image_rotation")}, "Correct it in Label Studio."))
            sizes[tuple(untrusted.number(result.get(f"original_{side}"), f"original_{side}", where)
                        for side in ("height", "width"))] = where
            found.append(Figure(kind if labels else "region without a label", *labels[:1] or [None], result, where))
        return (next(iter(sizes)) if len(sizes) == 1 else list(sizes) or None), found


def _all_classes(name, data_dir, annotations, path, tasks):
    """Return the classes of the labels of all splits, so that an id means the same in each."""
    found = {path: tasks}
    for split in SPLITS:
        with contextlib.suppress(ValueError, OSError):  # whoever opens that split says what is wrong with it
            other = annotation_files.find_file(name, data_dir, split, annotations, _LAYOUTS, _WHOLE)
            found[other] = found.get(other) or _tasks(other, [])
    results = [result for tasks in found.values() for _, results in tasks for result in results]
    return NamedClasses.of(sorted({label for result in results for label in _labels(result)}))


def _tasks(path, problems):
    """Return (path of the image as it is named, results of the annotation that counts) of each labelled task."""
    found = []
    for number, task in enumerate(untrusted.read_json(path, list, _compact)):
        where = f"{path!r}, task number {number}"
        try:
            if not isinstance(task, dict) or "annotations" not in task:
                raise ValueError(checks.sentence("annotations", f"must be a list in {where}", task,
                                                 "Export the project as 'JSON', not as 'JSON-MIN'."))
            living = [row for row in untrusted.rows(task, "annotations", where) if not row.get("was_cancelled")]
            if living:
                chosen = next((row for row in living if row.get("ground_truth")), living[0])
                found.append((_image_name(untrusted.value(task, "data", dict, where), where),
                              untrusted.rows(chosen, "result", where)))
        except ValueError as failure:
            annotation_files.report(problems, "unreadable labels", path, str(failure))
    return found


def _compact(record):
    """Return an object of the file with its run lengths as bytes, which take an eighth of the memory."""
    if isinstance(record.get("rle"), list):
        with contextlib.suppress(TypeError, ValueError):  # `painted_masks` says what is wrong with them
            record["rle"] = bytes(record["rle"])
    return record


def _labels(result):
    """Return the labels of a result, texts."""
    value = result.get("value")
    lists = [value[key] for key in value if key.endswith("labels")] if isinstance(value, dict) else []
    return [label for labels in lists if isinstance(labels, list) for label in labels if isinstance(label, str)]


def _image_name(data, where):
    """Return the path in a task's data: that of "image", else of the only entry that ends as an image does."""
    found = {key: _path(text) for key, text in data.items() if isinstance(text, str)}
    images = [name for name in found.values() if name.lower().endswith(IMAGE_SUFFIXES)]
    if not found.get("image") and len(images) != 1:
        raise ValueError(checks.sentence("data", f"must name one image, best as 'image', in {where}", data,
                                         "Keep one image per task, or rename its entry."))
    return found.get("image") or images[0]


def _path(text):
    """Return the path of an address: of `/data/local-files/?d=a/b.jpg`, what comes after `d=`."""
    try:
        parts = urllib.parse.urlsplit(text)
    except ValueError:
        return text
    return urllib.parse.parse_qs(parts.query).get("d", [urllib.parse.unquote(parts.path)])[0]


def _images(names, folders, path, data_dir, problems):
    """Return the paths of the images, as `find_images`; a name may lack the eight digits that an upload has."""
    def there(name):
        return annotation_files.find_images([name], folders, path, data_dir, [])[0] is not None

    plain = [re.sub(r"(^|/)[0-9a-f]{8}-([^/]+)$", r"\1\2", name) for name in names]
    chosen = [short if short != name and not there(name) and there(short) else name
              for name, short in zip(names, plain)]
    return annotation_files.find_images(chosen, folders, path, data_dir, problems)
