"""Cityscapes' fine annotations in the 19 classes that are evaluated."""

import os

import numpy as np

from kseg.data.label_ids import mapped_table
from kseg.data.sources.patterns import find_pairs
from kseg.data.sources.published import PublishedSource, layout_missing
from kseg.labels import IGNORE_CLASS, LabelSet

# (name, stored label id, colour), in the order of the train ids 0..18.
CLASSES = (
    ("road", 7, (128, 64, 128)), ("sidewalk", 8, (244, 35, 232)), ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)), ("fence", 13, (190, 153, 153)), ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)), ("traffic sign", 20, (220, 220, 0)), ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)), ("sky", 23, (70, 130, 180)), ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)), ("car", 26, (0, 0, 142)), ("truck", 27, (0, 0, 70)), ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)), ("motorcycle", 32, (0, 0, 230)), ("bicycle", 33, (119, 11, 32)))
_STORED = 34  # label ids 0..33; those that are not in the table above are void


class CityscapesSource(PublishedSource):
    """Cityscapes: `leftImg8bit` with the `labelIds` of `gtFine`."""

    LABELS = LabelSet(tuple(row[0] for row in CLASSES), np.array([row[2] for row in CLASSES]))
    TABLE = mapped_table({**dict.fromkeys(range(_STORED), IGNORE_CLASS),
                          **{row[1]: train_id for train_id, row in enumerate(CLASSES)}}, len(CLASSES))

    @classmethod
    def find(cls, data_dir: str, split: str, problems: list | None) -> list[tuple[str, str]]:
        folder = {"train": "train", "validation": "val", "test": "test"}[split]
        if not os.path.isdir(os.path.join(data_dir, "leftImg8bit", folder)):
            raise layout_missing("cityscapes", data_dir, split, f"leftImg8bit/{folder} and gtFine/{folder}")
        return find_pairs(data_dir, split, f"leftImg8bit/{folder}/*/*_leftImg8bit.png",
                          f"gtFine/{folder}/*/*_gtFine_labelIds.png", problems)
