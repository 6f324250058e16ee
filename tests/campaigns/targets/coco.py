"""COCO's instances: polygons and run lengths."""

import json

import numpy as np

from tests.campaigns.file_sets import FileSet
from tests.campaigns.mutations import damaged_file as damage  # noqa: F401
from tests.data.sources import annotations


def told(file, content):
    """Return of each image its row, its annotations and the categories."""
    content = json.loads(content)
    names = [row["file_name"] for row in content["images"]]
    ids = [row["id"] for row in content["images"]]
    return {row["file_name"]: [row, [one for one in content["annotations"] if one["image_id"] == row["id"]],
                               content["categories"]]
            for row in content["images"] if names.count(row["file_name"]) == ids.count(row["id"]) == 1}


_set = FileSet("coco", told, lambda file: {"annotations": file})
read, check = _set.read, _set.check


def seeds(folder):
    maps = annotations.label_maps(2, size=(10, 15))
    annotations.write_images(f"{folder}/train2017", maps)
    for number, segmentation in enumerate((annotations.run_lengths, annotations.rectangles, compressed)):
        annotations.dump(f"{folder}/annotations/{number}.json", annotations.coco(maps, segmentation=segmentation))
    return _set.seeds(folder, "annotations/*.json")


def compressed(mask):
    """Return COCO's compressed run lengths of a mask."""
    counts = annotations.run_lengths(mask)["counts"]
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        while True:
            group, value = value & 0x1F, value >> 5
            more = value != (-1 if group & 0x10 else 0)
            text += chr(group + 0x20 * more + 48)
            if not more:
                break
    return {"counts": text, "size": list(np.shape(mask))}
