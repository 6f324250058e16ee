"""Photographs as training reads them, 8 bits and more: by OpenCV, and strictly by Pillow."""

import io

import numpy as np
from PIL import Image

from kseg.data import decode
from kseg.data.pixel_range import PixelRange
from tests.campaigns.mutations import damaged_picture as damage  # noqa: F401
from tests.campaigns.targets import images
from tests.conftest import structured_image

_RANGE = PixelRange.of((0, 65535))


def seeds(folder):
    yield from images.seeds(folder)
    deep = structured_image(37, 53).astype(np.uint16) * 257
    for form in ("PNG", "TIFF"):
        yield images.encoded(Image.fromarray(deep[..., 0]), form)
    file = io.BytesIO()
    np.save(file, deep)
    yield file.getvalue()
    yield _png_16(deep)


def _png_16(deep):
    import cv2

    return cv2.imencode(".png", deep[..., ::-1])[1].tobytes()


def read(content, folder):
    """Return {strict: pixels, or None where they are refused}; what is refused both times is refused."""
    del folder
    size = None
    try:
        size = decode.image_size(content)
    except ValueError as failure:
        if not str(failure).startswith("`"):
            raise
    found, refusal = {}, None
    for strict in (False, True):
        try:
            found[strict], _ = decode.read_photograph(content, 3, strict, pixel_range=_RANGE)
        except ValueError as failure:
            if not str(failure).startswith("`"):
                raise
            refusal = failure
    if not found:
        raise refusal
    return found, size


def check(answer, content):
    found, size = answer
    for pixels in found.values():
        assert pixels.ndim == 3 and pixels.shape[-1] == 3 and pixels.dtype == np.float32, (pixels.shape, pixels.dtype)
        assert np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 255
        assert size in (None, pixels.shape[:2]), (size, pixels.shape)
    if len(found) == 2:
        np.testing.assert_array_equal(found[False], found[True])
    if not content.startswith(b"\x93NUMPY"):
        first = next(iter(found.values()))
        images.agrees_with_opencv(first * (257 if _is_eight_bits(content) else 1), content)


def _is_eight_bits(content):
    """Return whether OpenCV says so; the range is that of 16."""
    import cv2

    other = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return other is not None and other.dtype == np.uint8
