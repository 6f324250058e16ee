"""Images that say who they are: cells of eight colours, and the exact network that gives each colour its class.

The label map of an image is so known without a network, and no two images have the same.
"""

import io

import numpy as np
from PIL import Image

COLOURS = np.array([[255 * (index >> band & 1) for band in range(3)] for index in range(8)], np.uint8)
_CELL = 8  # pixels, a block of JPEG
_TURNED = 6  # EXIF: shown after a quarter turn clockwise
_KINDS = ("png", "jpeg", "turned", "bmp", "gif", "array")


def model():
    """Return the `keras.Model` whose class of a pixel is the nearest of `COLOURS`."""
    import keras

    pixels = keras.Input((None, None, 3), name="pixels")
    nearest = keras.layers.Conv2D(8, 1, name="nearest")
    made = keras.Model(pixels, nearest(pixels), name="coded")
    colours = COLOURS / 255.0
    nearest.set_weights([2 * colours.T[None, None] / 255, -np.square(colours).sum(-1)])
    return made


def coded(number, largest=8):
    """Return (what to send, uint8 label map `[H, W]` that belongs to it) of image `number`, up to `largest`² cells."""
    random = np.random.default_rng((79, number))
    rows, columns = random.integers(3, largest + 1, 2)
    labels = random.integers(0, 8, (rows, columns)).astype(np.uint8).repeat(_CELL, 0).repeat(_CELL, 1)  # [H, W]
    kind = _KINDS[int(random.integers(len(_KINDS)))]
    if kind == "array":
        return COLOURS[labels], labels
    return encoded(labels, kind), np.rot90(labels, -1) if kind == "turned" else labels


def encoded(labels, kind):
    """Return the image of a label map as a file."""
    picture, file, options = Image.fromarray(COLOURS[labels]), io.BytesIO(), {}
    if kind == "gif":
        picture = picture.quantize(16)
    elif kind in ("jpeg", "turned"):
        options = {"quality": 98, "subsampling": 0}
    if kind == "turned":
        exif = Image.Exif()
        exif[274] = _TURNED
        options["exif"] = exif
    picture.save(file, "JPEG" if kind == "turned" else kind.upper(), **options)
    return file.getvalue()
