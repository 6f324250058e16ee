"""CVAT's XML ("cvat"), as "CVAT for images 1.1" exports it: one file with the labels and the figures of all images.

Read are polygons, boxes, ellipses, each also turned, and masks; polylines, points, cuboids and skeletons have no area,
tags belong to the whole image. Of figures that overlap, the one of higher `z_order` is on top, of equal ones the later
in the file, as in CVAT (`overlap="listed"`).
"""

import dataclasses
import os
import typing

from kseg import checks
from kseg.data import drawing, outlines, painted_masks
from kseg.data.label_ids import Classes
from kseg.data.sources import annotation_files, cvat_xml, untrusted
from kseg.data.sources.base import SPLIT_NAMES
from kseg.data.sources.class_names import NamedClasses, colour_of
from kseg.data.sources.tools import Figure, ToolSource

_LAYOUTS = ("{split}/annotations.xml", "annotations/{split}.xml", "{split}.xml")
_WHOLE = ("annotations.xml", "annotations/annotations.xml", "annotations/default.xml")
_UNDIVIDED = ("", "default")  # what CVAT calls the subset of images that have none


def _numbers(record, keys, where):
    return [untrusted.number(cvat_xml.value(record, key, where), key, where) for key in keys]


def _degrees(record, where):
    return untrusted.number(record.get("rotation", "0"), "rotation", where)


def _polygon(record, class_id, height, width, where):
    corners = [pair.split(",") for pair in cvat_xml.value(record, "points", where).split(";")]
    return drawing.polygon_region(class_id, [corners], height, width, where=where)


def _box(record, class_id, height, width, where):
    corners = outlines.rectangle(*_numbers(record, ("xtl", "ytl", "xbr", "ybr"), where), _degrees(record, where))
    return drawing.polygon_region(class_id, [corners], height, width, where=where)


def _ellipse(record, class_id, height, width, where):
    x, y, a, b = _numbers(record, ("cx", "cy", "rx", "ry"), where)
    return outlines.ellipse_region(class_id, (x, y), (a, b), _degrees(record, where), height, width, where)


def _mask(record, class_id, height, width, where):
    left, top, columns, rows = (int(number) for number in _numbers(record, ("left", "top", "width", "height"), where))
    if not (0 < rows <= height and 0 < columns <= width):
        raise ValueError(checks.sentence("mask", f"must be no larger than the picture, {(height, width)}, in {where}",
                                         (rows, columns), "Export the annotations again."))
    mask = painted_masks.row_runs_mask(cvat_xml.value(record, "rle", where), rows, columns, where)
    return painted_masks.placed(class_id, mask, top, left, height, width, where)


@dataclasses.dataclass(frozen=True, eq=False)
class CvatSource(ToolSource):
    """Images with CVAT's figures; class 0 is the background, then come the labels in the file's order, in its colours.

    `background` and `_background_` are class 0; `ignore`, `__ignore__` and `void` become 255. Of a label that `classes`
    leaves out, nothing is drawn. An image without figures is background alone.

    The split is the `subset` of an image ("Train", "Validation", "Test"; none is "train"), or that of the file:
    `train/annotations.xml` or `train.xml`. Images are in `images`, in `images/<subset>`, or in any other usual folder.

    Example:
        >>> train = kseg.data.load("cvat", "train", data_dir="street", image_size=(256, 256))
        >>> cars = kseg.data.source("cvat", data_dir="street", classes=["background", "car"])
    """

    DRAWN = {"polygon": _polygon, "box": _box, "ellipse": _ellipse, "mask": _mask}
    WITHOUT_AREA = ("polyline", "points", "cuboid", "skeleton", "tag")

    images: tuple[cvat_xml.Image, ...] = ()

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             classes: Classes | None = None, annotations: str | os.PathLike | None = None, overlap: str = "listed",
             problems: list | None = None) -> typing.Self:
        """Return the source of a split; arguments as `kseg.data.source`."""
        checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
        path, divided = _file(name, data_dir, split, annotations)
        document = cvat_xml.read(path)
        named = _labels(document, path)
        named = named if classes is None else NamedClasses.chosen(classes, named)
        images = document.images if divided else _of_split(document.images, split, path)
        names = [_image_name(image, number, path) for number, image in enumerate(images)]
        folders = annotation_files.image_folders(data_dir, split, path)
        found = annotation_files.find_images(names, folders, path, data_dir, problems)
        kept = [(file, image) for file, image in zip(found, images) if file is not None]
        return cls.of(name, split, [(file, path) for file, _ in kept], named.label_set, channels=channels,
                      overlap=overlap, classes=named, images=tuple(image for _, image in kept))

    def figures(self, index: int) -> tuple[typing.Any, list[Figure]]:
        image, path = self.images[index], self.pairs[index][1]
        where = f"{path!r}, image {image.attributes['name']!r}"
        size = tuple(int(number) for number in _numbers(image.attributes, ("height", "width"), where))
        found = [Figure(kind, record.get("label"), record, f"{where}, figure number {number} ({kind})")
                 for number, (kind, record) in enumerate(image.figures)]
        return size, sorted(found, key=lambda figure: untrusted.number(figure.record.get("z_order", "0"), "z_order",
                                                                       figure.where))


def _file(name, data_dir, split, annotations):
    """Return (path of the annotation file, whether it is of this split alone)."""
    if annotations is None:
        for whole in _WHOLE:
            path = os.path.join(data_dir, whole)
            if os.path.isfile(path):
                return path, False
    path = annotation_files.find_file(name, data_dir, split, annotations, _LAYOUTS, _WHOLE)
    return path, annotations is None or "{split}" in os.fspath(annotations)


def _labels(document, path):
    """Return the classes of the labels that the file lists; parts of skeletons, which have a parent, are none."""
    rows = [row for row in document.labels if row.get("name") and not row.get("parent")]
    if not rows:
        raise ValueError(checks.sentence("annotations", "must list its labels in <meta>", path,
                                         "Export the annotations as 'CVAT for images 1.1'."))
    colours = {row["name"]: colour for row in rows if (colour := colour_of(row.get("color"))) is not None}
    return NamedClasses.of([row["name"] for row in rows], colours)


def _image_name(image, number, path):
    """Return where below `images` an image is; CVAT puts those of a project below the name of their subset."""
    name = cvat_xml.value(image.attributes, "name", f"{path!r}, image number {number}")
    return f"{image.attributes.get('subset', '')}/{name}"


def _of_split(images, split, path):
    """Return the images of a split by their `subset`."""
    split_of = {word: one for one, words in SPLIT_NAMES.items() for word in words}
    subsets = {image.attributes.get("subset", "") for image in images}
    named = {subset: split_of.get(subset.casefold(), "train") for subset in subsets}
    unknown = sorted(subset for subset in subsets if subset.casefold() not in (*split_of, *_UNDIVIDED))
    if unknown and any(subset.casefold() in split_of for subset in subsets):
        raise ValueError(checks.sentence(
            "subset", f"must be Train, Validation or Test where an image has one of these, in {path!r}", unknown[0],
            "Rename the subset in CVAT, or divide the file."))
    if split not in named.values():
        raise FileNotFoundError(checks.sentence(
            "split", f"must be a subset of the images in {path!r}", split,
            f"There are {sorted(filter(None, subsets)) or 'no subsets'}; images without one are 'train'."))
    return [image for image in images if named[image.attributes.get("subset", "")] == split]
