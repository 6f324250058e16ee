"""The files that OpenCV decodes as Pillow does and faster: complete colour JPEGs and 8-bit grey PNGs.

360×480: JPEG 0.72 ms, Pillow 0.96, both by libjpeg-turbo; PNG 0.37 ms, TensorFlow 0.38, Pillow 0.44.
"""

import io
import math
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from kseg.data.mask_values import PNG_SIGNATURE

DECODER_FAILURES = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, MemoryError,
                    struct.error, Image.DecompressionBombError)


def by_opencv(data: bytes, mode: int) -> np.ndarray | None:
    """Return what OpenCV makes of an encoded image, not turned by its EXIF orientation, or None where it refuses."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), mode | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None


def is_plain_png(data: bytes) -> bool:
    """Return whether `data` are a whole grey PNG of 8 bits, not interlaced, that Pillow takes without a warning."""
    rows, columns = (int.from_bytes(data[place:place + 4], "big") for place in (20, 16))
    return (data.startswith(PNG_SIGNATURE) and data[24:29] == b"\x08\0\0\0\0"
            and rows * columns <= (Image.MAX_IMAGE_PIXELS or math.inf) and wrong_part(data) is None)


def is_plain_jpeg(data: bytes) -> bool:
    """Return whether `data` are a JPEG in three colours with its end, of a size that Pillow takes without a warning."""
    if not (data.startswith(b"\xff\xd8\xff") and data.endswith(b"\xff\xd9")):
        return False
    try:
        picture = Image.open(io.BytesIO(data))  # reads the header alone
    except DECODER_FAILURES:
        return False
    return picture.mode == "RGB" and picture.width * picture.height <= (Image.MAX_IMAGE_PIXELS or math.inf)


def wrong_part(data: bytes) -> bytes | None:
    """Return the kind of the first part of a PNG without its checksum, which Pillow does not check for pixels."""
    place = len(PNG_SIGNATURE)
    while data[place + 4:place + 8] != b"IEND":
        end = place + 8 + int.from_bytes(data[place:place + 4], "big")
        if len(data) < end + 4 or zlib.crc32(data[place + 4:end]) != int.from_bytes(data[end:end + 4], "big"):
            return data[place + 4:place + 8]
        place = end + 4
    return None
