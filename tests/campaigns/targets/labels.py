"""Label files: PNG indexed, grey and in colours, TIFF, `.npy`, `.npz`."""

import io

import numpy as np
from PIL import Image

from kseg.data import decode, label_ids
from kseg.data.colours import of_palette, palette_rows
from kseg.labels import LabelSet
from tests.campaigns.mutations import damaged_picture as damage  # noqa: F401
from tests.campaigns.targets.images import encoded

_IDS = (np.add.outer(np.arange(20) // 6, np.arange(30) // 7) % 3).astype(np.uint8)
_SET = LabelSet(("ground", "roof", "tree"))


def seeds(folder):
    del folder
    for ids in (_IDS, _IDS.astype(np.uint16), _IDS.astype(np.int32)):
        file = io.BytesIO()
        np.save(file, ids)
        yield file.getvalue()
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, labels=_IDS)
        yield file.getvalue()
    grey, colours = Image.fromarray(_IDS), Image.fromarray(_SET.colorize(_IDS))
    indexed = Image.fromarray(_IDS)
    indexed.putpalette(_SET.palette.tobytes())
    for form, options in (("PNG", {}), ("PNG", {"bits": 2}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
                          ("BMP", {}), ("GIF", {})):
        yield encoded(indexed, form, **options)
    for picture in (grey, colours, Image.fromarray(_IDS.astype(np.uint16)), colours.convert("RGBA")):
        yield encoded(picture, "PNG")
        yield encoded(picture, "TIFF")


def read(content, folder):
    del folder
    return decode.read_labels(content, label_ids.identity_table(3), 3, of_palette(palette_rows(_SET)))


def check(answer, content):
    assert answer.ndim == 2 and answer.dtype == np.uint8 and answer.size, (answer.shape, answer.dtype)
    assert ((answer < 3) | (answer == 255)).all(), np.unique(answer)
    values = _by_another_way(content)
    if values is not None:
        np.testing.assert_array_equal(answer, values)


def _by_another_way(content):
    """Return the ids as NumPy or Pillow alone give them, or None where they refuse or do not know."""
    try:
        if content.startswith((b"\x93NUMPY", b"PK")):
            found = np.load(io.BytesIO(content))
            return found[next(iter(found))] if content.startswith(b"PK") else np.squeeze(found)
        picture = Image.open(io.BytesIO(content))
        if picture.mode not in ("P", "L", "RGB", "I;16") or picture.format == "GIF":
            return None
        found = np.asarray(picture)
    except Exception:  # any error means that it refuses
        return None
    if picture.mode == "RGB" and not (found == found[..., :1]).all():
        table = {tuple(colour): index for index, colour in enumerate(_SET.palette.tolist())}
        return np.array([[table.get(tuple(pixel), -1) for pixel in row] for row in found.tolist()])
    return None if picture.mode == "RGB" else found
