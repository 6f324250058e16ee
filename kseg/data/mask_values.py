"""The values a mask stores, whatever kind of picture it is: indices, grey values, or ids by colour."""

import functools

import numpy as np
from PIL import Image

from kseg import checks

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def stored_values(picture: Image.Image, data: bytes, path: str, palette: bytes | None) -> np.ndarray:
    """Return the values, unsigned integers `[H, W]`, of a mask that was decoded from `data` without loss.

    RGB masks are read by the `palette`, uint8 `[classes, 3]` colours.

    Raises:
        ValueError: if the mask has transparent pixels, colours that are not the palette's, or another kind of pixels.
    """
    if picture.mode in ("LA", "RGBA"):
        array = np.asarray(picture)
        if array[..., -1].min(initial=255) < 255:
            raise ValueError(checks.sentence(
                "labels", "must have no transparent pixels", path,
                "Save the mask without its alpha channel: ids under transparency are ambiguous."))
        return array[..., 0] if picture.mode == "LA" else _colours_to_ids(array[..., :3], path, palette)
    if picture.mode == "RGB":
        return _colours_to_ids(np.asarray(picture), path, palette)
    if picture.mode in ("1", "L", "P"):
        array = np.asarray(picture, np.uint8)
        depth, colour_type = (data[24], data[25]) if data.startswith(PNG_SIGNATURE) else (8, 0)
        if colour_type == 0 and depth in (2, 4):  # Pillow stretches grey of 2 and 4 bits to 0..255
            array = array // (255 // (2 ** depth - 1))
        return array
    if picture.mode.startswith("I"):
        return np.asarray(picture).astype(np.int64)
    raise ValueError(checks.sentence(
        "labels", f"must be an indexed, grey or RGB image; {path!r} is not", picture.mode,
        "Save class ids as an 8-bit PNG."))


@functools.lru_cache(maxsize=4)
def _colour_table(palette):
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3).astype(np.int64)  # [classes, 3]
    table = np.full(1 << 24, 254, np.uint8)
    table[0xE0E0C0] = 255  # VOC's border colour
    for index in range(len(colours) - 1, -1, -1):  # of equal colours the first class wins
        table[(colours[index, 0] << 16) | (colours[index, 1] << 8) | colours[index, 2]] = index
    return table


def _colours_to_ids(array, path, palette):
    if palette is None:
        if (array == array[..., :1]).all():  # grey stored three times
            return array[..., 0]
        raise ValueError(checks.sentence(
            "labels", "must store class ids, or colours together with a palette; this file stores RGB colours", path,
            "Pass `classes` as a LabelSet with the palette, or list `name r g b` in the folder's classes.txt."))
    packed = array.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    ids = _colour_table(palette)[packed]
    if (ids == 254).any():
        unknown = np.unique(array[ids == 254].reshape(-1, 3), axis=0)[:4].tolist()
        raise ValueError(checks.sentence(
            "labels", f"must use the palette's colours only; {path!r} has others", unknown,
            "Correct the palette (name r g b lines of classes.txt), or save the mask without antialiasing."))
    return ids
