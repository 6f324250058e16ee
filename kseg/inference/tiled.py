"""Prediction of any image by tiles that see more than they answer for, in memory bounded by the tile."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kseg import checks, tasks
from kseg.inference.images import open_image
from kseg.inference.predict import Model, Predictor
from kseg.inference.progress import progress_bar
from kseg.inference.strategies.overlap_tile import OverlapTile


def predict_tiled(model: Model, image: Any, output: str = "labels", *, window: int | Sequence[int] = (572, 572),
                  margin: int | None = None, batch_size: int = 1, threshold: tasks.Threshold = None,
                  progress: bool = False, out: np.ndarray | None = None) -> np.ndarray:
    """Segment an image of any size by tiles that each see `margin` pixels more on every side than they answer for.

    Beyond the border the image is mirrored. The result equals that of one run over the whole mirrored image. Memory is
    bounded by the tile, beyond the result. See `kseg.inference.strategies.overlap_tile`.

    Args:
        model: a `keras.Model`, or the path of a `.keras`, `.tflite` or `.onnx` file or a SavedModel folder.
        image: a path, a PIL image, or numbers from 0 to 255 `[H, W, channels]`, also a `numpy.memmap`.
        output: "labels", "probabilities" or "logits".
        window: int or `(height, width)` in pixels, the network's input. Default 572, the paper's; `kseg.models.UNet`
            with valid convolutions takes 16 k + 12.
        margin: int, pixels, or None: half of what the network's output is smaller than its input, which is also the
            least. A network that keeps the size takes any; half of its receptive field makes the result exact.
        batch_size: int, tiles run at once.
        threshold: as in `kseg.predict`.
        progress: bool, whether a bar is drawn in the terminal.
        out: array to write into instead of a new one, or None.
    Returns:
        As `kseg.predict`: labels uint8 `[H, W]` (`[H, W, classes]` of a multi-label model), or float32
        `[H, W, classes]`.
    Raises:
        ValueError: if the window is not larger than two margins, the network takes no such window, its output is
            smaller than `margin` leaves, a network that keeps the size is given no margin, or a file that gives labels
            alone is asked for more.
    """
    predictor = Predictor(model, output, batch_size=batch_size, threshold=threshold)
    run = predictor.run
    window = run.checked_window(window)
    pixels = open_image(image, run.in_channels, "image", pixel_range=run.pixel_range)
    if margin is not None:
        margin = checks.positive_integer("margin", margin, minimum=0)
    elif run.margin:
        margin = run.margin
    else:
        answer = run(np.zeros((1, *window, run.in_channels), np.float32)).shape[1:3]
        margin = (window[0] - answer[0]) // 2
        if margin < 1 or window[1] - answer[1] != 2 * margin or (window[0] - answer[0]) % 2:
            raise ValueError(checks.sentence(
                "margin", f"must be given for a network that answers {answer} for a window of {window}", None,
                "Pass the pixels of context a tile needs on each side, or use kseg.predict with window and overlap."))
    if min(window) <= 2 * margin:
        raise ValueError(checks.sentence(
            "window", f"must be larger than two margins of {margin} pixels", window, "Take a larger window."))
    strategy = OverlapTile(window, margin, predictor.batch_size)
    with progress_bar(progress) as advance:
        return predictor.answer(pixels, strategy, run.scores, advance, out=out)
