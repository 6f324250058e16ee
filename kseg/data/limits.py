"""How large and how strange a picture may be before it is opened."""

import contextlib
import math
import threading
from collections.abc import Iterator

from PIL import Image

LARGE = 100_000_000  # pixels; above this Pillow warns, and refuses at twice as many
_SMALL = 1 << 24  # pixels; a picture up to this many takes little memory, whatever it is
_LIMIT = threading.Lock()


@contextlib.contextmanager
def any_size() -> Iterator[None]:
    """Let Pillow open images of any size within the `with`.

    Its limit is one number for all threads: infinity does no harm to others that read meanwhile, None would.
    """
    with _LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, math.inf
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def refuse_hollow(picture: Image.Image, size: int) -> None:
    """Raise ValueError if the header of an opened file of `size` bytes announces more pixels than these can hold.

    It is asked before memory is taken. Beside the formats named, only blank pages of
    fax or zstd pack more than 2¹⁴ pixels into a byte.
    """
    pixels = picture.width * picture.height
    least = LARGE if picture.format in ("WEBP", "JPEG2000", "AVIF") else _SMALL  # which say of many: all alike
    if pixels > least and pixels > size << 14:
        raise ValueError(f"the header announces {picture.height} × {picture.width} pixels, and {size} bytes follow")


def refuse_unknown_inks(picture: Image.Image) -> None:
    """Raise ValueError for a JPEG in four inks that does not say whether 255 is all or none of one.

    Those that say so have Adobe's marker. Without it Pillow takes the one for granted, OpenCV and browsers the other.
    """
    if picture.mode == "CMYK" and picture.format in ("JPEG", "MPO") and "adobe" not in picture.info:
        raise ValueError("it is in four inks (CMYK), and its Adobe marker, which says how they are stored, is missing; "
                         "save it in RGB")
