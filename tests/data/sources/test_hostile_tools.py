"""Whatever stands in the file of an annotation tool, the answer is a label map or a sentence, and nothing else."""

import json
import random
import re

import numpy as np
import pytest

from kseg.data import sources
from tests.data.sources import tool_files
from tests.data.sources.test_hostile_json import spoilt

MASK = np.array([[True, False, True], [True, True, False]])
LABELME = [{"label": "car", "shape_type": "circle", "points": [[5, 5], [8, 8]]},
           {"label": "car", "shape_type": "mask", "points": [[5, 5], [7, 6]],
            "mask": tool_files.text_of(tool_files.png(MASK))}]
LABEL_STUDIO = [
    tool_files.result_of({"x": 10, "y": 10, "radiusX": 20, "radiusY": 5, "rotation": 20, "ellipselabels": ["car"]}, 1),
    tool_files.result_of({"x": 10, "y": 10, "width": 20, "height": 5, "rotation": 20, "rectanglelabels": ["car"]}, 2),
    tool_files.result_of({"rle": tool_files.brush_runs([255] * 2400), "brushlabels": ["car"]}, 3)]
SUPERVISELY = [
    {"classTitle": "car", "geometryType": "rectangle", "points": {"exterior": [[1, 2], [5, 6]], "interior": []}},
    {"classTitle": "car", "geometryType": "bitmap", "bitmap": {
        "data": tool_files.text_of(tool_files.png(MASK), compressed=True), "origin": [3, 4]}}]
FIGURES = ('<polygon label="car" points="2,3;12,3;12,10" z_order="0"/>',
           '<box label="person" xtl="1" ytl="1" xbr="9" ybr="9" rotation="10"/>',
           '<ellipse label="car" cx="9" cy="9" rx="4" ry="5" rotation="20"/>',
           '<mask label="car" rle="0, 2, 3, 1" left="22" top="4" width="3" height="2"/>')
JUNK = ("", "nan", "inf", "-1", "1e999", "x", "9" * 20, "-5,3", "1;2", "&lt;", "../../etc", "1" * 6000, "0.5",
        "1,1;5,5;9,1", "\u0663")


def spoilt_text(text, draw):
    """Return XML with an attribute, a character or a part of it replaced or removed."""
    way, place = draw.random(), draw.randrange(len(text))
    if way < 0.8:
        match = draw.choice(list(re.finditer('="([^"]*)"', text)))
        return text[:match.start(1)] + draw.choice(JUNK) + text[match.end(1):]
    rest = draw.choice('<>&"/=a;') + text[place + 1:] if way < 0.9 else text[place + draw.randrange(60):]
    return text[:place] + rest


def outcomes(name, root):
    """Return how many pairs were read, and how many errors were sentences."""
    read = said = 0
    try:
        source = sources.source(name, data_dir=str(root))
        reads = [lambda index=index: source.read(index) for index in range(len(source))]
    except (ValueError, FileNotFoundError) as failure:
        assert str(failure).startswith("`") and len(str(failure)) < 3000
        return 0, 1
    for read_pair in reads:
        try:
            labels = read_pair()[1]
        except ValueError as failure:
            assert str(failure).startswith("`") and len(str(failure)) < 3000
            said += 1
        else:
            assert labels.shape == (20, 30) and labels.dtype == np.uint8
            assert set(np.unique(labels)) <= {*range(len(source.label_set)), 255}
            read += 1
    return read, said


@pytest.mark.parametrize("name, write, more, place", [
    ("labelme", tool_files.write_labelme, LABELME, lambda content: content["shapes"]),
    ("label_studio", tool_files.write_label_studio, LABEL_STUDIO,
     lambda content: content[0]["annotations"][0]["result"]),
    ("supervisely", tool_files.write_supervisely, SUPERVISELY, lambda content: content["objects"])])
def test_spoilt_json_gives_labels_or_a_sentence(tmp_path, name, write, more, place):
    path = write(str(tmp_path))
    with open(path, encoding="utf-8") as file:
        whole = json.load(file)
    place(whole).extend(more)
    draw, counts = random.Random(0), np.zeros(2, int)
    for _ in range(200):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(spoilt(whole, draw), file)
        counts += outcomes(name, tmp_path)
    assert counts.min() > 60


def test_spoilt_xml_gives_labels_or_a_sentence(tmp_path):
    tool_files.write_cvat(str(tmp_path))
    whole = tool_files.cvat_xml([tool_files.cvat_image(index, FIGURES, subset="Train") for index in range(3)])
    draw, counts = random.Random(0), np.zeros(2, int)
    for _ in range(300):
        tool_files.save_text(tmp_path, "annotations.xml", spoilt_text(whole, draw))
        counts += outcomes("cvat", tmp_path)
    assert counts.min() > 60
