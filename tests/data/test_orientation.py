"""EXIF orientation against Pillow's own, and who decides it in a dataset: the mask."""

import io
import os

import numpy as np
import pytest
from PIL import Image, ImageOps

import kseg
from kseg.data import decode, sources
from kseg.data.orientation import exif_orientation, upright
from tests.conftest import structured_image


def encoded(pixels, kind, orientation, **options):
    exif, content = Image.Exif(), io.BytesIO()
    if orientation is not None:
        exif[274] = orientation
    Image.fromarray(pixels).save(content, kind, exif=exif, **options)
    return content.getvalue()


@pytest.mark.parametrize("kind, options", [("JPEG", {}), ("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True}),
                                           ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_as_pillow_turns_them(kind, options, orientation):
    content = encoded(structured_image(24, 40), kind, orientation, **options)
    pixels, found = decode.read_photograph(content)
    assert found == orientation and pixels.shape == (24, 40, 3)
    np.testing.assert_array_equal(pixels, decode.read_pixels(content))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))
    np.testing.assert_array_equal(upright(pixels, found), expected)


@pytest.mark.parametrize("between", [b"\xff\xff\xff", b"damage", b"\xff\x00", b"\xff\xd0", b"\xff\xe0\x00\x02"])
def test_what_stands_before_exif_data_hides_it_no_more_than_from_pillow(between):
    whole = encoded(structured_image(24, 40), "JPEG", 6)
    place = whole.index(b"\xff\xe1")
    content = whole[:place] + between + whole[place:]
    assert exif_orientation(content) == Image.open(io.BytesIO(content)).getexif().get(274) == 6


def test_pixels_are_given_as_they_are_stored():
    image = structured_image(24, 40)
    for kind in ("PNG", "TIFF"):
        for orientation in range(1, 9):
            np.testing.assert_array_equal(decode.read_pixels(encoded(image, kind, orientation)), image)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_images_without_orientation_and_illegal_ones_have_none(kind):
    content = io.BytesIO()
    Image.fromarray(structured_image(24, 40)).save(content, kind)
    assert exif_orientation(content.getvalue()) in (None, 1)
    assert kind == "TIFF" or exif_orientation(content.getvalue()[:30]) is None  # Pillow warns of a broken TIFF
    assert exif_orientation(b"") is None
    if kind in ("JPEG", "PNG", "WEBP"):
        assert exif_orientation(encoded(structured_image(24, 40), kind, 9)) is None


def dataset(root, orientation, size, mask_size, kind="JPEG"):
    """One pair whose image is stored at `size`, and whose mask has `mask_size`; return the image's path."""
    for part in ("images", "labels"):
        os.makedirs(root / "train" / part)
    path = root / "train" / "images" / f"a.{kind.lower()}"
    path.write_bytes(encoded(structured_image(*size), kind, orientation))
    mask = np.zeros(mask_size, np.uint8)
    mask[:3, :5] = 1
    Image.fromarray(mask).save(root / "train" / "labels" / "a.png")
    return str(path)


@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
@pytest.mark.parametrize("mask", ["as stored", "as shown"])
@pytest.mark.parametrize("exif", [None, "apply", "ignore"])
def test_the_mask_decides_unless_it_is_said(tmp_path, orientation, mask, exif):
    swaps = orientation in (5, 6, 7, 8)
    size = (40, 24) if swaps and mask == "as shown" else (24, 40)
    path = dataset(tmp_path, orientation, (24, 40), size)
    source = sources.source("folder", data_dir=str(tmp_path), classes=2, exif=exif)
    stored = decode.read_pixels(path)
    shown = upright(stored, orientation)
    turned = orientation not in (None, 1)
    if exif is None and turned and not swaps:
        with pytest.raises(ValueError) as failure:
            source.read(0)
        assert str(failure.value) == (
            f"`exif` must say whether {path!r} is to be turned: its EXIF orientation is {orientation}, and its mask "
            'has the size of both, got exif=None. Pass exif="apply" if masks were drawn on images as viewers show '
            'them, exif="ignore" if on pixels as they are stored.')
        report = kseg.data.check(source)
        assert [finding["kind"] for finding in report.errors] == ["EXIF orientation"]
        return
    used = shown if exif == "apply" or (exif is None and mask == "as shown") else stored
    if used.shape[:2] != size:
        with pytest.raises(ValueError, match="must have the height and width of their image"):
            source.read(0)
        return
    pixels, labels = source.read(0)
    np.testing.assert_array_equal(pixels, used)
    assert labels.shape == size and pixels.flags.c_contiguous
    findings = kseg.data.check(source).warnings
    assert [finding["kind"] for finding in findings] == (["EXIF orientation"] if turned else [])
    if turned:
        assert ("turned upright" if used is shown else "as it is stored") in findings[0]["message"]


def test_a_square_image_that_is_turned_is_ambiguous(tmp_path):
    path = dataset(tmp_path, 6, (24, 24), (24, 24))
    with pytest.raises(ValueError, match="`exif` must say whether .*a.jpeg' is to be turned"):
        kseg.data.load("folder", data_dir=str(tmp_path), classes=2)
    pixels, _ = next(iter(kseg.data.load("folder", data_dir=str(tmp_path), classes=2, exif="apply", batch_size=None)))
    np.testing.assert_array_equal(pixels, upright(decode.read_pixels(path), 6))
    with pytest.raises(ValueError, match="`exif` must be one of"):
        kseg.data.load("folder", data_dir=str(tmp_path), exif="maybe")


def test_records_hold_photographs_as_they_were_read(tmp_path):
    dataset(tmp_path / "set", 6, (24, 40), (40, 24))
    chosen = sources.source("folder", data_dir=str(tmp_path / "set"), classes=2)
    kseg.data.write_records(chosen, str(tmp_path / "records"))
    pixels, labels = sources.source("records", data_dir=str(tmp_path / "records")).read(0)
    np.testing.assert_array_equal(pixels, chosen.read(0)[0])
    np.testing.assert_array_equal(labels, chosen.read(0)[1])


def test_masks_of_tiff_are_read_as_they_are_stored(tmp_path):
    ids = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    (tmp_path / "a.tif").write_bytes(encoded(ids, "TIFF", 6))
    np.testing.assert_array_equal(decode.read_stored_values(str(tmp_path / "a.tif")), ids)
