"""COCO's panoptic labels: the JSON and the PNGs."""

import io
import json

import numpy as np
from PIL import Image

from tests.campaigns.file_sets import FileSet
from tests.campaigns.mutations import damaged_file as damage  # noqa: F401
from tests.campaigns.targets import coco
from tests.data.sources import annotations


def told(file, content):
    """Return of each image its rows in the JSON; of a PNG its colours, and nothing of other images."""
    if file.endswith(".json"):
        masks = [row["file_name"] for row in json.loads(content)["annotations"]]
        return coco.told(file, content) if len(set(masks)) == len(masks) else {}
    own = file.rpartition("/")[2]
    colours = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).tolist()
    return {f"{number}.png": colours if f"{number}.png" == own else None for number in range(2)}


_set = FileSet("coco_panoptic", told)
read, check = _set.read, _set.check


def seeds(folder):
    maps = [np.where(ids == 0, 255, ids).astype(np.uint8) for ids in annotations.label_maps(2, size=(10, 15))]
    annotations.write_panoptic(folder, maps)
    return _set.seeds(folder, "annotations/*.json", "annotations/panoptic_train2017/*.png")
