"""Photographs as training reads them: JPEG, PNG, TIFF, BMP, WebP."""

import io
import pathlib

import numpy as np
from PIL import Image

from kseg.inference.images import open_image
from tests.conftest import structured_image


def seeds(folder):
    picture = structured_image(37, 53)
    for form, options in (("JPEG", {}), ("JPEG", {"quality": 60, "progressive": True}), ("PNG", {}), ("TIFF", {}),
                          ("BMP", {}), ("WEBP", {})):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, form, **options)
        yield file.getvalue()
    for form, mode in (("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "RGBA"), ("PNG", "LA")):
        file = io.BytesIO()
        Image.fromarray(picture).convert(mode).save(file, form)
        yield file.getvalue()


def read(content, folder):
    path = pathlib.Path(folder) / "image"
    path.write_bytes(content)
    return open_image(str(path), 3, "image")


def check(answer, content):
    pixels = np.asarray(answer)
    assert pixels.ndim == 3 and pixels.shape[-1] == 3 and pixels.dtype == np.uint8, (pixels.shape, pixels.dtype)
