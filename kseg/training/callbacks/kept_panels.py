"""The panel's pictures of several epochs, few and small enough for the page of a run: `panels/` in its folder.

`image-1.jpg` and `truth-1.png` are written once, `epoch-0007-1.png` is what the model answered after epoch 7.
"""

import os
import re
from collections.abc import Sequence

import numpy as np
from PIL import Image

from kseg import files, pictures
from kseg.labels import LabelSet
from kseg.pages import data_uris

MOST = 12  # epochs kept
SIDE = 448  # most pixels of a picture's longer side
_PREDICTION = re.compile(r"epoch-(\d+)-(\d+)\.png")


def keep(folder: str, epoch: int, rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
         label_set: LabelSet, best: int = 0) -> None:
    """Write the pictures of an epoch, and drop epochs between others where more than `MOST` are kept.

    Args:
        folder: made if missing.
        epoch: int from 1.
        rows: (pixels `[H, W, channels]`, truth, prediction) each, label maps `[H, W]` or painted `[H, W, 3]`.
        label_set: `LabelSet`.
        best: the best epoch so far, which is not dropped.
    """
    for place, (pixels, truth, prediction) in enumerate(rows, start=1):
        image = os.path.join(folder, f"image-{place}.jpg")
        if not os.path.exists(image):
            _write(image, Image.fromarray(pictures.as_rgb(pixels)), Image.Resampling.LANCZOS, quality=88)
            _write(os.path.join(folder, f"truth-{place}.png"), data_uris.labels_image(truth, label_set))
        _write(os.path.join(folder, f"epoch-{epoch:04d}-{place}.png"), data_uris.labels_image(prediction, label_set))
    kept = epochs(folder)
    while len(kept) > MOST:
        dropped = kept.pop(_most_crowded(kept, best))
        for name in os.listdir(folder):
            found = _PREDICTION.fullmatch(name)
            if found and int(found[1]) == dropped:
                os.remove(os.path.join(folder, name))


def epochs(folder: str) -> list[int]:
    """Return the epochs, counted from 1, whose pictures are in `folder`."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted({int(found[1]) for found in map(_PREDICTION.fullmatch, names) if found})


def _most_crowded(kept, best):
    """Return the place of the epoch whose neighbours are closest to each other; never the first, last or best."""
    places = [place for place in range(1, len(kept) - 1) if kept[place] != best]
    return min(places, key=lambda place: kept[place + 1] - kept[place - 1])


def _write(path, image, resampling=Image.Resampling.NEAREST, **options):
    factor = min(1.0, SIDE / max(image.size))
    size = tuple(max(1, round(factor * side)) for side in image.size)
    with files.draft(path) as temporary:
        image.resize(size, resampling).save(temporary, **options)
