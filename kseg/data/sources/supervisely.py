"""Supervisely's projects ("supervisely"): `meta.json` with the classes, and datasets with `ann` and `img` folders.

Read are polygons with holes, bitmaps and rectangles; points, lines and graphs have no area. What stands later in a
file covers what stands earlier (`overlap="listed"`). Corners are numbers of pixels here, not places between them: an
outline belongs to its figure, and that of a hole to the hole, as in Supervisely's own masks.
"""

import dataclasses
import os
import typing

import cv2
import numpy as np

from kseg import checks
from kseg.data import drawing, painted_masks
from kseg.data.label_ids import Classes
from kseg.data.sources import annotation_files, untrusted
from kseg.data.sources.base import SPLIT_NAMES
from kseg.data.sources.class_names import NamedClasses, colour_of
from kseg.data.sources.patterns import IMAGE_SUFFIXES
from kseg.data.sources.tools import Figure, ToolSource

_FAR = 1 << 20  # pixels; a corner beyond is taken to be there


def _polygon(record, class_id, height, width, where):
    points = untrusted.value(record, "points", dict, where)
    holes = untrusted.value(points, "interior", list, where) if "interior" in points else []
    exterior, *interior = (_corners(ring, height, width, where) for ring in (points.get("exterior"), *holes))
    left, top = np.clip(exterior.min(axis=0), 0, (width - 1, height - 1)).tolist()
    right, bottom = np.clip(exterior.max(axis=0), 0, (width - 1, height - 1)).tolist()
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    for ring, drawn in ((exterior, 1), *((hole, 0) for hole in interior)):
        cv2.fillPoly(mask, [ring], drawn, offset=(-left, -top))
    return drawing.Region(class_id, mask.astype(bool), top, left)


def _corners(ring, height, width, where):
    """Return the pixels at the corners of a ring, int32 `[n, 2]` (x, y)."""
    return np.clip(np.floor(drawing.checked_ring(ring, height, width, where)), -_FAR, _FAR).astype(np.int32)


def _rectangle(record, class_id, height, width, where):
    exterior = untrusted.value(record, "points", dict, where).get("exterior")
    (left, top), (right, bottom) = untrusted.points(exterior, 2, "exterior", where)
    return _polygon({"points": {"exterior": [[left, top], [right, top], [right, bottom], [left, bottom]]}}, class_id,
                    height, width, where)


def _bitmap(record, class_id, height, width, where):
    bitmap = untrusted.value(record, "bitmap", dict, where)
    (left, top), = untrusted.points([bitmap.get("origin")], 1, "origin", where)
    mask = painted_masks.png_mask(bitmap.get("data"), height, width, where, compressed=True)
    return painted_masks.placed(class_id, mask, int(top), int(left), height, width, where)


@dataclasses.dataclass(frozen=True, eq=False)
class SuperviselySource(ToolSource):
    """Images with Supervisely's objects; class 0 is the background, then come the classes of `meta.json` in its order.

    Their colours are the palette. `background` and `_background_` are class 0; `ignore`, `__ignore__` and `void` become
    255. Of a class that `classes` leaves out, nothing is drawn.

    The images of a split are in the dataset of that name (`train`, `val`, `test`), at any depth; where no dataset has
    such a name, all are "train".

    Example:
        >>> train = kseg.data.load("supervisely", "train", data_dir="project", image_size=(256, 256))
        >>> kseg.data.label_set("supervisely", data_dir="project").names
        ('background', 'car', 'person')
    """

    DRAWN = {"polygon": _polygon, "rectangle": _rectangle, "bitmap": _bitmap}
    WITHOUT_AREA = ("point", "line", "graph")

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             classes: Classes | None = None, overlap: str = "listed", problems: list | None = None) -> typing.Self:
        """Return the source of a split; arguments as `kseg.data.source`."""
        checks.existing_folder("data_dir", data_dir, "Pass the folder that holds the project, with its meta.json.")
        meta = os.path.join(data_dir, "meta.json")
        if not os.path.isfile(meta):
            raise FileNotFoundError(checks.sentence("data_dir", f"must hold the meta.json of {name!r}", str(data_dir),
                                                    annotation_files.what_is_there(data_dir)))
        content = untrusted.read_json(meta)
        rows = [(untrusted.value(row, "title", str, repr(meta)), colour_of(row.get("color")))
                for row in untrusted.rows(content, "classes", repr(meta))]
        named = NamedClasses.of([title for title, _ in rows], {title: colour for title, colour in rows if colour})
        named = named if classes is None else NamedClasses.chosen(classes, named)
        pairs = [pair for folder in _datasets(name, data_dir, split) for pair in _pairs(folder, data_dir, problems)]
        return cls.of(name, split, pairs, named.label_set, channels=channels, overlap=overlap, classes=named)

    def figures(self, index: int) -> tuple[typing.Any, list[Figure]]:
        path = self.pairs[index][1]
        content = untrusted.read_json(path)
        size = untrusted.value(content, "size", dict, repr(path))
        return (size.get("height"), size.get("width")), [
            Figure(_kind(row), row.get("classTitle"), row, f"{path!r}, object number {number}")
            for number, row in enumerate(untrusted.rows(content, "objects", repr(path)))]


def _kind(row):
    """Return the kind of an object; old files do not say it, but bitmaps alone have one."""
    return row.get("geometryType") or ("bitmap" if row.get("bitmap") else "polygon")


def _datasets(name, data_dir, split):
    """Return the datasets of a split, folders with `ann` and `img`."""
    found = sorted(where for where, folders, _ in os.walk(data_dir) if {"ann", "img"} <= set(folders))
    split_of = {word: one for one, words in SPLIT_NAMES.items() for word in words}
    splits = {folder: [split_of[part.casefold()] for part in os.path.relpath(folder, data_dir).split(os.sep)
                       if part.casefold() in split_of][:1] for folder in found}
    chosen = [folder for folder in found if splits[folder] == [split]]
    if not any(splits.values()) and split == "train":
        chosen = found
    if not chosen:
        raise FileNotFoundError(checks.sentence(
            "data_dir", f"must hold split {split!r} of {name!r}", data_dir,
            f"Expected the dataset {SPLIT_NAMES[split][0]!r} with folders 'ann' and 'img', but there are "
            f"{[os.path.relpath(folder, data_dir) for folder in found]}."))
    return chosen


def _pairs(folder, data_dir, problems):
    """Return [(image, annotation)] of a dataset: `img/a.jpg` with `ann/a.jpg.json`, in old projects `ann/a.json`."""
    images, annotations = ({file for file in os.listdir(os.path.join(folder, part)) if file.lower().endswith(suffixes)}
                           for part, suffixes in (("img", IMAGE_SUFFIXES), ("ann", (".json",))))
    pairs = {}
    for image in sorted(images):
        file = next((file for file in (image + ".json", os.path.splitext(image)[0] + ".json") if file in annotations),
                    None)
        if file is not None:
            pairs[os.path.join(folder, "img", image)] = os.path.join(folder, "ann", file)
    paired = {os.path.basename(path) for path in (*pairs, *pairs.values())}
    for file in sorted((images | annotations) - paired):
        path = os.path.join(folder, "img" if file in images else "ann", file)
        annotation_files.report(problems, "missing partner", path, checks.sentence(
            "data_dir", f"must hold a partner for every file; {path!r} has none", data_dir,
            "Add the missing file or remove this one."))
    return list(pairs.items())
