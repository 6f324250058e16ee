"""EXIF orientation: how a photograph that is stored lying is turned upright."""

import io

import numpy as np
from PIL import Image

_TAG = 274
_FAILURES = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, ZeroDivisionError,
             OverflowError, Image.DecompressionBombError)
_STEPS = {  # orientation: (rows and columns swapped, rows reversed after that, columns reversed after that)
    1: (False, False, False), 2: (False, False, True), 3: (False, True, True), 4: (False, True, False),
    5: (True, False, False), 6: (True, False, True), 7: (True, True, True), 8: (True, True, False)}
_BACK = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
         5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
         8: Image.Transpose.ROTATE_270}
EXIF = ("apply", "ignore")  # what may be asked for; None: what the mask says


def exif_orientation(image: bytes | Image.Image) -> int | None:
    """Return the EXIF orientation (1..8) of an encoded or opened image, or None if it has none."""
    if isinstance(image, bytes) and not _has_metadata(image):  # Pillow would decode a whole PNG to look for them
        return None
    try:
        picture = image if isinstance(image, Image.Image) else Image.open(io.BytesIO(image))
        found = picture.getexif().get(_TAG)
    except _FAILURES:  # damaged EXIF data is no reason to refuse the picture
        return None
    return found if found in _STEPS else None


def loaded_as_stored(picture: Image.Image) -> Image.Image:
    """Return an opened picture, loaded, with its pixels as they are stored: Pillow turns a TIFF file while loading."""
    orientation = exif_orientation(picture) if picture.format == "TIFF" else None
    picture.load()
    if orientation in (None, 1) or exif_orientation(picture) == orientation:
        return picture
    return picture.transpose(_BACK[orientation])


def upright(pixels: np.ndarray, orientation: int | None) -> np.ndarray:
    """Return pixels `[H, W, …]` as a viewer shows them, a view of the same memory; 5 to 8 swap height and width."""
    swapped, rows, columns = _STEPS[orientation or 1]
    pixels = pixels.swapaxes(0, 1) if swapped else pixels
    return pixels[::-1 if rows else 1, ::-1 if columns else 1]


def without_orientation(image: bytes | None) -> bytes | None:
    """Return an encoded image, or None if it is to be shown turned, so that readers may take it in two ways."""
    return image if image is None or exif_orientation(image) in (None, 1) else None


def _has_metadata(data):
    """Return whether an encoded image may have EXIF or XMP data, by the kinds of its parts."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg_has_app1(data)
    if data.startswith(b"\x89PNG"):
        return _png_has_exif(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return data[12:16] == b"VP8X" and data[20] & 0x0C != 0  # flags: EXIF, XMP
    return data.startswith((b"II", b"MM"))  # TIFF


def _jpeg_has_app1(data):
    """Return whether a JPEG has a part for EXIF data, or is not made of whole parts: Pillow finds it even so."""
    place = 2
    while data[place:place + 2] != b"\xff\xda":
        length = int.from_bytes(data[place + 2:place + 4], "big")
        if data[place:place + 1] != b"\xff" or data[place + 1:place + 2] == b"\xe1" or length < 2:
            return True
        place += 1 if data[place + 1] == 0xFF else 2 + length
    return False


def _png_has_exif(data):
    place, names = 8, (b"Raw profile type", b"XML:com.adobe.xmp")
    while place + 8 <= len(data):
        kind, content = data[place + 4:place + 8], place + 8
        if kind == b"eXIf" or (kind in (b"tEXt", b"zTXt", b"iTXt") and data.startswith(names, content)):
            return True
        place = content + int.from_bytes(data[place:place + 4], "big") + 4
    return False
