"""LabelMe's JSON files ("labelme"), one for each image, as the tool writes them.

Read are polygons, rectangles (upright or turned), circles and masks; lines and points have no area. A later shape
covers an earlier one, as in LabelMe's own export (`overlap="listed"`).
"""

import base64
import dataclasses
import math
import os
import typing

import numpy as np

from kseg import checks
from kseg.data import decode, drawing, outlines, painted_masks
from kseg.data.label_ids import Classes
from kseg.data.sources import annotation_files, untrusted
from kseg.data.sources.base import SPLIT_NAMES
from kseg.data.sources.class_names import NamedClasses
from kseg.data.sources.folder import read_classes
from kseg.data.sources.tools import Figure, ToolSource

_LISTS = ("classes.txt", "labels.txt")  # kseg's name and that of LabelMe's examples


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

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             classes: Classes | None = None, annotations: str | os.PathLike | None = None, overlap: str = "listed",
             problems: list | None = None) -> typing.Self:
        """Return the source of a split; arguments as `kseg.data.source`."""
        checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
        root = data_dir if annotations is None else os.fspath(annotations).partition("{split}")[0]
        root = root if os.path.isdir(root) else os.path.join(data_dir, root)
        files = _files_of_split(name, checks.existing_folder("annotations", root), split)
        listed = next((path for path in (os.path.join(data_dir, file) for file in _LISTS) if os.path.isfile(path)), None)
        if classes is not None:
            named = NamedClasses.chosen(classes)
        elif listed is not None:
            label_set, coloured = read_classes(listed)
            named = NamedClasses.of(label_set.names, dict(zip(label_set.names, label_set.palette)) if coloured else None)
        else:
            named = NamedClasses.of(sorted({label for path in _json_files(root) for label in _labels(path)}))
        pairs = [(image, path) for path in files if (image := _image(path, data_dir, split, problems)) is not None]
        return cls.of(name, split, pairs, named.label_set, channels=channels, overlap=overlap, classes=named)

    def figures(self, index: int) -> tuple[typing.Any, list[Figure]]:
        path = self.pairs[index][1]
        content = untrusted.read_json(path)
        size = (content.get("imageHeight"), content.get("imageWidth"))
        shapes = untrusted.rows(content, "shapes", repr(path))
        return None if None in size else size, [
            Figure(shape.get("shape_type") or "polygon", shape.get("label"), shape, f"{path!r}, shape number {number}")
            for number, shape in enumerate(shapes)]

    def stored_image(self, index: int) -> bytes:
        """Return the content of the image file, or the embedded image where there is no file."""
        image, path = self.pairs[index]
        return super().stored_image(index) if image != path else _embedded(path)

    def read(self, index: int, strict: bool = False) -> tuple[np.ndarray, np.ndarray]:
        image, path = self.pairs[index]
        if image != path:
            return super().read(index, strict)
        pixels = decode.read_pixels(_embedded(path), self.channels, strict)
        return pixels, self._drawn(index, *pixels.shape[:2])
