"""Rectangles and ellipses, against a loop over the pixels."""

import math

import numpy as np
import pytest

from kseg.data import outlines


def test_a_rectangle_turns_clockwise_about_its_centre_or_a_point():
    np.testing.assert_array_equal(outlines.rectangle(1.1, 2, 5, 4.3), [(1.1, 2), (5, 2), (5, 4.3), (1.1, 4.3)])
    np.testing.assert_allclose(outlines.rectangle(2, 2, 6, 4, 90), [(5, 1), (5, 5), (3, 5), (3, 1)], atol=1e-12)
    np.testing.assert_allclose(outlines.rectangle(2, 2, 6, 4, 90, about=(2, 2)), [(2, 2), (2, 6), (0, 6), (0, 2)],
                               atol=1e-12)
    np.testing.assert_allclose(outlines.rectangle(0, 0, 2, 2, 45), [
        (1, 1 - math.sqrt(2)), (1 + math.sqrt(2), 1), (1, 1 + math.sqrt(2)), (1 - math.sqrt(2), 1)], atol=1e-12)


@pytest.mark.parametrize("centre, radii, degrees", [
    ((15, 10), (6, 6), 0), ((15.5, 10.5), (5, 3), 0), ((14.2, 9.1), (12, 4), 30), ((14.2, 9.1), (4, 12), -75),
    ((-1, 3), (6, 9), 10), ((29, 19), (40, 2), 140), ((10, 10), (500, 700), 3), ((7.5, 7.5), (0.2, 0.2), 0)])
def test_an_ellipse_has_the_pixels_whose_centres_are_in_it(centre, radii, degrees, monkeypatch):
    monkeypatch.setattr(outlines, "_AT_ONCE", 64)  # some rows at a time
    region = outlines.ellipse_region(2, centre, radii, degrees, 20, 30, "here")
    found = np.zeros((20, 30), bool)
    found[region.top:region.top + region.mask.shape[0], region.left:region.left + region.mask.shape[1]] = region.mask
    angle, expected = math.radians(degrees), np.zeros((20, 30), bool)
    for row in range(20):
        for column in range(30):
            x, y = column + 0.5 - centre[0], row + 0.5 - centre[1]
            along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
            expected[row, column] = (along / radii[0]) ** 2 + (across / radii[1]) ** 2 <= 1
    assert region.class_id == 2 and expected.any()
    np.testing.assert_array_equal(found, expected)


def test_an_ellipse_of_no_size_or_outside_the_picture_raises():
    with pytest.raises(ValueError) as failure:
        outlines.ellipse_region(2, (3, 4), (0.0, 2.0), 0, 20, 30, "here")
    assert str(failure.value) == ("`radii` must be above 0 in here, got radii=(0.0, 2.0). Draw the ellipse again, or "
                                  "remove the annotation.")
    with pytest.raises(ValueError) as failure:
        outlines.ellipse_region(2, (3, 44), (5, 6), 0, 20, 30, "here")
    assert str(failure.value) == (
        "`ellipse` must have a part of the picture, which is 20 pixels high and 30 wide, in here, got ellipse="
        "{'centre': (3, 44), 'radii': (5, 6)}. Draw it again, or remove the annotation.")
