"""What a server answered to an image, held against the image: a damaged answer, or another image's, is not given on."""

import numpy as np

from kseg.serving.encoding import from_png, from_pngs
from kseg.serving.errors import ServingError

_PNG_SIZE = slice(16, 24)  # where a PNG says its width and its height, 4 bytes each


def picture(answer: bytes | list[bytes], sent: bytes, colour: bool) -> np.ndarray:
    """Return the uint8 `[H, W]`, or `[H, W, 3]` in `colour`, or of a list `[H, W, classes]`, that answers an image.

    Args:
        answer: bytes of a PNG file, or a list of them, one per class.
        sent: bytes of the image's file.
        colour: bool, whether colours were asked for rather than labels.
    Raises:
        ServingError: if it is damaged or of another size or kind.
    """
    files = answer if isinstance(answer, list) else [answer]
    wanted = _size(sent)
    for file in files:
        found = [int.from_bytes(file[_PNG_SIZE][start:start + 4], "big") for start in (4, 0)]
        if wanted is not None and sorted(found) != sorted(wanted):  # EXIF data may turn it
            raise ServingError(f"The server answered with a picture of {found[0]}×{found[1]} pixels to an image of "
                               f"{wanted[0]}×{wanted[1]}. Is something between this program and the server that mixes up "
                               "answers?")
    try:
        made = from_pngs(answer) if isinstance(answer, list) else from_png(answer)
        if made.ndim != 2 + (colour or isinstance(answer, list)) or colour and isinstance(answer, list):
            raise ValueError("it is not grey" if not colour else "it has no colours")
    except (ValueError, MemoryError) as failure:
        raise ServingError(f"The server's answer is not the PNG file that was asked for: {failure}. Serve a model exported "
                           "by kseg.export.saved_model; if you do, something damages answers on their way.") from failure
    return made


def _size(content):
    """Return (height, width) of an image file by its head, or None if Pillow does not know it."""
    from kseg.data import decode

    try:
        with decode.any_size():
            return decode.image_size(content)
    except (ValueError, ImportError):
        return None
