"""YOLO's label files and `data.yaml`."""

from tests.campaigns.file_sets import FileSet
from tests.campaigns.mutations import damaged_file as damage  # noqa: F401
from tests.data.sources import annotations


def told(file, content):
    """Return of each image the words of its lines; `data.yaml` tells something of all."""
    words = [line.split() for line in content.decode("utf-8").splitlines()]
    own = file.rpartition("/")[2].replace(".txt", ".png")
    return {f"{number}.png": words if own in (f"{number}.png", "data.yaml") else None for number in range(2)}


_set = FileSet("yolo", told)
read, check = _set.read, _set.check


def seeds(folder):
    annotations.write_yolo(folder, annotations.label_maps(2, size=(10, 15)))
    return _set.seeds(folder, "labels/train/*.txt", "data.yaml")
