"""Pictures as `data:` addresses, which a page of one file shows."""

import base64
import io
import os

import numpy as np
from PIL import Image

from kseg.labels import LabelSet

_KINDS = {".png": "png", ".jpg": "jpeg"}


def of_file(path: str | os.PathLike) -> str:
    """Return a `.png` or `.jpg` file as it is."""
    with open(path, "rb") as file:
        return _address(file.read(), _KINDS[os.path.splitext(path)[1]])


def of_photograph(pixels: np.ndarray) -> str:
    """Return uint8 `[H, W, 3]` as a JPEG."""
    return _address(encoded(Image.fromarray(np.ascontiguousarray(pixels)), "JPEG", quality=85), "jpeg")


def of_labels(label_map: np.ndarray, label_set: LabelSet) -> str:
    """Return ids `[H, W]` in the colours of their classes, or a painted picture uint8 `[H, W, 3]`, as a PNG."""
    return _address(encoded(labels_image(label_map, label_set), "PNG"), "png")


def labels_image(label_map: np.ndarray, label_set: LabelSet) -> Image.Image:
    """Return ids `[H, W]` as an image with the palette of their classes, or a painted picture `[H, W, 3]` as it is."""
    image = Image.fromarray(np.ascontiguousarray(label_map, np.uint8))
    if image.mode == "L":
        image.putpalette(label_set.lookup_table().tobytes())
    return image


def encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    """Return an image as the bytes of a file of this kind of Pillow's."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _address(content, kind):
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
