"""The whole image at once."""

from collections.abc import Iterator, Sequence

import numpy as np

from kseg.inference.images import fit, resize
from kseg.inference.strategies import Classify, Strategy


class Whole(Strategy):
    """Images run in batches, at their own size or resized to the one size a network takes.

    Args:
        batch_size: int, images run at once.
        image_size: `(height, width)` in pixels that the network takes, or None for any.
    """

    def __init__(self, batch_size: int = 1, image_size: tuple[int, int] | None = None):
        self.images_at_once, self.image_size = batch_size, image_size

    def count(self, size: tuple[int, int]) -> int:
        return 1

    def pieces(self, images: Sequence[np.ndarray], classify: Classify) -> Iterator[tuple[int, int, np.ndarray]]:
        pixels, size = np.stack(images), images[0].shape[:2]
        if self.image_size:
            pixels = fit(pixels, self.image_size)
        yield 0, 0, resize(classify(np.asarray(pixels, np.float32)), size)
