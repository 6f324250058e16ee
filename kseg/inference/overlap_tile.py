"""The overlap-tile strategy: networks of valid convolutions, whose output is smaller than their input.

Reference: Ronneberger et al., U-Net, MICCAI 2015, arXiv:1505.04597, §2 and Figure 2.
"""

import numpy as np

from kseg import checks
from kseg.inference import predict as prediction
from kseg.inference.images import open_image
from kseg.inference.progress import bar
from kseg.inference.results import checked_output, result_array
from kseg.inference.runners import runner as make_runner
from kseg.inference.tiles import answered_places, answered_tiles


def predict_tiled(model, image, output="labels", *, window=(572, 572), margin=None, batch_size=1, progress=False,
                  out=None):
    """Segment an image of any size by tiles that each see `margin` pixels more on every side than they answer for.

    Beyond the border the image is mirrored. Tiles start at multiples of 32 pixels where they are larger than that
    (else of 16), so that pooling falls on the same pixels in each, and the result equals that of one run over the
    whole mirrored image. Memory is bounded by the tile, beyond the result.

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
    run = make_runner(model)
    window = (window, window) if isinstance(window, int) else checks.image_size(window, "window")
    output = checked_output(output, run)
    checks.positive_integer("batch_size", batch_size)
    pixels = open_image(image, run.in_channels, "image")
    margin = _margin(run, window, margin)
    places = answered_places(pixels.shape[:2], tuple(side - 2 * margin for side in window))
    out = result_array(out, pixels.shape[:2], output, run)

    def write(top, left, logits):
        out[top:top + len(logits), left:left + logits.shape[1]] = _finished(logits, output)

    with bar(progress, len(places)) as advance:
        answered_tiles(pixels, run, window, margin, batch_size, write, advance)
    return out


def _margin(run, window, margin):
    """Return the margin: the one given, the model's own, or measured by one run on a black window."""
    run.check_window(window)
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
    return margin


def _finished(logits, output):
    if output == "labels":
        return prediction.label_map(logits)
    return prediction.softmax(logits) if output == "probabilities" else logits
