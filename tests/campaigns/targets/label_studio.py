"""Label Studio's JSON: brushes, polygons, rectangles and ellipses."""

import json
import pathlib

from tests.campaigns.file_sets import FileSet
from tests.campaigns.mutations import damaged_file as damage  # noqa: F401
from tests.data.sources import tool_files
from tests.data.sources.test_hostile_tools import LABEL_STUDIO


def told(file, content):
    """Return of each image its task."""
    del file
    tasks = [(task["data"]["image"].rpartition("/")[2], task) for task in json.loads(content)]
    names = [name for name, _ in tasks]
    return {name: task for name, task in tasks if names.count(name) == 1}


_set = FileSet("label_studio", told)
read, check = _set.read, _set.check


def seeds(folder):
    path = pathlib.Path(tool_files.write_label_studio(folder))
    tasks = json.loads(path.read_text())
    for number, task in enumerate(tasks):
        task["annotations"][0]["result"] += LABEL_STUDIO[:number + 1]
    path.write_text(json.dumps(tasks))
    return _set.seeds(folder, "*.json")
