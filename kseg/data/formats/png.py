"""PNG of 16 bits, which Pillow reduces to 8 where it has colours."""

import cv2
import numpy as np

from kseg.data import formats

_COLOUR_CHANNELS = {0: 1, 2: 3, 4: 1, 6: 3}  # PNG's colour type → bands without alpha


def read(data: bytes, channels: int, shown: str) -> np.ndarray | None:
    """Return the numbers of a PNG of 16 bits, uint16 `[H, W, bands]`, or None for one of fewer bits.

    Alpha is dropped unless as many `channels` are wanted as there are bands with it.
    """
    del shown
    if data[24:25] != b"\x10":
        return None
    numbers = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if numbers is None:
        raise formats.BrokenFile("not enough rows of pixels")
    numbers = numbers if numbers.ndim == 3 else numbers[..., None]
    if numbers.shape[-1] >= 3:
        numbers[..., :3] = numbers[..., 2::-1]  # OpenCV's order is blue first
    colours = _COLOUR_CHANNELS[data[25]]
    if data[25] == 4:  # OpenCV makes three equal bands of grey with alpha
        numbers = numbers[..., [0, -1]]
    return numbers if numbers.shape[-1] == channels else numbers[..., :colours]
