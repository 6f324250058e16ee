"""PASCAL VOC 2012 segmentation, with SBD's further training masks where they are."""

import os

from kseg.data.label_ids import identity_table
from kseg.data.sources.published import PublishedSource, existing_below, layout_missing
from kseg.data.sources.untrusted import lines
from kseg.labels import LabelSet

NAMES = ("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
         "dining table", "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "tv/monitor")


class VOC2012Source(PublishedSource):
    """VOC 2012; "train" takes SBD's `trainaug.txt` with SegmentationClassAug if present. Stored 255 is the border."""

    LABELS = LabelSet(NAMES)
    TABLE = identity_table(len(NAMES))

    @classmethod
    def find(cls, data_dir: str, split: str, problems: list | None) -> list[tuple[str, str]]:
        """Return the pairs, as `PublishedSource.find`; of a pair that is listed, a missing file is found on reading."""
        del problems
        root = existing_below(data_dir, os.path.join("VOCdevkit", "VOC2012"), "VOC2012")
        lists = os.path.join(root, "ImageSets", "Segmentation")
        name, masks = {"train": "train", "validation": "val", "test": "test"}[split], "SegmentationClass"
        if split == "train" and os.path.isdir(os.path.join(root, "SegmentationClassAug")) and os.path.isfile(
                os.path.join(lists, "trainaug.txt")):
            name, masks = "trainaug", "SegmentationClassAug"
        path = os.path.join(lists, name + ".txt")
        if not os.path.isfile(path):
            raise layout_missing("voc2012", data_dir, split, f"ImageSets/Segmentation/{name}.txt")
        stems = [os.path.splitext(os.path.basename(line.split()[0]))[0] for line in lines(path)]
        return [(os.path.join(root, "JPEGImages", stem + ".jpg"), os.path.join(root, masks, stem + ".png"))
                for stem in stems]
