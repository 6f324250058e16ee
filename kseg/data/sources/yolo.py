"""YOLO's text labels for segmentation ("yolo"): beside each image a file with a polygon per line.

A line is the number of a class and x y x y …, the corners of a polygon as fractions of the image's width and height.
An image without a file, or with an empty one, is background alone, as Ultralytics reads it.
"""

import dataclasses
import os
import typing
from collections.abc import Iterator

import numpy as np

from kseg import checks
from kseg.data import drawing, label_ids
from kseg.data.orientation import exif_orientation
from kseg.data.sources import annotation_files, coco_json, untrusted
from kseg.data.sources.base import SPLIT_NAMES, Findings
from kseg.data.sources.drawn import DrawnSource
from kseg.data.sources.patterns import IMAGE_SUFFIXES

_LAYOUTS = ("images/{split}", "labels/{split}"), ("{split}/images", "{split}/labels")
_NAMES = ("data.yaml", "dataset.yaml", "data.yml", "classes.txt", "labels/classes.txt")
_FARTHEST = 2.0  # images away from the corner; a coordinate beyond is in pixels


@dataclasses.dataclass(frozen=True, eq=False)
class YoloSource(DrawnSource):
    """Images with YOLO's polygons; class 0 is the background, then come the file's classes in their order.

    Example:
        >>> train = kseg.data.load("yolo", "train", data_dir="street", image_size=(256, 256))
        >>> kseg.data.label_set("yolo", "street").names  # from data.yaml or classes.txt
        ('background', 'car', 'person')
    """

    class_ids: dict | None = None  # number in the files → class id, None for what is not drawn

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             classes: label_ids.Classes | None = None, overlap: str = "smaller_on_top",
             problems: list | None = None) -> typing.Self:
        """Return the source of a split; arguments as `kseg.data.source`."""
        checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
        pairs = _pairs(name, data_dir, split, problems)
        label_set, class_ids = _classes(data_dir, classes)
        return cls.of(name, split, pairs, label_set, channels=channels, overlap=overlap, class_ids=class_ids)

    def identity(self) -> list:
        """Return the class of every number, and how and what objects are drawn."""
        return [sorted(map(list, self.class_ids.items())), *super().identity()]

    def check(self, index: int, findings: Findings) -> np.ndarray | None:
        image, labels = self.pairs[index]
        if not os.path.exists(labels):
            findings.warn("no label file", image, "has no label file, and is taken for background alone")
        return super().check(index, findings)

    def regions(self, index: int, height: int, width: int) -> Iterator[drawing.Region]:
        """Yield the polygons of image `index`, in the order of the file."""
        path = self.pairs[index][1]
        if exif_orientation(self.stored_image(index)) not in (None, 1):
            raise ValueError(checks.sentence(
                "image", f"must be stored upright for {path!r}, which does not tell how its polygons lie on one that "
                "is shown turned", self.describe(index), "Turn the file itself, e.g. by `mogrify -auto-orient`."))
        for number, line in enumerate(_lines(path), 1):
            class_id, corners = self._polygon(line.split(), f"{path!r}, line {number}")
            if class_id is not None and len(corners):
                yield drawing.polygon_region(class_id, [corners * (width, height)], height, width,
                                             where=f"{path!r}, line {number}")

    def _polygon(self, words, where):
        """Return (class id or None, float64 `[n, 2]`, (x, y) as fractions) of the words of a line."""
        if not words:
            return None, np.zeros((0, 2))
        try:
            number, values = int(words[0]), np.array(words[1:], np.float64)
        except ValueError as failure:
            raise ValueError(checks.sentence("labels", f"must be a class and numbers in {where}", " ".join(words),
                                             "Export the labels again.")) from failure
        if number not in self.class_ids:
            raise ValueError(checks.sentence("class", f"must be one of {sorted(self.class_ids)[:20]} in {where}",
                                             number, "Add its name to data.yaml, or correct the number."))
        if len(values) == 4:
            raise ValueError(checks.sentence("labels", f"must be a polygon of at least three corners in {where}",
                                             " ".join(words), "This is a box: export the labels for segmentation."))
        if len(values) % 2 or not len(values):
            raise ValueError(checks.sentence("labels", f"must have x and y of each corner in {where}",
                                             f"{len(values)} numbers", "Export the labels again."))
        if np.nanmax(np.abs(values), initial=0) > _FARTHEST:
            raise ValueError(checks.sentence(
                "labels", f"must be fractions of the image's width and height in {where}", " ".join(words),
                "These are pixels, or something else: export the labels again."))
        return self.class_ids[number], values.reshape(-1, 2)  # [n, 2]


def _lines(path):
    """Return the lines of a label file, none if there is no such file."""
    try:
        return untrusted.text(path, "labels").splitlines()
    except FileNotFoundError:
        return []


def _pairs(name, data_dir, split, problems):
    """Return [(image, label file, which may not exist)] in the first layout that has images."""
    layouts = [[path.replace("{split}", split_name) for path in layout] for layout in _LAYOUTS
               for split_name in SPLIT_NAMES[split]]
    undivided = not any(os.path.isdir(os.path.join(data_dir, "images", word))
                        for words in SPLIT_NAMES.values() for word in words)
    layouts += [["images", "labels"]] if split == "train" and undivided else []
    for image_dir, label_dir in (map(lambda path: os.path.join(data_dir, path), layout) for layout in layouts):
        images = _files(image_dir, IMAGE_SUFFIXES)
        if images:
            return _paired(images, _files(label_dir, (".txt",)), label_dir, data_dir, problems)
    raise FileNotFoundError(checks.sentence(
        "data_dir", f"must hold split {split!r} of {name!r}", data_dir,
        f"Expected images in one of {[layout[0] for layout in layouts]}. {annotation_files.what_is_there(data_dir)}"))


def _paired(images, labels, label_dir, data_dir, problems):
    if not labels:
        raise FileNotFoundError(checks.sentence("data_dir", f"must hold label files (.txt) in {label_dir!r}", data_dir,
                                                "Export the labels again."))
    for key in sorted(set(labels) - set(images) - {"classes"}):
        annotation_files.report(problems, "missing partner", labels[key], checks.sentence(
            "data_dir", f"must hold an image for every label file; {labels[key]!r} has none", data_dir,
            "Add the image or remove the file."))
    return [(path, labels.get(key, os.path.join(label_dir, key + ".txt"))) for key, path in sorted(images.items())]


def _files(folder, suffixes):
    """Return {path below `folder` without suffix: path} of the files with these suffixes."""
    return {os.path.splitext(os.path.relpath(os.path.join(where, name), folder))[0]: os.path.join(where, name)
            for where, _, names in os.walk(folder) for name in sorted(names)
            if name.lower().endswith(suffixes) and not name.startswith(".")}


def _classes(data_dir, classes):
    """Return (`LabelSet`, number in the files → class id or None)."""
    path = next((path for path in (os.path.join(data_dir, name) for name in _NAMES) if os.path.isfile(path)), None)
    if path is None:
        if classes is None:
            raise ValueError(checks.sentence(
                "classes", f"must be given where none of {list(_NAMES)} is in {data_dir!r}", None,
                "Write for example classes=['background', 'car', 'person'], the file's class 0 being the second."))
        label_set = label_ids.label_set_of(classes)
        return label_set, {index: index + 1 for index in range(len(label_set) - 1)}
    names = _yaml_names(path) if path.endswith(("yaml", "yml")) else dict(enumerate(untrusted.lines(path)))
    content = {"categories": [{"id": number, "name": name} for number, name in names.items()]}
    return coco_json.classes_of(content, path, classes)


def _yaml_names(path):
    """Return {number: name} of the entry "names" of a YAML file, a list or a mapping."""
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file)
    except (ValueError, RecursionError, yaml.YAMLError) as failure:
        raise ValueError(checks.sentence("data_dir", "must have its classes in a YAML file", path,
                                         f"The parser says: {failure}.")) from failure
    names = content.get("names") if isinstance(content, dict) else None
    names = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(names, dict) or not names:
        raise ValueError(checks.sentence("names", f"must be a list of the classes in {path!r}", names,
                                         "Write for example names: [car, person]."))
    return {number: str(name) for number, name in names.items()}
