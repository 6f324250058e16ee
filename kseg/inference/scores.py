"""Class scores of pixels: whole or by tiles, as the network takes them, averaged over scales and flips."""

import numbers
from collections.abc import Sequence

import numpy as np

from kseg import checks
from kseg.inference.images import resize
from kseg.inference.results import probabilities
from kseg.inference.runners import Runner
from kseg.inference.strategies.overlap_tile import OverlapTile
from kseg.inference.strategies.sliding_window import SlidingWindow


class Scores:
    """The class scores that a model gives to pixels of any size, which are called for.

    Args:
        run: the model's `Runner`.
        window: (height, width) in pixels of the tiles of a network of valid convolutions; None: as large as is legal.
        scales: factors by which the sides of images are multiplied, above 0 and up to 16.
        flip: whether each image is also seen mirrored.
    Attributes:
        averaged: bool, whether more is averaged than one answer: what is called for are then probabilities, not logits.
    Raises:
        ValueError: if a scale is out of range.
    """

    def __init__(self, run: Runner, window: tuple[int, int] | None, scales: float | Sequence[float], flip: bool):
        scales = tuple(scales) if isinstance(scales, (list, tuple, np.ndarray)) else (scales,)
        if not scales or not all(isinstance(one, numbers.Real) and 0 < one <= 16 for one in scales):
            raise ValueError(checks.sentence("scales", "must be numbers above 0 and up to 16", scales,
                                             "Write for example scales=(0.75, 1.0, 1.25)."))
        self._run, self._window = run, window
        self._scales, self._turns = tuple(map(float, scales)), (1, -1) if flip else (1,)
        self.averaged = len(self._turns) > 1 or self._scales != (1.0,)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the logits, or where `averaged` the mean probabilities, of float32 pixels `[B, h, w, C]`."""
        if not self.averaged:
            return self._logits(pixels)
        run, total, size = self._run, 0.0, pixels.shape[1:3]
        for scale in self._scales:
            scaled_size = tuple(int(round(scale * side)) for side in size)
            if min(scaled_size) < 1:
                raise ValueError(checks.sentence(
                    "scales", f"must leave at least one pixel of {size[0]}×{size[1]}", scale, "Leave this scale out."))
            scaled = resize(pixels, scaled_size)
            for turn in self._turns:
                answer = self._logits(scaled[:, :, ::turn])[:, :, ::turn]
                total = total + resize(answer if run.labels_only else probabilities(answer, run.task), size)
        return total / np.float32(len(self._scales) * len(self._turns))

    def _logits(self, pixels):
        """Return the logits at the size of `pixels`, by tiles where the network does not take that size."""
        run, size = self._run, pixels.shape[1:3]
        if run.margin:
            tiles = OverlapTile(self._window or run.window_for(size), run.margin)
        elif run.image_size not in (None, size):
            tiles = SlidingWindow(run.image_size, run.classes, overlap=0.25)
        else:
            logits = run.scores(np.ascontiguousarray(pixels))
            if logits.shape[1:3] != size:
                raise ValueError(checks.sentence(
                    "model", f"must give logits of the pixels' size {size}", logits.shape[1:3],
                    "Use kseg.inference.predict_tiled for a network of valid convolutions."))
            return logits
        return np.stack([tiles.scores(one, run.scores, run.classes) for one in pixels])
