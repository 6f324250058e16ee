"""Datasets by name: the one table of them, and how a name becomes a `Source`.

Each file beside this one holds a dataset or a format: its classes, its table of ids and where its files are.
"""

import inspect
import logging
import os
import pkgutil
import typing
from collections.abc import Sequence

import numpy as np

from kseg import checks, tasks
from kseg.data.label_ids import Classes, Key
from kseg.data.orientation import EXIF
from kseg.data.pixel_range import PixelRange, asks_for_percentiles, percentile_range
from kseg.data.sources import shapes
from kseg.data.sources.base import SPLITS, Source
from kseg.labels import LabelSet

__all__ = ["NAMES", "SPLITS", "Source", "label_set", "opened", "shapes", "source"]

_TABLE = {  # a name that ends in a colon stands for all that begin with it; imported on use, for some load TensorFlow
    "shapes": "shapes:ShapesSource",
    "folder": "folder:FolderSource",
    "camvid": "camvid:CamVidSource",
    "voc2012": "voc2012:VOC2012Source",
    "cityscapes": "cityscapes:CityscapesSource",
    "ade20k": "ade20k:ADE20KSource",
    "coco": "coco:CocoSource",
    "coco_panoptic": "coco_panoptic:CocoPanopticSource",
    "yolo": "yolo:YoloSource",
    "labelme": "labelme:LabelMeSource",
    "cvat": "cvat:CvatSource",
    "cvat_masks": "cvat_masks:CvatMaskSource",
    "label_studio": "label_studio:LabelStudioSource",
    "supervisely": "supervisely:SuperviselySource",
    "nifti": "nifti:NiftiSource",
    "records": "records:RecordsSource",
    "tfds:": "tfds:TfdsSource",
}
_REFUSED = {  # why an argument means nothing for a dataset, and what to do
    "annotations": ("which has no annotation file of its own", "Leave it out, or read the file as 'coco'."),
    "overlap": ("whose label files say which class each pixel has", "Leave it out."),
}
_LOG = logging.getLogger("kseg")
_MEASURED = 64  # training images whose percentiles are taken
NAMES = tuple(name for name in _TABLE if not name.endswith(":"))


def source(name: str, split: str = "train", *, data_dir: str | None = None, image_size: tuple[int, int] | None = None,
           classes: Classes | None = None, channels: int | None = None,
           label_map: dict[Key, int] | None = None, nearest_colour: float | None = None,
           image_pattern: str | None = None, label_pattern: str | None = None,
           split_fractions: Sequence[float] | None = None, split_groups: str | None = None,
           split_seed: int | None = None, split_lists: str | dict[str, str] | None = None, exif: str | None = None,
           annotations: str | os.PathLike | None = None, overlap: str | None = None, task: str | None = None,
           pixel_range: PixelRange | Sequence | str | None = None,
           problems: list | None = None) -> Source:
    """Return the source of a dataset by name: `len(source)`, `source.read(index)`, `source.label_set`.

    Args:
        name: one of `NAMES` ("records": what `write_records` wrote), or "tfds:NAME" for a segmentation set of
            TensorFlow Datasets.
        split: "train", "validation" (a folder `val` counts) or "test".
        data_dir: str or None, where the files are; the embedded "shapes" needs none.
        image_size: (height, width) or None; only "shapes" uses it, to draw at that size.
        classes: int, sequence of names, or `LabelSet`; only for "folder", "tfds:" and annotations. For "folder" also
            the name of published classes with their colours or ids ("camvid", "cityscapes", "isprs", "loveda",
            "voc2012", see `kseg.data.sources.named_classes`). None: `classes.txt` in `data_dir` (one name, optionally
            `name r g b`, per line; lines of one name are colours of one class), else counted from the label files. Of
            annotations: names, that of the background first; the others are not drawn, where the format lists them
            ("labelme" and "label_studio" do not: there they raise). None: all.
        channels: int, bands of the pixels: 3 (RGB), 1 (grey), or as many as the files have; None for 3, of records for
            what was written.
        label_map: dict or None, stored value → class id or 255; only for "folder" and "tfds:". For "folder" a key may
            also be a colour (red, green, blue) of RGB masks, and "other" all that is not named, else an error; 255 is
            ignored unless it is named itself. Where colours but no values are named, indexed and grey masks are read by
            their colours too. JSON has keys as text: "255", "102,102,51", "#666633", "other".
        nearest_colour: float or None, only for "folder": a colour within this Euclidean distance in RGB of a named one
            takes its class, of equally near ones that of the first named; all others are "other", or else 255. How
            many is logged, and reported by `kseg.data.check`.
        image_pattern, label_pattern: str or None, only for "folder": globs below `data_dir`, `{split}` is replaced;
            files whose wildcards match alike are a pair; a final `.*` is any suffix. None: the layout is recognised,
            see `kseg.data.sources.recognition`.
        split_fractions: (train, validation[, test]) or None, only for "folder": files without splits are divided in
            these shares by a hash of their names, alike in every process; a new file moves few others. Default
            (0.8, 0.1, 0.1), where neither folders nor lists say which split a file belongs to.
        split_groups: str or None, only for "folder": regular expression that is searched in the path of each image
            below `data_dir`; images in which its groups match the same text stay in one split.
        split_seed: int or None (0), only for "folder": another seed is another division.
        split_lists: str or None, only for "folder": path below `data_dir` with `{split}`, or a dict from split to
            path, of text files with a name, an image's path, or the paths of image and labels per line. None:
            `{split}.txt` in `data_dir` is taken where no folder is named after the split.
        exif: "apply", "ignore" or None, only for "folder" and "cvat_masks": whether images are turned upright by their
            EXIF orientation. None: as they have the size of their masks; where both ways have, that is an error.
        annotations: path of the annotation file, or of a folder to look in, from `data_dir` or as it is, `{split}` is
            replaced; only for annotations in files of their own ("coco", "coco_panoptic", "cvat", "label_studio"; of
            "labelme" the folder of the JSON files). None: found in `data_dir`.
        overlap: which of two objects keeps the pixels of both, only where objects are drawn: "smaller_on_top", the
            default of "coco" and "yolo", or "listed", the one that was drawn later, as "labelme", "cvat",
            "label_studio" and "supervisely" themselves show it.
        pixel_range: which stored numbers become pixels 0 and 255, for images of more than 8 bits: (low, high), one
            such pair per band, or "percentiles", which measures the 0.1st and 99.9th of each band over up to 64 images
            of the training split. Pixels are float32 then, with the full resolution of what is stored. None for 8
            bits. Not for "shapes"; records have what they were written with.
        task: what the labels are for. None or "multiclass". "binary": background and foreground; of "folder" masks of
            nothing but 0 and 255 are read as these, any other set may have two classes. "multilabel", only for
            "folder": a mask file per class, `{class}` in the `label_pattern` being its name (default
            "{split}/labels/{class}/*"), or one array `[H, W, classes]` of 0, 1 and 255 per image, `.npy` or `.npz`
            ("{split}/labels/*").
        problems: list or None; takes (kind, path, message) of unpaired files and of masks whose classes cannot be
            counted, which otherwise raise.
    Raises:
        ValueError: if a name or split is unknown, or no pair is found.
        FileNotFoundError: if `data_dir` is missing.
    """
    checks.one_of("split", split, SPLITS)
    if channels is not None:
        checks.positive_integer("channels", channels, "Use 3 for RGB images and 1 for grey ones.")
    if exif is not None:
        checks.one_of("exif", exif, EXIF)
    wanted, kind = tasks.of(task or Source.task), _class_of(name)
    taken = inspect.signature(kind.open).parameters
    says = {"classes": classes, "label_map": label_map, "nearest_colour": nearest_colour,
            "image_pattern": image_pattern, "label_pattern": label_pattern, "split_fractions": split_fractions,
            "split_groups": split_groups, "split_seed": split_seed, "split_lists": split_lists, "exif": exif,
            "annotations": annotations, "overlap": overlap}
    for argument, value in says.items():
        if value is not None and argument not in taken:
            why, advice = _REFUSED.get(argument, ("whose files and classes are known",
                                                  "Leave it out, or read the files as 'folder'."))
            raise ValueError(checks.sentence(argument, f"must be None for {name!r}, {why}", value, advice))
    says.update(data_dir=data_dir, image_size=image_size, channels=channels, problems=problems)
    if "task" in taken:
        says["task"] = task
    says = {argument: value for argument, value in says.items() if value is not None and argument in taken}
    chosen = _checked_task(kind.open(name, split, **says), wanted)
    if asks_for_percentiles(pixel_range):
        if split != "train" and "problems" in says:
            says["problems"] = []  # of the other split
        pixel_range = measured(chosen if split == "train" else kind.open(name, "train", **says))
    found = PixelRange.of(pixel_range, chosen.channels)
    return chosen if found is None else chosen.scaled_by(found)


def _checked_task(source, task):
    """Return `source` if its labels are of this task."""
    if task.stacked != tasks.of(source.task).stacked:
        raise ValueError(checks.sentence(
            "task", f"must be {source.task!r}, what the labels of {source.name!r} are for", task.name,
            "Labels of several classes per pixel are read by 'folder'."))
    if not task.exclusive:
        task.classes_of(source.label_set)
    return source


def measured(train: Source) -> PixelRange:
    """Return the range of `pixel_range="percentiles"`: of images spread evenly over the source `train`; it is logged.

    Raises:
        ValueError: if no image can be read.
    """
    def images():
        for index in np.unique(np.linspace(0, len(train) - 1, min(_MEASURED, len(train))).astype(int)):
            try:
                yield train.read_stored(int(index))
            except train.failures as failure:  # whoever reads the pair says what is wrong with it
                _LOG.warning("left an image out of the percentiles: %s", failure)

    found = percentile_range(images(), train.channels)
    _LOG.info("pixel_range of %s, percentiles of its training images: %s", train.name, found.to_list())
    return found


def _class_of(name):
    """Return the `Source` class of a dataset's name."""
    prefix, colon, _ = str(name).partition(":")
    row = _TABLE.get(prefix + colon) or _TABLE[checks.one_of("name", name, NAMES)]
    return pkgutil.resolve_name(f"{__name__}.{row}")


def opened(name: str | Source, split: str | None = None, *, image_size: tuple[int, int] | None = None,
           problems: list | None = None, **options: typing.Any) -> Source:
    """Return the source of a name, None being "train"; or a source itself, given instead of a name.

    Raises:
        ValueError: as `source`; and if an argument comes with a source, which it would not change.
        TypeError: if `name` is neither.
    """
    if isinstance(name, str):
        return source(name, "train" if split is None else split, image_size=image_size, problems=problems, **options)
    if not isinstance(name, Source):
        raise TypeError(checks.sentence("name", "must be the name of a dataset or a source", name,
                                        "Derive the class of your own sources from kseg.data.Source."))
    own = {"split": name.split, "channels": name.channels, "pixel_range": name.pixel_range, "task": name.task}
    for argument, value in {"split": split, **options}.items():
        if value is not None and value != own.get(argument):
            legal = f"None or {own[argument]!r}" if argument in own else "None"
            raise ValueError(checks.sentence(argument, f"must be {legal} where a source is given", value,
                                             "Pass it to kseg.data.source, which makes the source."))
    return name


def label_set(name: str, data_dir: str | None = None, **options: typing.Any) -> LabelSet:
    """Return the `LabelSet` of a dataset: class names, palette, ignore id.

    Args:
        name: as in `source`.
        data_dir: str or None; needed by "folder" and "records".
        options: further arguments of `source`, for "folder", and `split` for records without "train".
    """
    known = None if options else _class_of(name).known_label_set()
    return known or source(name, data_dir=data_dir, **options).label_set
