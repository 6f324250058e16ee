"""TFRecords as `kseg.data.write_records` writes them: the shards, their index and that of the split."""

import json
import os

from kseg import data
from kseg.data import sources
from tests.campaigns.file_sets import FileSet
from tests.campaigns.mutations import damaged_file as damage  # noqa: F401
from tests.data.conftest import make_folder


def told(file, content):
    """Return of each record, by its place, what was written: a checksum stands between it and all damage."""
    if file == "train.json":
        content = json.loads(content)
        facts = [content.get(key) for key in ("channels", "label_set", "pixel_range", "task")]
        return {place: facts for place in _places}
    return {place: None for place in _places}


_set = FileSet("records", told)
read, check = _set.read, _set.check
_places = []


def seeds(folder):
    data.write_records("folder", str(folder), "train", shards=2,
                       data_dir=make_folder(f"{folder}/images", count=3, splits=("train",)))
    source = sources.source("records", data_dir=str(folder))
    _places.extend(os.path.basename(source.describe(index)) for index in range(len(source)))
    return _set.seeds(folder, "*.tfrecord*", "train.json")
