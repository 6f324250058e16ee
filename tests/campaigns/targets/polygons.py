"""Polygons, run lengths and masks of tools, given as JSON to `kseg.data.drawing` and `kseg.data.painted_masks`."""

import json

import numpy as np

from kseg.data import drawing, painted_masks
from tests.campaigns.mutations import damaged_json
from tests.campaigns.targets.coco import compressed
from tests.data.sources import annotations, tool_files

_MASK = np.add.outer(np.arange(20) // 4, np.arange(30) // 9) % 2 == 1


def seeds(folder):
    del folder
    for case in (
            *({"rings": [[[x, y], [x + 9.5, y - 1.25], [x + 4, y + 8.75], [x - 3, y + 2]]], "holes": []}
              for x, y in ((4, 3), (14, 9), (24.5, 11), (-2, 15), (8, -3))),
            {"rings": [[2, 3, 25.5, 4, 20, 18.25, 5, 15]], "holes": []},
            {"rings": [[[1, 1], [28, 2], [15, 19]], [[-4, 5], [9, 5], [3, 40]]], "holes": [[8, 6, 12, 6, 10, 10]]},
            {"counts": annotations.run_lengths(_MASK)["counts"]}, {"counts": compressed(_MASK)["counts"]},
            {"brush": tool_files.brush_runs(tool_files.brush_bytes(_MASK))},
            {"png": tool_files.text_of(tool_files.png(_MASK, "P"))},
            {"png": tool_files.text_of(tool_files.png(_MASK, "RGBA"), compressed=True), "compressed": True}):
        yield json.dumps({"height": 20, "width": 30, **case}).encode()


def damage(content, others, random):
    """As `damaged_json`; or, of rings, others in their place: crossing themselves, flat, tiny, far outside."""
    case = json.loads(content)
    if "rings" not in case or random.random() < 0.4:
        return damaged_json(content, others, random)
    for rings in (case["rings"], case["holes"]):
        for place in range(len(rings)):
            spread = 10.0 ** int(random.choice((-1, 0, 1, 1, 1, 2, 4, 9)))
            ring = random.normal((15, 10), spread, (int(random.integers(3, 16)), 2))
            ring = np.round(ring, int(random.integers(0, 4)))
            ring[random.random(len(ring)) < 0.2] = ring[0]
            rings[place] = ring.tolist() if random.random() < 0.5 else ring.ravel().tolist()
    return json.dumps(case).encode()


def read(content, folder):
    """Return the mask; a document of another shape is refused as a caller would."""
    del folder
    try:
        case = json.loads(content)
        height, width = case["height"], case["width"]
    except (ValueError, LookupError, TypeError, RecursionError) as failure:
        raise ValueError("`case` must be whole, got case=None. Not kseg's to say.") from failure
    if "rings" in case:
        if not isinstance(case["rings"], list) or not isinstance(case.get("holes"), list):
            raise ValueError("`rings` must be a list, got rings=None. Not kseg's to say.")
        return drawing.polygon_mask(case["rings"], height, width, holes=case["holes"])
    drawing.checked_size(height, width, "the case")
    if "counts" in case:
        return drawing.rle_mask(case["counts"], height, width)
    if "brush" in case:
        return painted_masks.brush_mask(case["brush"], height, width, "the case")
    return painted_masks.png_mask(case.get("png"), height, width, "the case", compressed=bool(case.get("compressed")))


def check(answer, content):
    case = json.loads(content)
    size = (case["height"], case["width"])
    assert answer.dtype == bool and answer.ndim == 2, (answer.dtype, answer.shape)
    assert answer.shape == size if "png" not in case else answer.shape[0] <= size[0], (answer.shape, size)
    if size == (20, 30) and len(case.get("rings", ())) == 1 and not case["holes"]:
        ring = np.reshape(np.array(case["rings"][0], float), (-1, 2))
        if len(ring) < 20 and np.abs(ring).max() < 1e4 and all(
                (start != end).any() for start, end in zip(ring, np.roll(ring, -1, axis=0))):
            tool_files.assert_drawn(answer, ring.tolist())
    if isinstance(case.get("counts"), list):
        values = np.concatenate([np.full(count, number % 2, bool) for number, count in enumerate(case["counts"])])
        np.testing.assert_array_equal(answer, values.reshape(size[::-1]).T)
