"""Colours of masks to class ids, against a loop over the named colours."""

import numpy as np
import pytest
from PIL import Image

from kseg.data import colours
from kseg.data.colours import Colours
from kseg.labels import LabelSet

NAMED = ((0, 0, 0, 0), (255, 255, 255, 1), (102, 102, 51, 2), (0, 60, 0, 2), (10, 20, 30, 255))


def by_loop(pixels, named, nearest, other):
    """The class of each pixel: a loop over pixels and colours in whole numbers."""
    answer = np.empty(pixels.shape[:2], np.uint8)
    for place in np.ndindex(answer.shape):
        squares = [sum((int(a) - b) ** 2 for a, b in zip(pixels[place], row)) for row in named]
        best = squares.index(min(squares))
        answer[place] = named[best][3] if squares[best] <= nearest ** 2 else other
    return answer


def test_named_colours_alone_are_legal():
    rows = np.array(NAMED)
    ids = np.random.default_rng(0).integers(0, len(rows), (9, 13))
    found = Colours(NAMED).class_ids(rows[ids][..., :3].astype(np.uint8), "a.png")
    np.testing.assert_array_equal(found, rows[ids][..., 3])
    assert found.dtype == np.uint8
    with pytest.raises(ValueError) as failure:
        Colours(NAMED).class_ids(np.full((2, 3, 3), 7, np.uint8), "a.png")
    assert str(failure.value) == (
        "`labels` must use the named colours only; 'a.png' has 1 others at 6 of 6 pixels, got labels=[[7, 7, 7]]. Name "
        "them (`name r g b` lines of classes.txt, or label_map={(r, g, b): id}), map all others by "
        'label_map={"other": 255}, or take antialiased rims to the nearest colour by nearest_colour=60.')


@pytest.mark.parametrize("nearest, other", [(0, 255), (30, 255), (30.5, 3), (100, 255), (442, 0)])
def test_the_nearest_colour_is_that_of_a_loop(nearest, other):
    rows = np.array(NAMED)[:, :3].astype(np.uint8)
    mask = np.kron(np.random.default_rng(1).integers(0, 5, (4, 6)), np.ones((6, 6), np.int64))
    soft = np.asarray(Image.fromarray(rows[mask]).resize((20, 15), Image.Resampling.BICUBIC))
    soft = np.concatenate([soft, np.random.default_rng(2).integers(0, 256, (5, 20, 3), dtype=np.uint8)])
    chosen = Colours(NAMED, None if other == 255 else other, float(nearest))
    expected = by_loop(soft, NAMED, nearest, other)
    np.testing.assert_array_equal(chosen.class_ids(soft, "a.png"), expected)
    np.testing.assert_array_equal(chosen.class_ids(soft, "a.png"), expected)  # from the table that is filled now
    exact = (soft[:, :, None] == rows).all(-1).any(-1)
    near, strange = chosen.counts(soft)
    far = by_loop(soft, [(*row[:3], 0) for row in NAMED], nearest, 1) == 1
    assert strange == far.sum() and near == (~far & ~exact).sum()


def test_of_equally_near_colours_the_first_named_counts():
    pixels = np.array([[[10, 0, 0]]], np.uint8)
    for first, second in ((1, 2), (2, 1)):
        named = ((10 * (first - 1) * 2, 0, 0, first), (10 * (second - 1) * 2, 0, 0, second))
        assert Colours(named, nearest=50.0).class_ids(pixels, "a.png").tolist() == [[first]]


def test_the_distance_itself_is_near_enough():
    pixels = np.array([[[3, 4, 0], [3, 4, 1]]], np.uint8)
    assert Colours(((0, 0, 0, 7),), nearest=5.0).class_ids(pixels, "a.png").tolist() == [[7, 255]]


def test_other_takes_what_is_not_named():
    pixels = np.array([[[0, 60, 0], [0, 60, 1]]], np.uint8)
    assert Colours(NAMED, other=1).class_ids(pixels, "a.png").tolist() == [[2, 1]]
    assert Colours(NAMED, other=1).counts(pixels) == (0, 1)


def test_of_equal_colours_the_first_counts_and_the_class_254_may_have_one():
    named = ((1, 1, 1, 254), (1, 1, 1, 3), (2, 2, 2, 3))
    pixels = np.array([[[1, 1, 1], [2, 2, 2]]], np.uint8)
    assert Colours(named).class_ids(pixels, "a.png").tolist() == [[254, 3]]


def test_the_border_of_voc_is_ignored_where_colours_are_those_of_a_palette():
    label_set = LabelSet(("a", "b"))
    pixels = np.array([[[0, 0, 0], [128, 0, 0], [224, 224, 192]]], np.uint8)
    exact = colours.of_palette(colours.palette_rows(label_set))
    assert exact.class_ids(pixels, "a.png").tolist() == [[0, 1, 255]]
    table = np.full(256, -1, np.int16)
    table[1] = 0
    mapped = colours.of_palette(colours.palette_rows(label_set), table, other=255)
    assert mapped.class_ids(pixels, "a.png").tolist() == [[255, 0, 255]]
    white = LabelSet(("white",), np.array([[255, 255, 255]]))
    near = colours.of_palette(colours.palette_rows(white), nearest=80.0)
    assert near.class_ids(np.array([[[224, 224, 192]]], np.uint8), "a.png").tolist() == [[0]]
