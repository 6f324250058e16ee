"""What a mask stores, whatever kind of picture it is: indices, grey values, or colours."""

import numpy as np
from PIL import Image

from kseg import checks
from kseg.data.label_arrays import whole_numbers

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def stored_values(picture: Image.Image, data: bytes, path: str, by_colour: bool = False) -> np.ndarray:
    """Return the values, integers `[H, W]`, or colours, uint8 `[H, W, 3]`, of a mask decoded from `data` without loss.

    Of indexed masks these are the indices, with `by_colour` the colours that the file gives them. Those of GIF are
    always read by colour: whoever writes one numbers its colours anew.

    Raises:
        ValueError: if the mask has transparent pixels, fractions, or another kind of pixels.
    """
    if picture.mode in ("LA", "RGBA"):
        array = np.asarray(picture)
        if array[..., -1].min(initial=255) < 255:
            raise ValueError(checks.sentence(
                "labels", "must have no transparent pixels", path,
                "Save the mask without its alpha channel: ids under transparency are ambiguous."))
        return array[..., 0] if picture.mode == "LA" else array[..., :3]
    if picture.mode == "RGB" or (picture.mode in ("1", "P") and (by_colour or picture.format == "GIF")):
        return np.asarray(picture.convert("RGB"))
    if picture.mode in ("1", "L", "P"):
        array = np.asarray(picture, np.uint8)
        depth, colour_type = (data[24], data[25]) if data.startswith(PNG_SIGNATURE) else (8, 0)
        if colour_type == 0 and depth in (2, 4) and not by_colour:  # Pillow stretches grey of 2 and 4 bits to 0..255
            array = array // (255 // (2 ** depth - 1))
        return array
    if picture.mode.startswith(("I", "F")):
        return whole_numbers(np.asarray(picture), path)
    raise ValueError(checks.sentence(
        "labels", f"must be an indexed, grey or RGB image; {path!r} is not", picture.mode,
        "Save class ids as an 8-bit PNG."))


def in_colours(mask: np.ndarray) -> np.ndarray:
    """Return a mask in colours, `[H, W, 3]`, grey g being (g, g, g); values beyond 255 stay as they are."""
    if mask.ndim == 3 or (mask.dtype != np.uint8 and mask.size and (mask.min() < 0 or mask.max() > 255)):
        return mask
    return np.repeat(mask.astype(np.uint8)[..., None], 3, -1)


def without_colours(mask: np.ndarray, path: str) -> np.ndarray:
    """Return the values `[H, W]` of a mask that may store grey three times; colours raise ValueError."""
    if mask.ndim == 2:
        return mask
    if (mask == mask[..., :1]).all():
        return mask[..., 0]
    raise ValueError(checks.sentence(
        "labels", "must store class ids, or colours together with a palette; this file stores RGB colours", path,
        "Pass `classes` as a LabelSet with the palette, or list `name r g b` in the folder's classes.txt."))
