"""Images to encoded bytes and label maps back. NumPy, Pillow and OpenCV only."""

import io
import os
from typing import Any

import numpy as np

from kseg import checks


def to_bytes(image: Any) -> bytes:
    """Return one image as the bytes of an image file.

    Args:
        image: bytes of an image file, sent as they are; the path of one; or an array, uint8 or float 0-255,
            `[H, W, 3]`, `[H, W, 1]` or `[H, W]`, sent as PNG without loss. Unsigned 16-bit numbers above 255 are sent
            in 16 bits, for a model with a `pixel_range`.
    Raises:
        TypeError: for anything else.
        FileNotFoundError: if there is no such file.
    """
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, (str, os.PathLike)):
        with open(checks.existing_file("image", image), "rb") as file:
            return file.read()
    array = np.asarray(image)
    numeric = array.dtype.kind in "uif" and array.ndim in (2, 3) and array.size
    if not numeric or (array.ndim == 3 and array.shape[-1] not in (1, 3)):
        raise TypeError(checks.sentence(
            "image", "must be the bytes or the path of an image file, or an array [H, W, 3] or [H, W]",
            type(image).__name__ if array.dtype.kind not in "uif" else array.shape,
            'Read the file with open(path, "rb").read().'))
    if array.dtype == np.uint16 and array.max() > 255:
        import cv2  # Pillow writes 16 bits in grey alone

        return cv2.imencode(".png", array[..., ::-1] if array.ndim == 3 else array)[1].tobytes()
    if array.dtype != np.uint8:
        array = np.clip(np.round(array), 0, 255).astype(np.uint8)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]  # [H, W]
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(array).save(content, "PNG", compress_level=1)
    return content.getvalue()


def from_png(content: bytes) -> np.ndarray:
    """Return a PNG file (bytes) as uint8 `[H, W]` or `[H, W, 3]`.

    Raises:
        ValueError: if it is damaged, or holds anything else.
    """
    from PIL.PngImagePlugin import PngImageFile  # unlike Image.open it takes any size, as the request had

    from kseg.data.plain_files import DECODER_FAILURES, wrong_part

    try:
        picture = PngImageFile(io.BytesIO(content))
        if (wrong := wrong_part(content)) is not None:  # Pillow does not check those of the pixels
            raise ValueError(f"wrong checksum of part {wrong!r}")
        if picture.mode not in ("L", "RGB"):
            raise ValueError(f"pixels of mode {picture.mode}")
        return np.array(picture)
    except DECODER_FAILURES as failure:
        raise ValueError(str(failure) or type(failure).__name__) from failure


def from_pngs(contents: list[bytes]) -> np.ndarray:
    """Return grey PNG files (bytes), one per class, as uint8 `[H, W, classes]`. Raises as `from_png`."""
    return np.stack([from_png(content) for content in contents], axis=-1)
