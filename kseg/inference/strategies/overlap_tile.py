"""The overlap-tile strategy: tiles that see more of the image than they answer for.

Reference: Ronneberger et al., U-Net, MICCAI 2015, arXiv:1505.04597, §2 and Figure 2.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from kseg import checks
from kseg.inference.images import mirrored_window
from kseg.inference.strategies import Classify, Strategy


class OverlapTile(Strategy):
    """Tiles that see `margin` pixels more on every side than they answer for; beyond the border the image is mirrored.

    Tiles start at multiples of 32 pixels where they answer for more than that (else of 16), so that pooling falls on
    the same pixels in each.

    Args:
        window: `(height, width)` of a tile in pixels, larger than two margins.
        margin: int, pixels.
        batch_size: int, tiles run at once.
    """

    def __init__(self, window: tuple[int, int], margin: int, batch_size: int = 1):
        self.window, self.margin, self.batch_size = window, margin, batch_size
        self._inner = tuple(side - 2 * margin for side in window)

    def count(self, size: tuple[int, int]) -> int:
        return len(self._places(size))

    def pieces(self, images: Sequence[np.ndarray], classify: Classify) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield the answer of every tile; see `Strategy.pieces`.

        Raises:
            ValueError: if the answers are smaller than the window less two margins.
        """
        (image,), margin = images, self.margin
        height, width = image.shape[:2]
        places = self._places((height, width))
        for begin in range(0, len(places), self.batch_size):
            chosen = places[begin:begin + self.batch_size]
            tiles = np.stack([mirrored_window(image, top - margin, left - margin, *self.window)
                              for top, left in chosen])
            for (top, left), answer in zip(chosen, self._middle(classify(tiles))):
                yield top, left, answer[None, :height - top, :width - left]

    def _places(self, size):
        """Return where (top, left) the answers of tiles begin, so that they cover `size`."""
        starts = []
        for length, side in zip(size, self._inner):
            stride = next((side // step * step for step in (32, 16) if side >= step), side)
            starts.append(range(0, max(length - side + stride, 1), stride))
        return [(top, left) for top in starts[0] for left in starts[1]]

    def _middle(self, answers):
        """Return what the tiles answer for, the middle of `answers` `[B, h, w, classes]`."""
        lost = max(side - have for side, have in zip(self.window, answers.shape[1:3]))
        if lost > 2 * self.margin:
            least = -(-lost // 2)
            raise ValueError(checks.sentence(
                "margin", f"must be at least {least}, half of the {lost} pixels by which the network's answers are "
                "smaller than its window", self.margin, f"Leave it out, or pass margin={least}."))
        down, right = ((have - want) // 2 for have, want in zip(answers.shape[1:3], self._inner))
        return answers[:, down:down + self._inner[0], right:right + self._inner[1]]
