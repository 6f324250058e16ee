"""Grey pixels: the one conversion from colour, by the luminance of ITU-R BT.601."""

import numpy as np
from PIL import Image

LUMINANCE = np.array([0.299, 0.587, 0.114])  # of red, green and blue


def to_grey(picture: Image.Image) -> np.ndarray:
    """Return a picture of any mode that Pillow turns grey as uint8 `[H, W, 1]`."""
    return np.asarray(picture.convert("L"))[..., None]  # [H, W, 1]
