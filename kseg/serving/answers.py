"""What a server answered to an image, held against the image: what is damaged, or another image's, is not given on."""

import numpy as np

from kseg.serving.encoding import from_png, from_pngs
from kseg.serving.errors import ServingError

_HEIGHT, _WIDTH = slice(20, 24), slice(16, 20)  # where a PNG file says them


def picture(answer: bytes | list[bytes], sent: bytes, colour: bool) -> np.ndarray:
    """Return what answers an image: labels uint8 `[H, W]`, those of a list `[H, W, classes]`, a `colour` `[H, W, 3]`.

    Args:
        answer: bytes of a PNG file, or a list of them, one per class.
        sent: bytes of the image's file.
        colour: bool, whether colours were asked for rather than labels.
    Raises:
        ServingError: if the answer is damaged, or of another size or kind than asked for.
    """
    several = isinstance(answer, list)
    _check_size(answer if several else [answer], sent)
    try:
        made = from_pngs(answer) if several else from_png(answer)
        if colour and several or made.ndim != 2 + (colour or several):
            raise ValueError("it is grey" if colour else "it is coloured")
    except (ValueError, MemoryError) as failure:
        raise ServingError(f"The server's answer is not the PNG file that was asked for: {failure}. Serve a model "
                           "exported by kseg.export.saved_model; if you do, something damages its answers on their "
                           "way.") from failure
    return made


def _check_size(files, sent):
    """Raise `ServingError` if a PNG file is of another size than the image; EXIF data may have turned it."""
    from kseg.data import decode, limits, mask_values  # which load OpenCV

    try:
        with limits.any_size():
            height, width = decode.image_size(sent)
    except (ValueError, ImportError):  # the server may know more formats
        return
    for file in files:
        if not file.startswith(mask_values.PNG_SIGNATURE):
            continue  # it has no size, and will not be read
        found = int.from_bytes(file[_HEIGHT], "big"), int.from_bytes(file[_WIDTH], "big")
        if found not in ((height, width), (width, height)):
            raise ServingError(f"The server answered {found[0]}×{found[1]} pixels to an image of {height}×{width}: "
                               "something between here and the model mixes up answers, or damages them.")
