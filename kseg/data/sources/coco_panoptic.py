"""COCO's panoptic labels ("coco_panoptic"): a JSON file for a split and a folder of PNGs of segment ids.

A PNG's colour is a segment, id = red + 256 · green + 256² · blue, and the JSON says the category of each. Things, stuff
and crowds are all classes; pixels of id 0 are unlabelled, 255.
"""

import dataclasses
import os
import typing

import numpy as np

from kseg import checks
from kseg.data import decode, filesystems
from kseg.data.label_ids import Classes, identity_table
from kseg.data.sources import annotation_files, coco_json, untrusted
from kseg.data.sources.file_pairs import FileSource
from kseg.labels import IGNORE_CLASS

LAYOUTS = ("annotations/panoptic_{split}*.json", "panoptic_{split}*.json", "annotations/{split}.json", "{split}.json")


@dataclasses.dataclass(frozen=True, eq=False)
class CocoPanopticSource(FileSource):
    """Images with COCO's panoptic PNGs; classes are numbered as those of "coco", by ascending id from 1.

    Class 0, the background, only occurs where `classes` leaves categories out.

    Example:
        >>> train = kseg.data.load("coco_panoptic", "train", data_dir="coco2017", image_size=(256, 256))
    """

    segments: tuple[list, ...] = ()  # of each pair, "segments_info"
    class_ids: dict | None = None  # category id → class id, None for the background
    file: str = ""  # the JSON

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             classes: Classes | None = None, annotations: str | os.PathLike | None = None,
             problems: list | None = None) -> typing.Self:
        """Return the source of a split; arguments as `kseg.data.source`."""
        checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
        file = annotation_files.find_file(name, data_dir, split, annotations, LAYOUTS)
        content = coco_json.read(file)
        label_set, class_ids = coco_json.classes_of(content, file, classes)
        pictures = coco_json.pictures(content, file, problems)
        found, segments, masks = [], [], []
        for picture in pictures:
            if len(picture.annotations) != 1:
                annotation_files.report(problems, "missing partner", picture.file_name, checks.sentence(
                    "annotations", f"must be one for image {picture.file_name!r} in {file!r}",
                    len(picture.annotations), "Export the labels again, or remove the image."))
                continue
            where = f"{file!r}, the annotation of {picture.file_name!r}"
            masks.append(untrusted.value(picture.annotations[0], "file_name", (str,), where))
            segments.append(untrusted.value(picture.annotations[0], "segments_info", (list,), where))
            found.append(picture.file_name)
        images = annotation_files.find_images(
            found, annotation_files.image_folders(data_dir, split, file), file, data_dir, problems)
        masks = annotation_files.find_images(masks, _mask_folders(data_dir, file), file, data_dir, problems)
        kept = [index for index in range(len(found)) if images[index] is not None and masks[index] is not None]
        return cls(name, split, [(images[index], masks[index]) for index in kept], label_set,
                   identity_table(len(label_set)), channels, exif="ignore",
                   segments=tuple(segments[index] for index in kept), class_ids=class_ids, file=file)

    @property
    def values_are_ids(self) -> bool:
        """False: mask files hold segments."""
        return False

    def identity(self) -> list:
        """Return the class of every category, and path, size and time of every file."""
        return [sorted(map(list, self.class_ids.items())), filesystems.stamp(self.file), *super().identity()]

    def read_labels(self, index: int) -> np.ndarray:
        path = self.pairs[index][1]
        table = {0: IGNORE_CLASS, **dict(self._segment(segment, path) for segment in self.segments[index])}
        keys = np.array(sorted(table), np.int32)
        colours = decode.read_pixels(path, 3, strict=True)
        ids = colours.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
        places = np.minimum(np.searchsorted(keys, ids), len(keys) - 1)
        wrong = keys[places] != ids
        if wrong.any():
            unknown = np.unique(ids[wrong])
            listed = [segment["id"] for segment in self.segments[index]]
            raise ValueError(checks.sentence(
                "segments_info", f"must list every segment of {path!r}, which has {len(unknown)} others, the first are "
                f"{unknown[:6].tolist()}", listed, "Pair the right files, and store them without loss."))
        return np.array([table[key] for key in keys.tolist()], np.uint8)[places]

    def _segment(self, segment, path):
        """Return (segment id, class id) of one row of "segments_info"."""
        where = f"segments_info of {path!r}"
        if not isinstance(segment, dict):
            raise ValueError(checks.sentence("segments_info", f"must be a list of objects for {path!r}", segment,
                                             "Correct the file or export it again."))
        segment_id = untrusted.value(segment, "id", (int,), where)
        if not 0 < segment_id < 1 << 24:
            raise ValueError(checks.sentence("id", f"must be a colour, from 1 to 2**24 - 1, in {where}", segment_id,
                                             "Correct the file or export it again."))
        return segment_id, coco_json.class_of(segment.get("category_id"), self.class_ids, where) or 0


def _mask_folders(data_dir, file):
    """Return the folders in which the PNGs of an annotation file may be."""
    own = os.path.splitext(file)[0]
    folders = [own, os.path.join(data_dir, os.path.basename(own)), os.path.dirname(file), data_dir]
    return [folder for folder in dict.fromkeys(folders) if os.path.isdir(folder)]
