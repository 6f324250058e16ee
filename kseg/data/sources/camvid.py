"""CamVid in 11 classes, as SegNet splits and numbers it."""

import os

import numpy as np

from kseg.data.label_ids import mapped_table
from kseg.data.sources.base import SPLIT_NAMES
from kseg.data.sources.patterns import find_pairs
from kseg.data.sources.published import PublishedSource, layout_missing
from kseg.data.sources.untrusted import lines
from kseg.labels import IGNORE_CLASS, LabelSet

NAMES = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
COLOURS = ((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
           (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192))


class CamVidSource(PublishedSource):
    """CamVid: split folders `train/images`, `train/labels`, or SegNet's `train.txt` lists. Stored 11 is void."""

    LABELS = LabelSet(NAMES, np.array(COLOURS))
    TABLE = mapped_table({**{index: index for index in range(len(NAMES))}, len(NAMES): IGNORE_CLASS}, len(NAMES))

    @classmethod
    def find(cls, data_dir: str, split: str, problems: list | None) -> list[tuple[str, str]]:
        for folder in SPLIT_NAMES[split]:
            if os.path.isdir(os.path.join(data_dir, folder, "images")):
                return find_pairs(data_dir, split, problems=problems)
            path = os.path.join(data_dir, folder + ".txt")
            if os.path.isfile(path):
                # Of "/SegNet/CamVid/folder/file", as SegNet's lists name files, folder and file stand below `data_dir`.
                return [tuple(os.path.join(data_dir, *file.replace("\\", "/").split("/")[-2:])
                              for file in line.split()[:2]) for line in lines(path)]
        raise layout_missing("camvid", data_dir, split, "val/images and val/labels, or SegNet's val.txt"
                             if split == "validation" else
                             f"{split}/images and {split}/labels, or SegNet's {split}.txt")
