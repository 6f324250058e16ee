"""LabelMe's JSON files ("labelme"), one for each image, as the tool writes them.

Read are polygons, rectangles (upright or turned), circles and masks; lines and points have no area. A later shape
covers an earlier one, as in LabelMe's own export (`overlap="listed"`).
"""

import base64
import dataclasses
import math
import os
import typing

from kseg import checks
from kseg.data import drawing, outlines, painted_masks
from kseg.data.label_ids import Classes
from kseg.data.sources import annotation_files, untrusted
from kseg.data.sources.base import SPLIT_NAMES
from kseg.data.sources.class_names import NamedClasses
from kseg.data.sources.class_options import read_classes
from kseg.data.sources.tools import Figure, ToolSource

_LISTS = ("classes.txt", "labels.txt")  # kseg's name and that of LabelMe's examples


def _polygon(record, class_id, height, width, where):
    return drawing.polygon_region(class_id, [record.get("points")], height, width, where=where)


def _rectangle(record, class_id, height, width, where):
    (left, top), (right, bottom) = untrusted.points(record.get("points"), 2, "points", where)
    return drawing.polygon_region(class_id, [outlines.rectangle(left, top, right, bottom)], height, width, where=where)


def _circle(record, class_id, height, width, where):
    centre, edge = untrusted.points(record.get("points"), 2, "points", where)
    radius = math.dist(centre, edge)
    return outlines.ellipse_region(class_id, centre, (radius, radius), 0, height, width, where)


def _mask(record, class_id, height, width, where):
    """Return the region of a mask; its points are the first and the last of its pixels."""
    (left, top), (right, bottom) = untrusted.points(record.get("points"), 2, "points", where)
    mask = painted_masks.png_mask(record.get("mask"), height, width, where)
    left, top = int(left), int(top)
    size = (int(bottom) - top + 1, int(right) - left + 1)
    if mask.shape != size:
        raise ValueError(checks.sentence("mask", f"must have the size of the box of its points, {size}, in {where}",
                                         mask.shape, "Save the file again."))
    return painted_masks.placed(class_id, mask, top, left, height, width, where)


@dataclasses.dataclass(frozen=True, eq=False)
class LabelMeSource(ToolSource):
    """Images with LabelMe's shapes; class 0 is the background, then come the labels of all files, sorted.

    `classes`, or else `classes.txt` or `labels.txt` in `data_dir` (a name per line), replaces those labels: then every
    label must be among them, and opening is faster, for otherwise all files of all splits are read for their labels.
    `background` and `_background_` are class 0; `ignore`, `__ignore__` and `void` become 255.

    The files of a split are in its folder (`train`, `val`, `test`) at any depth; without such folders all are "train".
    `annotations` is another folder of JSON files. An image is the file that `imagePath` names, in any folder that is
    usual below `data_dir`, or else the one that is embedded.

    Example:
        >>> train = kseg.data.load("labelme", "train", data_dir="photos", image_size=(256, 256))
        >>> label_set = kseg.data.label_set("labelme", data_dir="photos")
    """

    DRAWN = {"polygon": _polygon, "rectangle": _rectangle, "oriented_rectangle": _polygon, "circle": _circle,
             "mask": _mask}
    WITHOUT_AREA = ("line", "linestrip", "point", "points")

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             classes: Classes | None = None, annotations: str | os.PathLike | None = None, overlap: str = "listed",
             problems: list | None = None) -> typing.Self:
        """Return the source of a split; arguments as `kseg.data.source`."""
        checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
        root = data_dir if annotations is None else _given_folder(os.fspath(annotations), data_dir)
        files = _files_of_split(name, root, split)
        named = _listed_classes(data_dir) if classes is None else NamedClasses.chosen(classes)
        if named is None:
            named = NamedClasses.of(sorted({label for path in _json_files(root) for label in _labels(path)}))
        of_folder = {os.path.dirname(path): path for path in files}  # looking for the usual folders takes long
        folders = {folder: annotation_files.image_folders(data_dir, split, path) for folder, path in of_folder.items()}
        pairs = [(image, path) for path in files
                 if (image := _image(path, folders[os.path.dirname(path)], data_dir, problems)) is not None]
        return cls.of(name, split, pairs, named.label_set, channels=channels, overlap=overlap, classes=named)

    def figures(self, index: int) -> tuple[typing.Any, list[Figure]]:
        path = self.pairs[index][1]
        content = untrusted.read_json(path)
        size = (content.get("imageHeight"), content.get("imageWidth"))
        shapes = untrusted.rows(content, "shapes", repr(path))
        return None if None in size else size, [
            Figure(shape.get("shape_type") or "polygon", shape.get("label"), shape, f"{path!r}, shape number {number}")
            for number, shape in enumerate(shapes)]

    def image(self, index: int) -> str | bytes:
        """Return the path of the image of pair `index`, or its content where it is embedded alone."""
        image, path = self.pairs[index]
        return image if image != path else _embedded(path)


def _given_folder(path, data_dir):
    """Return the folder that an argument `annotations` names, from `data_dir` or as it is."""
    below = os.path.join(data_dir, path)
    return below if os.path.isdir(below) else checks.existing_folder(
        "annotations", path, "Pass the folder of the JSON files, from data_dir or as it is.")


def _listed_classes(data_dir):
    """Return the classes of the first list in `data_dir`, or None."""
    for path in (os.path.join(data_dir, name) for name in _LISTS):
        if os.path.isfile(path):
            label_set, rows = read_classes(path)
            return NamedClasses.of(label_set.names, dict(zip(label_set.names, label_set.palette)) if rows else None)
    return None


def _files_of_split(name, root, split):
    """Return the JSON files of a split: below its folder, or if no split has one, for "train" all."""
    folders = {one: [path for path in (os.path.join(root, word) for word in SPLIT_NAMES[one]) if os.path.isdir(path)]
               for one in SPLIT_NAMES}
    if not any(folders.values()) and split == "train":
        folders[split] = [root]
    files = [path for folder in folders[split] for path in _json_files(folder)]
    if not files:
        raise FileNotFoundError(checks.sentence(
            "data_dir", f"must hold split {split!r} of {name!r}", root,
            f"Expected JSON files below {os.path.join(root, SPLIT_NAMES[split][0])}"
            f"{' or ' + root if split == 'train' else ''}. {annotation_files.what_is_there(root)}"))
    return files


def _json_files(folder):
    found = [os.path.join(where, file) for where, _, files in os.walk(folder) for file in files]
    return sorted(path for path in found if path.endswith(".json") and not os.path.basename(path).startswith("."))


def _labels(path):
    """Return the labels in a file, none of a broken one: whoever reads the pair says what is wrong with it."""
    try:
        shapes = untrusted.rows(untrusted.read_json(path), "shapes", path)
    except (ValueError, OSError):
        return set()
    return {shape["label"] for shape in shapes if isinstance(shape.get("label"), str)}


def _image(path, folders, data_dir, problems):
    """Return the path of the image of a JSON file, the file itself if it is embedded there, or None if it is missing.

    Of a broken file that is the path itself too: reading the pair says what is wrong with it.
    """
    try:
        content = untrusted.read_json(path)
        name = untrusted.value(content, "imagePath", str, repr(path))
    except ValueError:
        return path
    missing = []
    image, = annotation_files.find_images([name], folders, path, data_dir, missing)
    if image is None and content.get("imageData") is None:
        annotation_files.report(problems, *missing[0])
        return None
    return image or path


def _embedded(path):
    """Return the image in a JSON file, as it was encoded before."""
    content = untrusted.read_json(path)
    text = untrusted.value(content, "imageData", str, repr(path))
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as failure:
        raise ValueError(checks.sentence("imageData", f"must be an image as base64 text in {path!r}", text,
                                         f"The decoder says: {failure}. Save the file again.")) from failure
