"""LabelMe's JSON files: polygons, rectangles, circles and masks; the image beside it or embedded."""

import base64
import json
import pathlib

from tests.campaigns.file_sets import FileSet
from tests.campaigns.mutations import damaged_file as damage  # noqa: F401
from tests.data.sources import tool_files
from tests.data.sources.test_hostile_tools import LABELME


def told(file, content):
    """Return of each image the JSON beside it."""
    own = file.replace(".json", ".png")
    return {f"{number}.png": json.loads(content) if f"{number}.png" == own else None for number in range(2)}


_set = FileSet("labelme", told)
read, check = _set.read, _set.check


def seeds(folder):
    tool_files.write_labelme(folder)
    for number in range(3):
        path = pathlib.Path(folder) / f"{number}.json"
        content = json.loads(path.read_text())
        content["shapes"] += LABELME[:number + 1]
        if number == 2:
            image = path.with_suffix(".png")
            content["imageData"] = base64.b64encode(image.read_bytes()).decode()
            image.unlink()
        path.write_text(json.dumps(content))
    return _set.seeds(folder, "*.json")
