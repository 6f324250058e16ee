"""Fingerprints against a difference hash written out, and on images changed as copies are."""

import cv2
import numpy as np
import pytest

from kseg.data.near_duplicates import MOST_BITS, Fingerprints, fingerprint
from kseg.data.sources import shapes
from tests.conftest import structured_image

IMAGES = [shapes.generate("train", index)[0] for index in range(24)]


def test_the_hash_compares_neighbours_in_reading_order():
    grey = np.random.default_rng(0).integers(0, 256, (8, 9)).astype(np.uint8)
    pixels = np.kron(grey, np.ones((4, 4), np.uint8))[..., None]  # 9×8 blocks: the reduction is exact
    wanted = [int(grey[row, column + 1] > grey[row, column]) for row in range(8) for column in range(8)]
    assert np.unpackbits(fingerprint(pixels).bits).tolist() == wanted
    colour = fingerprint(np.repeat(pixels, 3, -1))
    np.testing.assert_array_equal(colour.bits, fingerprint(pixels).bits)
    np.testing.assert_allclose(colour.thumbnail, fingerprint(pixels).thumbnail, atol=1e-5)


@pytest.mark.parametrize("change", [
    lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], cv2.IMREAD_COLOR),
    lambda image: (image * 0.9).astype(np.uint8)])
def test_copies_are_found_and_others_are_not(change):
    seen = Fingerprints()
    for index, image in enumerate(IMAGES[:12]):
        seen.add(f"{index}", image)
    assert len(seen) == 12
    found = [seen.nearest(change(image)) for image in IMAGES]
    assert found[12:] == [None] * 12
    paths = [near and near[0] for near in found[:12]]
    assert all(path in (None, str(index)) for index, path in enumerate(paths)) and paths.count(None) <= 1
    assert all(near is None or 0 <= near[1] <= MOST_BITS for near in found)


def test_flat_images_are_left_out():
    seen = Fingerprints()
    for pixels in (np.full((20, 20, 3), 9, np.uint8), np.zeros((5, 5, 1), np.uint8), np.full((8, 8, 1), np.nan)):
        seen.add("flat", pixels)
        assert fingerprint(pixels) is None
    assert len(seen) == 0 and seen.nearest(structured_image(30, 30)) is None
