"""Photographs as prediction opens them: JPEG, PNG, TIFF, BMP, WebP, GIF, `.npy`."""

import io
import pathlib

import cv2
import numpy as np
from PIL import Image, ImageOps

from kseg.inference.images import open_image
from tests.campaigns.mutations import damaged_picture as damage  # noqa: F401
from tests.conftest import structured_image


def seeds(folder):
    del folder
    picture = Image.fromarray(structured_image(37, 53))
    turned = Image.Exif()
    turned[0x0112] = 6
    for form, options in (("JPEG", {}), ("JPEG", {"quality": 60, "progressive": True}), ("JPEG", {"exif": turned}),
                          ("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("BMP", {}), ("WEBP", {}),
                          ("WEBP", {"lossless": True}), ("GIF", {})):
        yield encoded(picture, form, **options)
    for form, mode in (("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "RGBA"), ("PNG", "LA"), ("TIFF", "L")):
        yield encoded(picture.convert(mode), form)
    file = io.BytesIO()
    np.save(file, np.asarray(picture))
    yield file.getvalue()


def encoded(picture, form, **options):
    """Return the bytes of a picture in a format of Pillow."""
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def read(content, folder):
    path = pathlib.Path(folder) / ("image.npy" if content.startswith(b"\x93NUMPY") else "image")
    path.write_bytes(content)
    return np.array(open_image(str(path), 3, "image"))


def check(answer, content):
    """Raise AssertionError if a decoder that also answers has another size, or other colours."""
    assert answer.ndim == 3 and answer.shape[-1] == 3 and answer.dtype.kind in "uif", (answer.shape, answer.dtype)
    if content.startswith(b"\x93NUMPY"):
        np.testing.assert_array_equal(answer, np.load(io.BytesIO(content)))
        return
    assert answer.dtype == np.uint8, answer.dtype
    try:
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    except Exception:  # Pillow refuses more than OpenCV, by any error
        picture = None
    if picture is not None:
        np.testing.assert_array_equal(answer, np.asarray(picture))
    agrees_with_opencv(answer, content)


def agrees_with_opencv(answer, content):
    """Raise AssertionError unless OpenCV, if it answers, sees the same sides and on the whole the same colours."""
    try:
        other = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return
    if other is None or content.startswith(b"GIF"):  # OpenCV gives the canvas another size
        return
    assert sorted(other.shape[:2]) == sorted(answer.shape[:2]), (other.shape, answer.shape)
    different = np.abs(answer.mean((0, 1)) - other.mean((0, 1))).max()
    assert different < 30, different
