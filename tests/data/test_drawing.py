"""Polygons and run lengths against pycocotools, pixel by pixel, and against a test of every pixel's centre."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from kseg.data import drawing, polygon_fill

SQUARE = [[1, 1], [4, 1], [4, 3], [1, 3]]


def by_pycocotools(rings, height, width):
    parts = coco_mask.frPyObjects([np.ravel(ring).tolist() for ring in rings], height, width)
    return coco_mask.decode(coco_mask.merge(parts)).astype(bool)


def random_ring(random, kind, height, width):
    """Return a ring that is inside, partly outside, of whole numbers, of two digits, or large and round."""
    corners = random.integers(3, 14)
    if kind == "round":
        angles = np.sort(random.uniform(0, 2 * np.pi, 120))
        return random.uniform(0, 1, 2) * (width, height) + random.uniform(0.2, 1, (120, 1)) * np.stack(
            [np.cos(angles), np.sin(angles)], 1) * random.uniform(3, 80)
    low, high = {"inside": (0, 1), "outside": (-1, 2), "whole": (-0.1, 1.1), "digits": (-0.2, 1.2)}[kind]
    ring = random.uniform(low, high, (corners, 2)) * (width, height)
    return {"whole": np.round(ring), "digits": np.round(ring, 2)}.get(kind, ring)


def touches(ring, height, width):
    return (ring.max(axis=0) >= 0).all() and (ring.min(axis=0) <= (width, height)).all()


@pytest.mark.parametrize("kind", ["inside", "outside", "whole", "digits", "round"])
def test_polygons_are_those_of_pycocotools(kind):
    random = np.random.default_rng(0)
    compared = 0
    for _ in range(300):
        height, width = (int(side) for side in random.integers(1, 90, 2))
        rings = [random_ring(random, kind, height, width) for _ in range(random.integers(1, 4))]
        rings = [ring for ring in rings if touches(ring, height, width)]
        if rings:
            np.testing.assert_array_equal(drawing.polygon_mask(rings, height, width),
                                          by_pycocotools(rings, height, width), err_msg=str(rings))
            compared += 1
    assert compared > 150


def test_many_crossings_are_computed_part_by_part(monkeypatch):
    random = np.random.default_rng(1)
    ring = random_ring(random, "inside", 60, 70)
    whole = drawing.polygon_mask([ring], 60, 70)
    monkeypatch.setattr(polygon_fill, "_AT_ONCE", 1)
    np.testing.assert_array_equal(drawing.polygon_mask([ring], 60, 70), whole)


def test_a_pixel_belongs_to_a_polygon_that_holds_its_centre():
    """Convex polygons with corners on fifths of a pixel, tested by half-planes; centres on an edge are left out."""
    random = np.random.default_rng(2)
    rows, columns = np.mgrid[:25, :32] + 0.5
    for _ in range(50):
        angles = np.sort(random.uniform(0, 2 * np.pi, 5))
        ring = np.round((random.uniform(8, 20, 2) + 9 * np.stack([np.cos(angles), np.sin(angles)], 1)) * 5) / 5
        sides = np.array([(x1 - x0) * (rows - y0) - (y1 - y0) * (columns - x0)
                          for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0))])  # [5, H, W]
        lengths = np.hypot(*(np.roll(ring, -1, axis=0) - ring).T)[:, None, None]
        sure = (np.abs(sides) > 0.21 * lengths).all(axis=0)  # edges pass within a fifth of a pixel of their place
        inside = (sides > 0).all(axis=0)
        np.testing.assert_array_equal(drawing.polygon_mask([ring], 25, 32)[sure], inside[sure])


def test_parts_are_united_and_holes_cut_out():
    square, part, hole = ([[left, top], [right, top], [right, bottom], [left, bottom]]
                          for left, top, right, bottom in ((0, 0, 6, 6), (4, 4, 9, 8), (2, 2, 4, 5)))
    expected = np.zeros((10, 12), bool)
    expected[:6, :6] = expected[4:8, 4:9] = True
    np.testing.assert_array_equal(drawing.polygon_mask([square, part], 10, 12), expected)
    expected[2:5, 2:4] = False
    np.testing.assert_array_equal(drawing.polygon_mask([square, part], 10, 12, holes=[hole]), expected)
    region = drawing.polygon_region(3, [square, part], 10, 12, holes=[hole])
    assert (region.class_id, region.area, region.top, region.left) == (3, int(expected.sum()), 0, 0)


@pytest.mark.parametrize("far", [1e4, 1e12, 1e300])
def test_corners_far_outside_are_cut_off_at_no_cost(far):
    mask = drawing.polygon_mask([[[-far, 2], [far, 2], [far, 5], [-far, 5]]], 8, 9)
    np.testing.assert_array_equal(mask, np.repeat([[False], [False], [True], [True], [True], [False], [False],
                                                   [False]], 9, axis=1))


@pytest.mark.parametrize("ring, said", [
    ([[1, 2], [3, 4]], "at least three corners, in a.json, annotation 7, got polygon=[[1.0, 2.0], [3.0, 4.0]]"),
    ([1, 2, 3, 4, 5], "an even number of coordinates, x and y of each corner, in a.json, annotation 7, got "
                      "polygon=[1.0, 2.0, 3.0, 4.0, 5.0]"),
    ([1, 2, float("nan"), 4, 5, 6], "finite coordinates, in a.json, annotation 7, got "
                                    "polygon=[[1.0, 2.0], [nan, 4.0], [5.0, 6.0]]"),
    ([1, 2, float("inf"), 4, 5, 6], "finite coordinates"),
    ([[-9, -9], [-5, -9], [-9, -5]], "a part of the picture, which is 6 pixels high and 5 wide, in a.json, "),
    ([[6, 1], [8, 1], [8, 4]], "a part of the picture"), ([[1, 7], [3, 7], [3, 9]], "a part of the picture"),
    (["a", 2, 3, 4, 5, 6], "numbers alone"), ([10 ** 400, 2, 3, 4, 5, 6], "numbers alone"), ({"x": 1}, "numbers alone"),
    (None, "an even number"), (5, "an even number"), ([[[1, 2], [3, 4], [5, 6]]], "an even number"),
])
def test_illegal_rings_raise(ring, said):
    with pytest.raises(ValueError) as failure:
        drawing.polygon_mask([ring], 6, 5, where="a.json, annotation 7")
    assert str(failure.value).startswith("`polygon` must have " + said)
    assert str(failure.value).endswith(". Draw its outline again, or remove the annotation.")


def test_no_part_raises():
    with pytest.raises(ValueError, match="^`polygon` must have at least one part in a.json, got polygon=\\[\\]. Draw"):
        drawing.polygon_mask([], 6, 5, where="a.json")


def masks():
    """Return masks that are empty, full, noisy, striped and of blobs with holes."""
    random = np.random.default_rng(4)
    for height, width in ((1, 1), (7, 3), (40, 60), (300, 200)):
        noise = random.random((height, width))
        yield from (noise < 0, noise >= 0, noise < 0.3, np.indices((height, width)).sum(0) % 3 == 0,
                    np.hypot(*(np.indices((height, width)) - height / 3)) % 20 < 11)


def test_run_lengths_are_those_of_pycocotools():
    for mask in masks():
        compressed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
        changes = np.flatnonzero(np.diff(mask.T.ravel().astype(int))) + 1
        counts = np.diff(np.r_[0, changes, mask.size]).tolist()
        counts = [0, *counts] if mask.flat[0] else counts
        for written in (compressed, compressed.decode(), counts):
            np.testing.assert_array_equal(drawing.rle_mask(written, *mask.shape), mask)
        uncompressed = coco_mask.frPyObjects({"counts": counts, "size": list(mask.shape)}, *mask.shape)
        np.testing.assert_array_equal(coco_mask.decode(uncompressed), mask)


@pytest.mark.parametrize("counts", [
    [5], [3, 4], [], None, [7, -1], [2.5, 3.5], ["6"], [[6]], 6, {"a": 6}, [10 ** 30], [True] * 6, [2 ** 62] * 4])
def test_run_lengths_that_do_not_add_up_raise(counts):
    with pytest.raises(ValueError) as failure:
        drawing.rle_mask(counts, 2, 3, "a.json, annotation 7")
    assert str(failure.value).startswith("`counts` must be run lengths that add up to 2 × 3 = 6 pixels, in a.json, "
                                         "annotation 7, got counts=")


@pytest.mark.parametrize("text", ["", "é", "0P", "P" * 20 + "0", b"\x00", b"\xff", "~"])
def test_broken_compressed_run_lengths_raise(text):
    with pytest.raises(ValueError, match="^`counts` must be a whole string of compressed run lengths, in a.json"):
        drawing.rle_mask(text, 2, 3, "a.json")


def test_compressed_run_lengths_of_another_picture_raise():
    compressed = coco_mask.encode(np.asfortranarray(np.eye(9, dtype=np.uint8)))["counts"]
    for size in ((9, 8), (8, 9), (3, 28)):
        with pytest.raises(ValueError, match="add up to"):
            drawing.rle_mask(compressed, *size)


@pytest.mark.parametrize("size", [(50000, 50000), (0, 5), (-1, 5), (2.5, 4), ("3", 4), (True, 4), (None, 4)])
def test_a_size_that_is_none_raises_before_anything_is_allocated(size):
    for function in (lambda: drawing.paint([], *size, where="a.json"), lambda: drawing.rle_mask([1], *size, "a.json"),
                     lambda: drawing.polygon_mask([SQUARE], *size, where="a.json")):
        with pytest.raises(ValueError) as failure:
            function()
        assert str(failure.value) == ("`size` must be (height, width) of a picture of at most 2**30 pixels, in a.json, "
                                      f"got size={size!r}. Correct the size in the file.")


def test_the_smaller_object_is_on_top_or_the_later():
    def region(class_id, rows, columns):
        mask = np.zeros((6, 8), bool)
        mask[rows, columns] = True
        return drawing.mask_region(class_id, mask)

    small, large, equal = (region(1, np.s_[2:4], np.s_[2:4]), region(2, np.s_[1:5], np.s_[1:6]),
                           region(255, np.s_[3:5], np.s_[3:5]))
    assert (small.top, small.left, small.mask.shape, small.area) == (2, 2, (2, 2), 4)
    for regions, order in (([small, large, equal], "smaller_on_top"), ([large, small, equal], "smaller_on_top"),
                           ([equal, large, small], "listed")):
        expected = np.zeros((6, 8), np.uint8)
        for part in {"smaller_on_top": (large, small, equal), "listed": regions}[order]:
            expected[part.top:part.top + part.mask.shape[0], part.left:part.left + part.mask.shape[1]][
                part.mask] = part.class_id
        np.testing.assert_array_equal(drawing.paint(iter(regions), 6, 8, order), expected)
    with pytest.raises(ValueError, match="^`order` must be one of .'smaller_on_top', 'listed'., got order='biggest'"):
        drawing.paint([], 6, 8, "biggest")


def test_an_empty_mask_draws_nothing():
    assert not drawing.paint([drawing.mask_region(1, np.zeros((4, 4), bool))], 4, 4).any()


@pytest.mark.parametrize("stated", [[4, 6], [6, 4, 1], "64", None, 7, [[6, 4]]])
def test_a_stated_size_that_differs_raises(stated):
    drawing.check_stated_size([6, 4], 6, 4, "a.json")
    with pytest.raises(ValueError) as failure:
        drawing.check_stated_size(stated, 6, 4, "a.json")
    assert str(failure.value).startswith("`size` must be that of the image, (height, width) = (6, 4), in a.json, got "
                                         f"size={stated!r}. Pair it with the image it was drawn on: one that was ")
