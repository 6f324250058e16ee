"""Whatever stands in a COCO file, the answer is a label map or a sentence, and never another exception."""

import copy
import json
import random

import numpy as np
import pytest

from kseg.data import sources
from tests.data.sources import annotations as written

JUNK = (None, True, -1, 0, 3, 2 ** 31, 2 ** 70, -1e300, 1e300, float("nan"), float("inf"), "", "a", "../..", "\x00", [],
        [[]], [1], [None], {}, {"counts": "a"}, {"counts": [0], "size": [1, 1]}, {"id": 1}, [[1e9] * 6], ["a" * 300])


def places(node, path=()):
    """Yield the path of every node of a JSON value."""
    yield path
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(value, (*path, key))


def spoilt(content, draw):
    """Return a copy with one to three nodes replaced or removed."""
    content = copy.deepcopy(content)
    for _ in range(draw.randint(1, 3)):
        path = draw.choice(list(places(content)))
        if not path:
            continue
        node = content
        for key in path[:-1]:
            node = node[key]
        if draw.random() < 0.2:
            del node[path[-1]]
        else:
            node[path[-1]] = copy.deepcopy(draw.choice(JUNK))
    return content


def small(segmentation):
    return written.coco(written.label_maps(2, size=(10, 10)), segmentation=segmentation)


@pytest.mark.parametrize("name", ["coco, run lengths", "coco, polygons", "coco_panoptic"])
def test_spoilt_json_gives_labels_or_a_sentence(tmp_path, name):
    maps = [ids | 1 for ids in written.label_maps(2, size=(10, 10))]
    name, _, kind = name.partition(", ")
    write = written.write_panoptic if name == "coco_panoptic" else written.write_coco
    path = write(str(tmp_path), maps)
    with open(path, encoding="utf-8") as file:
        whole = json.load(file)
    if kind == "polygons":
        whole = small(lambda mask: written.rectangles(mask)[:3])
    draw, said, read = random.Random(0), 0, 0
    for _ in range(400):
        written.dump(path, spoilt(whole, draw))
        try:
            source = sources.source(name, data_dir=str(tmp_path))
        except (ValueError, FileNotFoundError) as failure:
            assert str(failure).startswith("`") and len(str(failure)) < 3000
            said += 1
            continue
        for index in range(len(source)):
            try:
                labels = source.read(index)[1]
            except ValueError as failure:
                assert str(failure).startswith("`") and len(str(failure)) < 3000
                said += 1
            else:
                assert labels.shape == (10, 10) and labels.dtype == np.uint8
                assert set(np.unique(labels)) <= {*range(len(source.label_set)), 255}
                read += 1
    assert said > 100 and read > 100
