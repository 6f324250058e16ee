"""The JSON of the COCO formats: read once, and every part checked before it is used, for anyone may have written it.

Format: https://cocodataset.org/#format-data
"""

import array
import collections
import dataclasses
import typing

import numpy as np

from kseg import checks
from kseg.data.sources import untrusted
from kseg.data.sources.annotation_files import report
from kseg.data.sources.class_names import check_background_first
from kseg.data.sources.untrusted import value
from kseg.labels import LabelSet

_MOST_CLASSES = 255


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image that the file names, and its annotations as they stand there."""

    id: typing.Any
    file_name: str
    size: tuple | None  # stated (height, width)
    annotations: list[dict]


def read(path: str) -> dict:
    """Return the content of a COCO file: a dict with lists of dicts "images", "annotations" and "categories".

    Lists of coordinates become arrays of doubles, which take a quarter of the memory.

    Raises:
        ValueError: if it is no JSON, or has no such lists.
        FileNotFoundError: if there is no such file.
    """
    content = untrusted.read_json(path, object, _compact)
    for part in ("images", "annotations", "categories"):
        rows = content.get(part) if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(checks.sentence(
                "annotations", "must be COCO's: an object with the lists of objects 'images', 'annotations' and "
                f"'categories'; {path!r} has no such {part!r}",
                sorted(content)[:8] if isinstance(content, dict) else type(content).__name__,
                "Export the labels again, or pass annotations=, the path of the right file."))
    return content


def _compact(record):
    """Return an object of the file with what is used of an instance, its polygons as arrays."""
    if "segmentation" not in record:
        return record
    kept = {key: record[key] for key in ("id", "image_id", "category_id", "segmentation") if key in record}
    if isinstance(kept["segmentation"], list):
        kept["segmentation"] = [_numbers(part) for part in kept["segmentation"]]
    return kept


def _numbers(part):
    try:
        return array.array("d", part)
    except (TypeError, OverflowError):
        return part  # `kseg.data.drawing` says what is wrong with it


def pictures(content: dict, path: str, problems: list | None) -> list[Picture]:
    """Return the images in the order of the file, each with its annotations.

    Raises:
        ValueError: if an image has no id or name, or the id of another; and if an annotation belongs to no image and
            `problems`, which otherwise takes it as (kind, path, message), is None.
    """
    found = {}
    for number, image in enumerate(content["images"]):
        where = named(path, image, number, "image")
        key = value(image, "id", (int, str), where)
        if key in found:
            raise ValueError(checks.sentence("id", f"must belong to one image alone in {path!r}", key,
                                             "Correct the file or export it again."))
        size = (image["height"], image["width"]) if "height" in image and "width" in image else None
        found[key] = Picture(key, value(image, "file_name", (str,), where), size, [])
    for number, annotation in enumerate(content["annotations"]):
        key = annotation.get("image_id")
        if isinstance(key, (int, str)) and key in found:
            found[key].annotations.append(annotation)
        else:
            report(problems, "missing partner", path, checks.sentence(
                "image_id", f"must be the id of an image of the file in {named(path, annotation, number)}", key,
                "Add the image to the file, or remove its annotations."))
    return list(found.values())


def named(path: str, record: dict, number: int, kind: str = "annotation") -> str:
    """Return how messages name a record of the file."""
    return f"{path!r}, {kind} {record['id']!r}" if "id" in record else f"{path!r}, {kind} number {number}"


def classes_of(content: dict, path: str, chosen: typing.Any = None) -> tuple[LabelSet, dict[typing.Any, int | None]]:
    """Return (`LabelSet`, category id → class id, or None for what is not drawn).

    Class 0 is the background, then come the categories by ascending id; one called background is class 0 itself.

    Args:
        content, path: of the file.
        chosen: None; or the names of the classes, that of the background first, or a `LabelSet` of them: the other
            categories are not drawn.
    Raises:
        ValueError: if a category has no id or name, an id of another, a chosen name is no category's, or there are more
            than 254.
        TypeError: if `chosen` is a number.
    """
    names, colours = {}, {}
    for number, category in enumerate(content["categories"]):
        where = named(path, category, number, "category")
        key = value(category, "id", (int,), where)
        if key in names:
            raise ValueError(checks.sentence("id", f"must belong to one category alone in {path!r}", key,
                                             "Correct the file or export it again."))
        names[key], colours[key] = value(category, "name", (str,), where), category.get("color")
    if chosen is not None:
        return _chosen_classes(names, path, chosen)
    ids = {key: 0 for key in sorted(names) if names[key].strip().lower() == "background"}
    drawn = [key for key in sorted(names) if key not in ids]
    if len(drawn) >= _MOST_CLASSES:
        raise ValueError(checks.sentence(
            "classes", f"must choose at most 254 of the {len(drawn)} categories of {path!r}", None,
            "Pass classes=['background', …] with the names of those that are meant."))
    ids.update({key: index for index, key in enumerate(drawn, 1)})
    repeated = {name for name, count in collections.Counter(names[key] for key in drawn).items() if count > 1}
    shown = [f"{names[key]} {key}" if names[key] in repeated else names[key] for key in drawn]
    return LabelSet(("background", *shown), _palette([colours[key] for key in drawn])), ids


def _chosen_classes(names, path, chosen):
    if not isinstance(chosen, (list, tuple, LabelSet)):
        raise TypeError(checks.sentence(
            "classes", "must be the names of the classes, or a LabelSet", chosen,
            "Write for example classes=['background', 'person'], or leave it out for all categories."))
    label_set = chosen if isinstance(chosen, LabelSet) else LabelSet(tuple(chosen))
    if label_set.names[0] in names.values():  # any other name stands for what nobody has drawn
        check_background_first(label_set)
    for name in label_set.names[1:]:
        checks.one_of("classes", name, dict.fromkeys(names.values()), context=f", categories of {path!r}")
    known = {name: index for index, name in enumerate(label_set.names)}
    return label_set, {key: known.get(name) for key, name in names.items()}


def _palette(colours):
    """Return the colours of the background, black, and of the categories, uint8, or None if one has none."""
    try:
        array_of = np.array([(0, 0, 0), *colours], np.uint8)
    except (TypeError, ValueError, OverflowError):
        return None
    return array_of if array_of.shape == (len(colours) + 1, 3) and len(colours) else None


def class_of(category: typing.Any, class_ids: dict, where: str) -> int | None:
    """Return the class of a category's id, None where it is not drawn; one that the file does not list raises."""
    if not isinstance(category, int) or category not in class_ids:
        raise ValueError(checks.sentence("category_id", f"must be the id of a category of the file in {where}",
                                         category, f"Add it, or correct the id: there are {sorted(class_ids)[:20]}."))
    return class_ids[category]
