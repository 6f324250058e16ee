"""A folder's `classes.txt` with colours, the lists of its splits, and its masks."""

import io
import pathlib

import numpy as np
from PIL import Image

from tests.campaigns.file_sets import FileSet
from tests.campaigns.mutations import damaged_file as damage  # noqa: F401
from tests.conftest import structured_image

_COLOURS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)


def told(file, content):
    """Return the colours of a mask for its image; lists tell nothing of labels, `classes.txt` something of all."""
    every = [f"{number}.png" for number in range(3)]
    if file.endswith("classes.txt"):
        return {image: [line.split() for line in content.decode("utf-8-sig").splitlines()] for image in every}
    if file.endswith(".txt"):
        return {image: None for image in every} if b"labels" not in content else {}
    colours = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).tolist()
    return {image: colours if image == file.rpartition("/")[2] else None for image in every}


_set = FileSet("folder", told)
read, check = _set.read, _set.check


def seeds(folder):
    root = pathlib.Path(folder)
    for part in ("images", "labels"):
        (root / part).mkdir()
    for number in range(3):
        Image.fromarray(structured_image(10, 15)).save(root / "images" / f"{number}.png")
        ids = np.add.outer(np.arange(10) // 4, np.arange(15) // (3 + number)) % 3
        Image.fromarray(_COLOURS[ids]).save(root / "labels" / f"{number}.png")
    (root / "classes.txt").write_text("ground 0 0 0\nroof 255 0 0\ntree 0 255 0\n")
    (root / "train.txt").write_text("images/0.png labels/0.png\nimages/1.png labels/1.png\n2\n")
    return _set.seeds(folder, "*.txt", "labels/*.png")
