"""Sliding windows: where tiles lie, how they are blended, and strips of memory that do not grow with the image.

Tiles are blended as a running weighted mean, `mean += (tile - mean) * w / (w + weight so far)`: a constant stays the
same number, bit by bit, whatever the overlap. The weights are products of one vector for the rows and one for the
columns, so the weight so far follows from vectors too.
"""

import numpy as np

from kseg import checks
from kseg.inference.images import mirrored_window

STRIP_BYTES = 128 * 2 ** 20  # the largest strip of class scores; wider images are done in bands of columns


def tile_starts(length, window, overlap):
    """Return where tiles of `window` pixels begin to cover `length` pixels; the last one ends at the border.

    Args:
        length: int, pixels.
        window: int, pixels.
        overlap: float in [0, 1), the share of a window that the next one covers too.
    """
    if length <= window:
        return [0]
    stride = max(1, round(window * (1 - overlap)))
    return [*range(0, length - window, stride), length - window]


def window_weights(window, blend):
    """Return the weights along one side of a tile, float64 `[window]`, all above 0: "hann" or "uniform"."""
    if blend == "uniform":
        return np.ones(window)
    return np.sin(np.pi * (np.arange(window) + 0.5) / window) ** 2


class _Axis:
    """The tiles along one side: starts, weights, and the weight each pixel has received before each tile."""

    def __init__(self, length, window, overlap, blend):
        self.starts = tile_starts(length, window, overlap)
        self.weights = window_weights(window, blend)
        self.total = np.zeros(max(length, window))
        self.before = []
        for start in self.starts:
            part = self.total[start:start + window]
            self.before.append(part.copy())
            part += self.weights


def blended_tiles(image, classify, classes, window, overlap, blend, batch_size, write, advance=None):
    """Run `classify` on overlapping tiles of `image` and hand the blended scores to `write`, strip by strip.

    Args:
        image: array `[H, W, C]`, read by windows; mirrored where it is smaller than a window.
        classify: function, float32 `[B, h, w, C]` → float32 `[B, h, w, classes]`.
        classes: int.
        window: `(height, width)` of a tile in pixels.
        overlap: float in [0, 1).
        blend: "hann" or "uniform".
        batch_size: int, tiles run at once.
        write: function `(top, left, scores)`; scores are float32 `[rows, columns, classes]`, inside the image, valid
            during the call.
        advance: function, called with the number of tiles done, or None.
    """
    height, width = image.shape[:2]
    rows = _Axis(height, window[0], overlap, blend)
    columns = _Axis(width, window[1], overlap, blend)
    band = _band(window, classes)
    for first in range(0, width, band):
        last = min(width, first + band)
        reached = _reached(columns.starts, window[1], first, last)
        strip = _Strip(*window, first, last, classes, height, write)
        for row, top in enumerate(rows.starts):
            strip.move_to(top)
            for begin in range(0, len(reached), batch_size):
                chosen = reached[begin:begin + batch_size]
                tiles = np.stack([mirrored_window(image, top, columns.starts[one], *window) for one in chosen])
                for one, tile in zip(chosen, np.asarray(classify(tiles))):
                    strip.add(tile, _share(rows, row, columns, one, window), columns.starts[one])
                if advance:
                    advance(len(chosen))
        strip.move_to(height)


def _share(rows, row, columns, column, window):
    """Return the share of a tile in the mean of the tiles so far, float32 `[h, w]`; 1 where it is the first."""
    total = columns.total[columns.starts[column]:columns.starts[column] + window[1]]
    so_far = rows.before[row][:, None] * total + rows.weights[:, None] * columns.before[column]
    weight = rows.weights[:, None] * columns.weights
    return (weight / (weight + so_far)).astype(np.float32)


def count_tiles(shape, classes, window, overlap):
    """Return how many tiles `blended_tiles` runs for an image of `shape`.

    Of images too wide for one band of `STRIP_BYTES`, tiles on the rim of two bands are run for both: 1.3 times as many
    in all for 20,000 pixels, 11 classes and windows of 1024, more for many classes and large overlaps.
    """
    starts, band = tile_starts(shape[1], window[1], overlap), _band(window, classes)
    columns = sum(len(_reached(starts, window[1], first, min(shape[1], first + band)))
                  for first in range(0, shape[1], band))
    return len(tile_starts(shape[0], window[0], overlap)) * columns


def _band(window, classes):
    """Return how many columns of an image are done at once."""
    return max(window[1], STRIP_BYTES // (4 * window[0] * classes))


def _reached(starts, window, first, last):
    """Return the indices of the tiles that touch the columns `first … last - 1`."""
    return [index for index, left in enumerate(starts) if left < last and left + window > first]


def answered_tiles(image, classify, window, margin, batch_size, write, advance=None):
    """Run `classify` on tiles that see `margin` pixels more on every side than they answer for (overlap-tile).

    Beyond the border the image is mirrored. Tiles start at multiples of 32 pixels where they answer for more than that
    (else of 16), so that pooling falls on the same pixels in each.

    Args:
        image: array `[H, W, C]`, read by windows.
        classify: function, float32 `[B, *window, C]` → float32 `[B, h, w, classes]`, whose middle is the answer.
        window: `(height, width)` of a tile in pixels, larger than two margins.
        margin: int, pixels.
        batch_size, write, advance: as in `blended_tiles`.
    Raises:
        ValueError: if the answers are smaller than the window less two margins.
    """
    height, width = image.shape[:2]
    inner = tuple(side - 2 * margin for side in window)
    places = answered_places((height, width), inner)
    for begin in range(0, len(places), batch_size):
        chosen = places[begin:begin + batch_size]
        tiles = np.stack([mirrored_window(image, top - margin, left - margin, *window) for top, left in chosen])
        answers = classify(tiles)
        lost = max(side - have for side, have in zip(window, answers.shape[1:3]))
        if lost > 2 * margin:
            raise ValueError(checks.sentence(
                "margin", f"must be at least {-(-lost // 2)}, half of the {lost} pixels by which the network's answers "
                "are smaller than its window", margin, f"Leave it out, or pass margin={-(-lost // 2)}."))
        down, right = ((have - want) // 2 for have, want in zip(answers.shape[1:3], inner))
        for (top, left), answer in zip(chosen, answers[:, down:down + inner[0], right:right + inner[1]]):
            write(top, left, answer[:height - top, :width - left])
        if advance:
            advance(len(chosen))


def answered_places(size, inner):
    """Return where (top, left) the answers of tiles begin, so that answers of `inner` pixels cover `size`."""
    starts = []
    for length, side in zip(size, inner):
        stride = next((side // step * step for step in (32, 16) if side >= step), side)
        starts.append(range(0, max(length - side + stride, 1), stride))
    return [(top, left) for top in starts[0] for left in starts[1]]


class _Strip:
    """Running means of the rows in work, for the image's columns `first … last - 1`."""

    def __init__(self, rows, window, first, last, classes, height, write):
        self.mean = np.zeros((rows, last - first, classes), np.float32)
        self._change = np.empty((rows, window, classes), np.float32)  # scratch
        self.first, self.last, self.height, self.write = first, last, height, write
        self.top = 0

    def add(self, tile, share, left):
        """Blend a tile whose first column is `left`, `share` of it against what is there."""
        begin, end = max(left, self.first), min(left + tile.shape[1], self.last)
        inside = slice(begin - left, end - left)
        mean = self.mean[:, begin - self.first:end - self.first]
        change = np.subtract(tile[:, inside], mean, out=self._change[:, :end - begin])
        change *= share[:, inside, None]
        mean += change

    def move_to(self, top):
        """Write the rows above `top`, which no later tile touches, and make room for as many below."""
        done = top - self.top
        if done <= 0:
            return
        inside = min(top, self.height) - self.top
        self.write(self.top, self.first, self.mean[:inside])
        self.mean[:-done] = self.mean[done:]
        self.mean[max(0, len(self.mean) - done):] = 0
        self.top = top
