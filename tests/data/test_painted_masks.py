"""Masks stored pixel by pixel, against ones that are known and written by code of the test's own."""

import base64
import zlib

import numpy as np
import pytest

from kseg.data import painted_masks
from tests.data.sources import tool_files

MASK = np.zeros((7, 9), bool)
MASK[1:5, 2:7] = True
MASK[2, 3:5] = False
MASK[6, 8] = True


@pytest.mark.parametrize("repeat", [True, False])
@pytest.mark.parametrize("sizes", [(3, 4, 8, 16), (1, 2, 3, 5)])
@pytest.mark.parametrize("mask", [MASK, ~MASK, np.ones((7, 9), bool), np.zeros((7, 9), bool), MASK[:1, :3]])
def test_what_a_brush_painted_is_read_from_packets_of_both_kinds(mask, sizes, repeat):
    runs = tool_files.brush_runs(tool_files.brush_bytes(mask), sizes, repeat)
    np.testing.assert_array_equal(painted_masks.brush_mask(runs, *mask.shape, "here"), mask)


def test_runs_of_a_brush_may_be_longer_than_a_count_holds():
    mask = np.zeros((200, 300), bool)
    mask[20:180, 30:31] = True
    runs = tool_files.brush_runs([255 * painted for painted in mask.ravel().repeat(4).tolist()])
    np.testing.assert_array_equal(painted_masks.brush_mask(runs, 200, 300, "here"), mask)


def test_a_brush_is_read_by_its_alpha_alone():
    values = [value for number in range(12) for value in (9, 0, 77, number % 3)]
    read = painted_masks.brush_mask(tool_files.brush_runs(values), 3, 4, "here")
    np.testing.assert_array_equal(read, [[number % 3 != 0 for number in range(row, row + 4)] for row in (0, 4, 8)])


@pytest.mark.parametrize("runs, height, width, message", [
    ([1, 2, 256], 7, 9, "`rle` must be a list of bytes in here, got rle=[1, 2, 256]. Export the annotations again, or "
                        "remove this one."),
    ("AAAA", 7, 9, "`rle` must be a list of bytes in here, got rle='AAAA'. Export the annotations again, or remove "
                   "this one."),
    ([1, 2, 3], 7, 9, "`rle` must be whole in here; it ends in the middle, got rle='3 bytes'. Export the annotations "
                      "again, or remove this one."),
    (tool_files.brush_runs(tool_files.brush_bytes(MASK))[:-3], 7, 9, "`rle` must be whole in here; it ends in the "
     "middle, got rle='99 bytes'. Export the annotations again, or remove this one."),
    (tool_files.brush_runs(tool_files.brush_bytes(MASK)), 9, 8, "`rle` must have 4 values for each of the picture's "
     "9 × 8 pixels in here, got rle=252. Pair it with the image it was painted on."),
    ([255] * 8, 7, 9, "`rle` must have 4 values for each of the picture's 7 × 9 pixels in here, got rle=4294967295. "
     "Pair it with the image it was painted on."),
])
def test_a_broken_brush_is_named(runs, height, width, message):
    with pytest.raises(ValueError) as failure:
        painted_masks.brush_mask(runs, height, width, "here")
    assert str(failure.value) == message


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_png_in_text_is_a_mask(mode, compressed):
    text = tool_files.text_of(tool_files.png(MASK, mode), compressed)
    np.testing.assert_array_equal(painted_masks.png_mask(text, 7, 9, "here", compressed), MASK)


def test_a_png_that_is_broken_or_larger_than_the_picture_is_named():
    whole = tool_files.png(MASK)
    bomb = zlib.compress(whole + bytes(1 << 24))
    huge = whole[:16] + (1 << 30).to_bytes(4, "big") * 2 + whole[24:]
    for text, compressed, rule in (
            ("!!!", False, "must be a PNG as base64 text in here, got mask='!!!'. The decoder says: "),
            (tool_files.text_of(whole)[:-2], False, "must be a PNG as base64 text in here"),
            (None, False, "must be a PNG of at most the picture's 6 × 9 pixels in here, got mask=None. "),
            (tool_files.text_of(b"GIF89a"), False, "must be a PNG of at most the picture's 6 × 9 pixels in here, got "),
            (tool_files.text_of(whole), False, "must be a PNG of at most the picture's 6 × 9 pixels in here, got "
             "mask='7 × 9'. "),
            (tool_files.text_of(huge), False, "must be a PNG of at most the picture's 6 × 9 pixels in here, got "
             "mask='1073741824 × 1073741824'. "),
            (tool_files.text_of(whole), True, "must be a PNG packed by zlib in here"),
            (base64.b64encode(bomb).decode(), True, "must be a whole PNG, packed by zlib, of at most 65806 bytes in "
             "here, got mask='65806 bytes and more'. "),
            (base64.b64encode(zlib.compress(whole)[:-6]).decode(), True, "must be a whole PNG, packed by zlib, ")):
        with pytest.raises(ValueError) as failure:
            painted_masks.png_mask(text, 6, 9, "here", compressed)
        assert str(failure.value).startswith(f"`mask` {rule}")


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_a_png_without_its_end_is_named(mode):
    data = tool_files.png(np.kron(MASK, np.ones((4, 4), bool)), mode)
    with pytest.raises(ValueError) as failure:
        painted_masks.png_mask(tool_files.text_of(data[:len(data) - 30]), 28, 36, "here")
    assert str(failure.value).startswith("`") and "here" in str(failure.value)


def test_run_lengths_go_along_the_rows():
    np.testing.assert_array_equal(painted_masks.row_runs_mask("2, 3, 1,4, 2", 3, 4, "here"),
                                  [[0, 0, 1, 1], [1, 0, 1, 1], [1, 1, 0, 0]])
    for runs, rule in (("1,x", "must be whole numbers with commas between them in here, got rle='1,x'. "),
                       ("", "must be whole numbers with commas between them in here, got rle=''. "),
                       (f"{10 ** 30}", "must be whole numbers with commas between them in here"),
                       ("3,4", "must be run lengths that add up to 4 × 3 = 12 pixels, in here, got counts=7. "),
                       (f"{1 << 40}, 3", "must be run lengths that add up to 4 × 3 = 12 pixels, in here"),
                       ("13,-1", "must be run lengths that add up to 4 × 3 = 12 pixels, in here")):
        with pytest.raises(ValueError) as failure:
            painted_masks.row_runs_mask(runs, 3, 4, "here")
        assert str(failure.value).split(" ", 1)[1].startswith(rule)


@pytest.mark.parametrize("top, left", [(0, 0), (-3, 4), (5, -2), (17, 27), (-6, 29)])
def test_a_mask_is_cut_to_the_picture(top, left):
    region = painted_masks.placed(3, MASK, top, left, 20, 30, "here")
    found = np.zeros((20, 30), bool)
    found[region.top:region.top + region.mask.shape[0], region.left:region.left + region.mask.shape[1]] = region.mask
    expected = np.zeros((20, 30), bool)
    for row in range(20):
        for column in range(30):
            if 0 <= row - top < 7 and 0 <= column - left < 9:
                expected[row, column] = MASK[row - top, column - left]
    assert region.class_id == 3
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("top, left", [(20, 0), (0, 30), (-7, 0), (0, -9), (-10 ** 12, 10 ** 12)])
def test_a_mask_wholly_outside_the_picture_raises(top, left):
    with pytest.raises(ValueError) as failure:
        painted_masks.placed(3, MASK, top, left, 20, 30, "here")
    assert str(failure.value) == (
        "`mask` must have a part of the picture, which is 20 pixels high and 30 wide, in here, got mask="
        f"{{'top': {top}, 'left': {left}, 'height': 7, 'width': 9}}. Export the annotations again, or remove this one.")
