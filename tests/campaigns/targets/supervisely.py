"""Supervisely's `meta.json` and the JSON of each image: polygons with holes, rectangles and bitmaps."""

import json
import pathlib

from tests.campaigns.file_sets import FileSet
from tests.campaigns.mutations import damaged_file as damage  # noqa: F401
from tests.data.sources import tool_files
from tests.data.sources.test_hostile_tools import SUPERVISELY


def told(file, content):
    """Return of each image its JSON; `meta.json` tells something of all, by its titles."""
    content, own = json.loads(content), file.rpartition("/")[2].removesuffix(".json")
    if file == "meta.json":
        content = sorted(row["title"] for row in content["classes"])
        return {f"{number}.png": content for number in range(3)}
    return {f"{number}.png": content if f"{number}.png" == own else None for number in range(3)}


_set = FileSet("supervisely", told)
read, check = _set.read, _set.check


def seeds(folder):
    tool_files.write_supervisely(folder)
    for path in pathlib.Path(folder).glob("ds1/ann/*.json"):
        content = json.loads(path.read_text())
        content["objects"] += SUPERVISELY
        path.write_text(json.dumps(content))
    return _set.seeds(folder, "meta.json", "ds1/ann/*.json")
