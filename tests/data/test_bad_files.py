"""Every kind of broken file: a clear error by default, a counted skip on request, a finding of `check`."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import decode, reader, sources
from kseg.inference.images import open_image
from tests.conftest import structured_image
from tests.data.conftest import make_folder


def truncate(path):
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) * 2 // 3)


def garbage_in_the_middle(path):
    """A JPEG that OpenCV reads nevertheless; a new file, larger than those of the other cases."""
    Image.fromarray(structured_image(64, 96)).save(path)
    with open(path, "rb") as file:
        whole = file.read()
    with open(path, "wb") as file:
        file.write(whole[:len(whole) // 2] + whole)


def empty(path):
    open(path, "wb").close()


def bomb(path, side=60000):
    """A PNG that says 60000 × 60000 and would take 11 GB."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunks)


def loop(path):
    os.remove(path)
    os.symlink(path, path)


def text(path):
    with open(path, "w", encoding="utf-8") as file:
        file.write("not an image, whatever its name says")


def deep(path):
    Image.fromarray(np.full((20, 30), 1000, np.uint16)).save(path)


def transparent(path):
    Image.fromarray(np.full((20, 30, 4), 100, np.uint8)).save(path)


def jpeg_mask(path):
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(path, "JPEG")


CASES = {
    "truncated image": ("images", truncate, "`image` must be a complete image file", "unreadable image"),
    "truncated mask": ("labels", truncate, "`labels` must be a complete image file", "unreadable labels"),
    "PNG bomb": ("images", bomb, "decompression bomb", "unreadable image"),
    "PNG bomb as mask": ("labels", bomb, "decompression bomb", "unreadable labels"),
    "zero bytes": ("images", empty, "this one has no bytes", "unreadable image"),
    "zero bytes as mask": ("labels", empty, "this one has no bytes", "unreadable labels"),
    "wrong extension, no image": ("images", text, "cannot identify image file", "unreadable image"),
    "wrong extension, lossy mask": ("labels", jpeg_mask, "JPEG blurs class ids", "unreadable labels"),
    "16-bit mask": ("labels", deep, "16-bit instance or scaled ids", "illegal ids"),
    "mask with alpha": ("labels", transparent, "must have no transparent pixels", "unreadable labels"),
    "link to itself": ("images", loop, "symbolic links", "unreadable image"),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_bad_file_raises_or_is_skipped_and_counted_and_is_found(case, tmp_path, caplog):
    part, spoil, said, kind = CASES[case]
    folder = make_folder(tmp_path / "set", count=3, splits=("train",), suffix=".jpg")
    suffix = "jpg" if part == "images" else "png"
    path = os.path.join(folder, "train", part, f"001.{suffix}")
    spoil(path)
    chosen = sources.source("folder", data_dir=folder, classes=3)
    with pytest.raises(ValueError) as failure:
        reader.Reader(chosen, cache=False).read(1)
    assert said in str(failure.value) and path in str(failure.value)
    lenient = reader.Reader(chosen, cache=False, on_error="skip")
    assert [bool(lenient.read(index)[2]) for index in range(3)] == [True, False, True]
    assert list(lenient.skipped) == [1] and "skipped 1 of 3 examples of folder so far" in caplog.text
    report = kseg.data.check("folder", "train", data_dir=folder, classes=3, other_splits=False)
    assert [(finding["kind"], finding["path"]) for finding in report.errors] == [(kind, path)]


def test_a_truncated_jpeg_stops_a_pass_or_leaves_the_pass_by_one(tmp_path):
    folder = make_folder(tmp_path / "set", count=4, splits=("train",), suffix=".jpg")
    truncate(os.path.join(folder, "train", "images", "002.jpg"))
    options = dict(data_dir=folder, classes=3, batch_size=1, image_size=(16, 16), shuffle=False)
    with pytest.raises(ValueError, match="002.jpg"):  # few files: all are looked at before the first batch
        kseg.data.load("folder", "train", **options)
    assert sum(1 for _ in kseg.data.load("folder", "train", on_error="skip", **options)) == 3


def test_spaces_and_other_letters_in_paths(tmp_path):
    folder = make_folder(tmp_path / "mit Leerzeichen · 街路" / "é", count=2)
    pixels, labels = next(iter(kseg.data.load("folder", "train", data_dir=folder, batch_size=2)))
    assert pixels.shape[:3] == labels.shape == (2, 20, 30)
    assert kseg.data.check("folder", "train", data_dir=folder).pairs == 2


def test_a_mask_with_an_image_extension_and_small_16_bit_ids_are_read(tmp_path):
    """Documented: the content decides the format, and 16 bits may hold small ids."""
    folder = make_folder(tmp_path / "set", count=1)
    label = os.path.join(folder, "train", "labels", "000.png")
    ids = np.asarray(Image.open(label))
    Image.fromarray(ids.astype(np.uint16)).save(label)
    os.rename(os.path.join(folder, "train", "images", "000.png"), os.path.join(folder, "train", "images", "000.jpg"))
    _, labels = sources.source("folder", data_dir=folder, classes=3).read(0)
    np.testing.assert_array_equal(labels, ids)


def test_garbage_in_a_jpeg_that_opencv_reads_is_found_on_loading_and_by_check(tmp_path):
    folder = make_folder(tmp_path / "set", count=3, splits=("train",), suffix=".jpg")
    path = os.path.join(folder, "train", "images", "001.jpg")
    garbage_in_the_middle(path)
    Image.fromarray(np.zeros((64, 96), np.uint8)).save(os.path.join(folder, "train", "labels", "001.png"))
    with pytest.raises(ValueError, match="001.jpg.*broken data stream"):
        kseg.data.load("folder", "train", data_dir=folder, classes=3)
    report = kseg.data.check("folder", "train", data_dir=folder, classes=3, other_splits=False)
    assert [(finding["kind"], finding["path"]) for finding in report.errors] == [("unreadable image", path)]


def four_inks(marker):
    """A JPEG in CMYK, with the text of its Adobe marker replaced."""
    file = io.BytesIO()
    Image.fromarray(structured_image(20, 30)).convert("CMYK").save(file, "JPEG", quality=95)
    assert file.getvalue().count(b"Adobe") == 1
    return file.getvalue().replace(b"Adobe", marker)


def test_a_jpeg_in_four_inks_is_read_as_its_marker_says_and_refused_without(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(four_inks(b"Adobe"))
    inks = np.asarray(Image.fromarray(structured_image(20, 30)).convert("CMYK").convert("RGB"))
    for found in (decode.read_pixels(str(path)), open_image(str(path), 3)):
        assert np.abs(found.astype(int) - inks).mean() < 5
    path.write_bytes(four_inks(b"Adobf"))
    for read in (decode.read_pixels, decode.read_stored, lambda path: open_image(path, 3),
                 lambda path: open_image(Image.open(path), 3)):
        with pytest.raises(ValueError, match="must be a complete image file, got .*four inks .CMYK., and its Adobe"):
            read(str(path))


@pytest.mark.parametrize("pixel_range", [None, kseg.data.PixelRange.of((0, 255))])
def test_a_header_of_more_pixels_than_its_bytes_hold_is_refused_before_memory_is_taken(tmp_path, pixel_range):
    path = str(tmp_path / "a.png")
    bomb(path)
    with pytest.raises(ValueError, match="must be a complete image file, got .*the header announces 60000 × 60000 pix"):
        open_image(path, 3, pixel_range=pixel_range)
    with pytest.raises(ValueError, match="must be a complete image file"):
        decode.read_pixels(path)


def test_a_smaller_one_is_refused_too_and_a_blank_picture_is_not(tmp_path):
    path = str(tmp_path / "a.png")
    bomb(path, 5000)
    for read in (decode.read_pixels, decode.read_mask):
        with pytest.raises(ValueError, match="the header announces 5000 × 5000 pixels, and [0-9]+ bytes follow"):
            read(path)
    Image.new("1", (5000, 5000)).save(path)
    assert decode.read_mask(path).shape == (5000, 5000) and os.path.getsize(path) < 4000


def test_a_png_that_pillow_refuses_is_decoded_by_nobody_else_for_its_size(tmp_path, monkeypatch):
    path = str(tmp_path / "a.png")
    deep(path)
    with open(path, "r+b") as file:
        file.seek(29)
        file.write(b"\0\0\0\0")  # the checksum of the header
    monkeypatch.setattr(cv2, "imdecode", lambda *arguments: pytest.fail("decoded"))
    with pytest.raises(ValueError, match="`image` must be a complete image file"):
        decode.image_size(path)


def test_errors_of_any_kind_that_a_decoder_raises_become_the_sentence(tmp_path, monkeypatch):
    path = str(tmp_path / "a.tif")
    Image.fromarray(structured_image(4, 5)).save(path)
    for error in (TypeError, KeyError, OverflowError, ZeroDivisionError, MemoryError):
        def load(picture, error=error):
            raise error("seek")

        monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile.load", load)
        for read in (decode.read_pixels, decode.read_mask):
            with pytest.raises(ValueError, match="must be a complete image file, got .*The decoder says: '?seek"):
                read(path)


@pytest.mark.parametrize("written, instead", [(b"}", b" "), (b"'descr'", b"'des\0r'"), (b"'|u1'", b"'|O' ")])
def test_a_damaged_header_of_an_array_is_refused_by_the_sentence(tmp_path, written, instead):
    path = tmp_path / "a.npy"
    np.save(path, structured_image(4, 5))
    path.write_bytes(path.read_bytes().replace(written, instead))
    with pytest.raises(ValueError, match="`images` must be a .npy file of numbers, got images="):
        open_image(str(path), 3)
