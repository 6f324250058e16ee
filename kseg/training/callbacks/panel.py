"""A picture of a few validation images after each validation: image, truth, prediction."""

import keras
import numpy as np

from kseg import pictures
from kseg.inference import label_map
from kseg.models.segmenter import Segmenter

TILE = (240, 320)  # largest height and width of a picture in pixels


class Panel(keras.callbacks.Callback):
    """Draws `examples`, NumPy (pixels `[B, H, W, channels]`, labels `[B, H, W]`), to `path`, a `.png`.

    Attributes:
        pixels: uint8 `[h, w, 3]`, the latest panel, or None.
    """

    def __init__(self, path: str, segmenter: Segmenter, examples: tuple[np.ndarray, np.ndarray]) -> None:
        super().__init__()
        self.path, self.segmenter, self.examples = path, segmenter, examples
        self.pixels: np.ndarray | None = None

    def on_test_end(self, logs=None):
        images, labels = self.examples
        logits = keras.ops.convert_to_numpy(self.segmenter(images, training=False))
        rows = list(zip(images, labels, label_map(logits), strict=True))
        self.pixels = pictures.sheet(rows, self.segmenter.label_set, tile_size=TILE)
        pictures.write_picture(self.path, self.pixels)
