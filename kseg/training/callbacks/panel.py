"""A picture of a few validation images after each validation: image, truth, prediction."""

from collections.abc import Callable

import keras
import numpy as np

from kseg import pictures, tasks
from kseg.inference import label_map
from kseg.models.segmenter import Segmenter

TILE = (240, 320)  # largest height and width of a picture in pixels
Rows = list[tuple[np.ndarray, np.ndarray, np.ndarray]]  # pixels, truth and prediction of an image


class Panel(keras.callbacks.Callback):
    """Draws `examples`, NumPy (pixels `[B, H, W, channels]`, labels `[B, H, W(, classes)]`), to `path`, a `.png`.

    `keep` is called with the rows of the picture.

    Attributes:
        pixels: uint8 `[h, w, 3]`, the latest panel, or None.
    """

    def __init__(self, path: str, segmenter: Segmenter, examples: tuple[np.ndarray, np.ndarray],
                 keep: Callable[[Rows], None] = lambda rows: None) -> None:
        super().__init__()
        self.path, self.segmenter, self.examples, self.keep = path, segmenter, examples, keep
        self.pixels: np.ndarray | None = None

    def on_test_end(self, logs=None):
        images, labels = self.examples
        segmenter, label_set = self.segmenter, self.segmenter.label_set
        logits = keras.ops.convert_to_numpy(segmenter(images, training=False))
        rows = list(zip(images, labels, label_map(logits, segmenter.task, segmenter.threshold), strict=True))
        if tasks.of(segmenter.task).stacked:  # a sheet takes label maps of ids, or pictures
            rows = [(pixels, *(pictures.painted(one, label_set)[0] for one in maps)) for pixels, *maps in rows]
        self.pixels = pictures.sheet(rows, label_set, tile_size=TILE)
        pictures.write_picture(self.path, self.pixels)
        self.keep(rows)
