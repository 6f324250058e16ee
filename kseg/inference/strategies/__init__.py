"""How an image is cut for a network, and how the network's answers are put together again."""

import abc
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kseg.inference.images import fit, resize

Classify = Callable[[np.ndarray], np.ndarray]  # float32 [B, h, w, C] → class scores, float32 [B, h, w, classes]


class Strategy(abc.ABC):
    """A way to run a network on images of any size.

    Attributes:
        images_at_once: int, images that one call of `pieces` takes.
    """

    images_at_once = 1

    @abc.abstractmethod
    def count(self, size: tuple[int, int]) -> int:
        """Return how many windows are run for one image of `size`, `(height, width)` in pixels."""

    @abc.abstractmethod
    def pieces(self, images: Sequence[np.ndarray], classify: Classify) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield `(top, left, scores)`, pieces of the result that together cover it.

        Args:
            images: at most `images_at_once` arrays `[H, W, C]` of one size, read by windows.
            classify: the network.
        Yields:
            The place of the piece in pixels, and float32 `[B, rows, columns, classes]`, valid until the next is asked
            for.
        """

    def scores(self, image: np.ndarray, classify: Classify, classes: int) -> np.ndarray:
        """Return the class scores of a whole image, float32 `[H, W, classes]`."""
        whole = np.empty((*image.shape[:2], classes), np.float32)
        for top, left, piece in self.pieces([image], classify):
            whole[top:top + piece.shape[1], left:left + piece.shape[2]] = piece[0]
        return whole


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
