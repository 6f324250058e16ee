"""Prediction of any image by tiles that see more than they answer for, in memory bounded by the tile."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kseg.inference.images import open_image
from kseg.inference.predict import Model, Predictor, checked_window
from kseg.inference.progress import progress_bar
from kseg.inference.strategies.overlap_tile import OverlapTile, margin_of


def predict_tiled(model: Model, image: Any, output: str = "labels", *, window: int | Sequence[int] = (572, 572),
                  margin: int | None = None, batch_size: int = 1, progress: bool = False,
                  out: np.ndarray | None = None) -> np.ndarray:
    """Segment an image of any size by tiles that each see `margin` pixels more on every side than they answer for.

    Beyond the border the image is mirrored. The result equals that of one run over the whole mirrored image. Memory is
    bounded by the tile, beyond the result. See `kseg.inference.strategies.overlap_tile`.

    Args:
        model: a `keras.Model`, or the path of a `.keras` file, a SavedModel folder or a `.tflite` file.
        image: a path, a PIL image, or numbers from 0 to 255 `[H, W, channels]`, also a `numpy.memmap`.
        output: "labels", "probabilities" or "logits".
        window: int or `(height, width)` in pixels, the network's input. Default 572, the paper's; `kseg.models.UNet`
            with valid convolutions takes 16 k + 12.
        margin: int, pixels, or None: half of what the network's output is smaller than its input, which is also the
            least. A network that keeps the size takes any; half of its receptive field makes the result exact.
        batch_size: int, tiles run at once.
        progress: bool, whether a bar is drawn in the terminal.
        out: array to write into instead of a new one, or None.
    Returns:
        As `kseg.predict`: uint8 `[H, W]`, or float32 `[H, W, classes]`.
    Raises:
        ValueError: if the window is not larger than two margins, the network takes no such window, its output is
            smaller than `margin` leaves, a network that keeps the size is given no margin, or a file that gives labels
            alone is asked for more.
    """
    window = checked_window(window)
    predictor = Predictor(model, output, batch_size=batch_size)
    pixels = open_image(image, predictor.run.in_channels, "image")
    strategy = OverlapTile(window, margin_of(predictor.run, window, margin), predictor.batch_size)
    with progress_bar(progress) as advance:
        return predictor.answer(pixels, strategy, predictor.network, advance, out=out)
