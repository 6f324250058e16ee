"""CVAT's masks: `labelmap.txt`, the list of the images and the PNGs."""

import io

import numpy as np
from PIL import Image

from tests.campaigns.file_sets import FileSet
from tests.campaigns.mutations import damaged_file as damage  # noqa: F401
from tests.data.sources import tool_files


def told(file, content):
    """Return the colours of a PNG for its image; the list of the images tells nothing of their labels."""
    if file.endswith("labelmap.txt"):
        return {f"{number}.jpg": content for number in range(3)}
    if file.endswith(".txt"):
        return {f"{number}.jpg": None for number in range(3)}
    own = file.rpartition("/")[2].replace(".png", ".jpg")
    colours = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).tolist()
    return {f"{number}.jpg": colours if f"{number}.jpg" == own else None for number in range(3)}


_set = FileSet("cvat_masks", told)
read, check = _set.read, _set.check


def seeds(folder):
    tool_files.write_cvat_masks(folder)
    return _set.seeds(folder, "labelmap.txt", "ImageSets/Segmentation/*.txt", "SegmentationClass/*.png")
