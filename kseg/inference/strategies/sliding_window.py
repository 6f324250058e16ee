"""Sliding windows: where tiles lie, how they are blended, and strips of memory that do not grow with the image.

Tiles are blended as a running weighted mean, `mean += (tile - mean) * w / (w + weight so far)`: a constant stays the
same number, bit by bit, whatever the overlap. The weights are products of one vector for the rows and one for the
columns, so the weight so far follows from vectors too.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from kseg.inference.images import mirrored_window
from kseg.inference.strategies import Classify, Strategy

STRIP_BYTES = 128 * 2 ** 20  # the largest strip of class scores; wider images are done in bands of columns


class SlidingWindow(Strategy):
    """Overlapping tiles, blended strip by strip. The image is mirrored where it is smaller than a window.

    Args:
        window: `(height, width)` of a tile in pixels.
        classes: int.
        overlap: float in [0, 1), the share of a window that its neighbour covers too.
        blend: "hann" (a window counts less towards its rim) or "uniform".
        batch_size: int, tiles run at once.
    """

    def __init__(self, window: tuple[int, int], classes: int, overlap: float = 0.5, blend: str = "hann",
                 batch_size: int = 1):
        self.window, self.classes, self.overlap, self.blend = window, classes, overlap, blend
        self.batch_size = batch_size

    def count(self, size: tuple[int, int]) -> int:
        """Return how many tiles are run for an image of `size`.

        Of images too wide for one band of `STRIP_BYTES`, tiles on the rim of two bands are run for both: 1.3 times as
        many in all for 20,000 pixels, 11 classes and windows of 1024, more for many classes and large overlaps.
        """
        rows, columns = (tile_starts(*sides, self.overlap) for sides in zip(size, self.window))
        return len(rows) * sum(len(self._reached(columns, *band)) for band in self._bands(size[1]))

    def pieces(self, images: Sequence[np.ndarray], classify: Classify) -> Iterator[tuple[int, int, np.ndarray]]:
        image, = images
        rows, columns = (_Axis(*sides, self.overlap, self.blend) for sides in zip(image.shape[:2], self.window))
        for first, last in self._bands(image.shape[1]):
            reached = self._reached(columns.starts, first, last)
            strip = _Strip(*self.window, first, last, self.classes)
            for row, top in enumerate(rows.starts):
                yield from strip.move_to(top)
                for begin in range(0, len(reached), self.batch_size):
                    chosen = reached[begin:begin + self.batch_size]
                    tiles = np.stack([mirrored_window(image, top, columns.starts[one], *self.window)
                                      for one in chosen])
                    for column, tile in zip(chosen, classify(tiles)):
                        strip.add(tile, _share(rows, row, columns, column), columns.starts[column])
            yield from strip.move_to(image.shape[0])

    def _bands(self, width):
        """Return the first column, and the one after the last, of the bands in which an image is done."""
        band = max(self.window[1], STRIP_BYTES // (4 * self.window[0] * self.classes))
        return [(first, min(width, first + band)) for first in range(0, width, band)]

    def _reached(self, starts, first, last):
        """Return the indices of the tiles that touch the columns `first … last - 1`."""
        return [index for index, left in enumerate(starts) if left < last and left + self.window[1] > first]


def tile_starts(length: int, window: int, overlap: float) -> list[int]:
    """Return where tiles of `window` pixels begin to cover `length` pixels; the last one ends at the border.

    Args:
        length, window: in pixels.
        overlap: in [0, 1), the share of a window that the next one covers too.
    """
    if length <= window:
        return [0]
    stride = max(1, round(window * (1 - overlap)))
    return [*range(0, length - window, stride), length - window]


class _Axis:
    """The tiles along one side: starts, weights, and the weight each pixel has received before each tile."""

    def __init__(self, length, window, overlap, blend):
        self.window = window
        self.starts = tile_starts(length, window, overlap)
        rise = np.pi * (np.arange(window) + 0.5) / window
        self.weights = np.sin(rise) ** 2 if blend == "hann" else np.ones(window)  # all above 0
        self.total = np.zeros(max(length, window))
        self.before = []
        for start in self.starts:
            part = self.total[start:start + window]
            self.before.append(part.copy())
            part += self.weights


def _share(rows, row, columns, column):
    """Return the share of a tile in the mean of the tiles so far, float32 `[h, w]`; 1 where it is the first."""
    total = columns.total[columns.starts[column]:columns.starts[column] + columns.window]
    so_far = rows.before[row][:, None] * total + rows.weights[:, None] * columns.before[column]
    weight = rows.weights[:, None] * columns.weights
    return (weight / (weight + so_far)).astype(np.float32)


class _Strip:
    """Running means of the rows in work, for the image's columns `first … last - 1`."""

    def __init__(self, rows, window, first, last, classes):
        self.mean = np.zeros((rows, last - first, classes), np.float32)
        self._change = np.empty((rows, window, classes), np.float32)  # scratch
        self.first, self.last, self.top = first, last, 0

    def add(self, tile, share, left):
        """Blend a tile whose first column is `left`, `share` of it against what is there."""
        begin, end = max(left, self.first), min(left + tile.shape[1], self.last)
        inside = slice(begin - left, end - left)
        mean = self.mean[:, begin - self.first:end - self.first]
        change = np.subtract(tile[:, inside], mean, out=self._change[:, :end - begin])
        change *= share[:, inside, None]
        mean += change

    def move_to(self, top):
        """Yield the rows above `top`, which no later tile touches, and make room for as many below."""
        done = top - self.top
        if done > 0:
            yield self.top, self.first, self.mean[None, :done]
            self.mean[:-done] = self.mean[done:]
            self.mean[max(0, len(self.mean) - done):] = 0
            self.top = top
