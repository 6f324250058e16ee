"""COCO's instances ("coco"): one JSON file for a split, with polygons and run lengths, as most tools export it.

Every object is drawn as its category, crowds (`iscrowd`) too: their pixels are of the category, only whose they are is
not told apart, which matters to instances and not to classes. So do torchvision's and detectron2's conversions to
semantic labels.
"""

import dataclasses
import os
import typing
from collections.abc import Iterator

from kseg import checks
from kseg.data import drawing, filesystems
from kseg.data.label_ids import Classes
from kseg.data.sources import annotation_files, coco_json
from kseg.data.sources.drawn import DrawnSource

LAYOUTS = ("annotations/instances_{split}*.json",  # COCO, CVAT
           "{split}/_annotations.coco.json",  # Roboflow
           "annotations/{split}.json", "{split}.json", "instances_{split}*.json")
WHOLE = ("annotations/instances_default.json", "instances_default.json",  # CVAT
         "_annotations.coco.json", "result.json")  # Roboflow, Label Studio


@dataclasses.dataclass(frozen=True, eq=False)
class CocoSource(DrawnSource):
    """Images with the objects of a COCO file; class 0 is the background, then come the categories by ascending id.

    An image without annotations is background alone. The parts of a polygon are united, as COCO's own tools do: where
    a tool writes a hole as a further part, it is filled; holes are told by run lengths.

    Example:
        >>> train = kseg.data.load("coco", "train", data_dir="coco2017", image_size=(256, 256))
        >>> people = kseg.data.load("coco", "train", data_dir="coco2017", classes=["background", "person"])
        >>> own = kseg.data.source("coco", data_dir="photos", annotations="exports/{split}.json", overlap="listed")
    """

    pictures: tuple[coco_json.Picture, ...] = ()
    class_ids: dict | None = None  # category id → class id, None for what is not drawn

    @classmethod
    def open(cls, name: str, split: str, *, data_dir: str | None = None, channels: int = 3,
             classes: Classes | None = None, annotations: str | os.PathLike | None = None,
             overlap: str = "smaller_on_top", problems: list | None = None) -> typing.Self:
        """Return the source of a split; arguments as `kseg.data.source`."""
        checks.existing_folder("data_dir", data_dir, f"Pass the folder that holds the files of {name!r}.")
        file = annotation_files.find_file(name, data_dir, split, annotations, LAYOUTS, WHOLE)
        content = coco_json.read(file)
        if any("segments_info" in annotation for annotation in content["annotations"][:1]):
            raise ValueError(checks.sentence("annotations", f"must hold instances for {name!r}", file,
                                             "This is a panoptic file: read it as 'coco_panoptic'."))
        label_set, class_ids = coco_json.classes_of(content, file, classes)
        pictures = coco_json.pictures(content, file, problems)
        images = annotation_files.find_images([picture.file_name for picture in pictures],
                                              annotation_files.image_folders(data_dir, split, file), file, data_dir,
                                              problems)
        kept = [(image, picture) for image, picture in zip(images, pictures) if image is not None]
        return cls.of(name, split, [(image, file) for image, _ in kept], label_set, channels=channels, overlap=overlap,
                      pictures=tuple(picture for _, picture in kept), class_ids=class_ids)

    def identity(self) -> list:
        """Return how objects are drawn, and path, size and time of every file."""
        files = dict.fromkeys(path for pair in self.pairs for path in pair)  # each once: a split has one JSON file
        return [self.overlap, sorted(map(list, self.class_ids.items())), [filesystems.stamp(path) for path in files]]

    def regions(self, index: int, height: int, width: int) -> Iterator[drawing.Region]:
        """Yield the objects of image `index`, in the order of the file."""
        picture, file = self.pictures[index], self.pairs[index][1]
        if picture.size is not None:
            drawing.check_stated_size(picture.size, height, width, f"{file!r}, image {picture.file_name!r}")
        for number, annotation in enumerate(picture.annotations):
            where = f"{coco_json.named(file, annotation, number)} of {picture.file_name!r}"
            class_id = coco_json.class_of(annotation.get("category_id"), self.class_ids, where)
            if class_id is not None:
                yield _region(class_id, annotation.get("segmentation"), height, width, where)


def _region(class_id, segmentation, height, width, where):
    """Return the `Region` of a segmentation: polygons, or run lengths with their size."""
    if isinstance(segmentation, list) and segmentation:
        return drawing.polygon_region(class_id, segmentation, height, width, where=where)
    if isinstance(segmentation, dict) and {"counts", "size"} <= set(segmentation):
        drawing.check_stated_size(segmentation["size"], height, width, where)
        return drawing.mask_region(class_id, drawing.rle_mask(segmentation["counts"], height, width, where))
    raise ValueError(checks.sentence(
        "segmentation", f"must be polygons, or run lengths with 'counts' and 'size', in {where}", segmentation,
        "Export outlines or masks: boxes alone do not say which pixels belong to an object."))
