"""Prediction: pixels of any size to class ids, by whole image or sliding window, over scales and flips."""

import numbers

import keras
import numpy as np

from kseg import checks
from kseg.inference.images import fit, map_file, open_image
from kseg.inference.progress import bar
from kseg.inference.results import checked_output, result_array
from kseg.inference.runners import runner as make_runner
from kseg.inference.tiles import answered_tiles, blended_tiles, count_tiles
from kseg.layers import ResizeTo
from kseg.metrics.confusion_metric import most_likely_class


def predict(model, images, output="labels", *, batch_size=4, window=None, overlap=0.5, blend="hann", scales=(1.0,),
            flip=False, progress=False, out=None):
    """Segment images of any size; the result has their height and width.

    Over several scales or with `flip` the softmax probabilities are averaged; "logits" are then their logarithms.
    Without them the tiles of a window blend their logits. Each window is scaled and flipped by itself, so memory does
    not grow with the image beyond the result. A model of one fixed size, such as a TFLite file, gets the image resized
    to it, antialiased as in training, or, with `window`, tiles of its size. Scales are plain bilinear. A U-Net of valid
    convolutions sees the image by overlapping tiles, mirrored beyond the border, of `window` pixels where that is given
    (`predict_tiled` does so in memory bounded by the tile). A TFLite file exported with `output="labels"` gives one
    vote a pixel instead of logits: windows, scales and flips average the votes, the class with most wins, and only
    "labels" can be asked for.

    Args:
        model: a `keras.Model`, or the path of a `.keras` file, a SavedModel folder or a `.tflite` file.
        images: a path, a PIL image, or numbers from 0 to 255, uint8 or float, `[H, W, channels]` or
            `[B, H, W, channels]`, also a `numpy.memmap` or the path of a `.npy` file; or a list of such, of any sizes.
        output: "labels", "probabilities" or "logits".
        batch_size: int, images of a batch or windows of an image run at once.
        window: int or `(height, width)` in pixels, or None for the whole image at once.
        overlap: float from 0 to 0.99, the share of a window that its neighbour covers too. Default 0.5.
        blend: "hann" (a window counts less towards its rim) or "uniform".
        scales: sequence of floats above 0, sizes of the image to average over.
        flip: bool, whether to average over the mirrored image too.
        progress: bool, whether a bar is drawn in the terminal.
        out: array to write into instead of a new one (a `numpy.memmap` for results beyond the memory), or None; of the
            result's shape, and of a dtype that its values fit into.
    Returns:
        "labels": uint8 `[H, W]` (int32 beyond 255 classes); "probabilities" and "logits": float32 `[H, W, classes]`.
        With a leading B for a batch; a list for a list.
    Raises:
        ValueError: if an argument is out of range, a label map stands for pixels, the count of bands differs, or a
            file that gives labels alone is asked for more.
        TypeError: if `images`, `model` or `out` is of another kind.
        FileNotFoundError: if nothing stands at a path.
    """
    options = _Options(make_runner(model), output, batch_size, window, overlap, blend, scales, flip)
    if isinstance(images, (list, tuple)):
        if out is not None:
            raise ValueError(checks.sentence("out", "must be None for a list of images", type(out).__name__,
                                             "Predict the images one by one, each into its own array."))
        with bar(progress, len(images)) as advance:
            return [_predict(options, image, None, None, advance) for image in images]
    with bar(progress, None) as advance:
        return _predict(options, images, out, advance, None)


def label_map(logits):
    """Return the ids of the largest logits along the last axis: the one owner of the argmax in deployment.

    Args:
        logits: float `[..., classes]`, NumPy or a tensor.
    Returns:
        `[...]`: NumPy uint8 (int32 beyond 255 classes) for NumPy, an int32 tensor for tensors.
    """
    if isinstance(logits, np.ndarray):
        return np.argmax(logits, axis=-1).astype(np.uint8 if logits.shape[-1] <= 255 else np.int32)
    return most_likely_class(logits)


def softmax(logits):
    """Return the softmax over the last axis, NumPy float32."""
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.softmax(logits, axis=-1)))


def resize(images, size):
    """Return `images` `[B, h, w, C]` resized bilinearly to `size` (half-pixel centres), NumPy float32."""
    if tuple(images.shape[1:3]) == tuple(size):
        return images
    reference = np.zeros((1, *size, 1), np.float32)
    return np.asarray(keras.ops.convert_to_numpy(ResizeTo(dtype="float32")(images, reference)))


class _Options:
    """The checked arguments of `predict`."""

    def __init__(self, run, output, batch_size, window, overlap, blend, scales, flip):
        self.run, self.flip = run, bool(flip)
        self.output = checked_output(output, run)
        self.batch_size = checks.positive_integer("batch_size", batch_size)
        self.blend = checks.one_of("blend", blend, ("hann", "uniform"))
        self.overlap = checks.number_between("overlap", overlap, 0, 0.99)
        window = (window, window) if isinstance(window, numbers.Integral) else window
        self.window = None if window is None else checks.image_size(window, "window")
        if self.window:
            run.check_window(self.window)
        self.slides = self.window is not None and not run.margin
        self.scales = _checked_scales(scales)
        self.averages = self.flip or self.scales != (1.0,)


def _checked_scales(scales):
    scales = tuple(scales) if isinstance(scales, (list, tuple, np.ndarray)) else (scales,)
    if not scales or not all(isinstance(one, numbers.Real) and 0 < one <= 16 for one in scales):
        raise ValueError(checks.sentence("scales", "must be numbers above 0 and up to 16", scales,
                                         "Write for example scales=(0.75, 1.0, 1.25)."))
    return tuple(float(one) for one in scales)


def _predict(options, images, out, advance_tiles, advance_images):
    images = map_file(images)
    if getattr(images, "ndim", None) == 4:
        result = _batch(options, images, out, advance_tiles or _nothing)
    else:
        image = open_image(images, options.run.in_channels)
        result = result_array(out, image.shape[:2], options.output, options.run)
        advance = advance_tiles or _nothing
        advance(0, total=_steps(options, image.shape))
        if options.slides:
            _tiled(options, image, result, advance)
        else:
            result[...] = _whole(options, np.asarray(image)[None])[0]
            advance(1)
    if advance_images:
        advance_images(1)
    return result


def _batch(options, images, out, advance):
    """Return the result for images of one size, `[B, H, W(, classes)]`."""
    if len(images) == 0:
        raise ValueError(checks.sentence("images", "must hold at least one image", images.shape, "Pass one."))
    result = result_array(out, images.shape[:3], options.output, options.run)
    step = 1 if options.slides else options.batch_size
    advance(0, total=len(images) * _steps(options, images.shape[1:]))
    for begin in range(0, len(images), step):
        batch = [open_image(one, options.run.in_channels) for one in images[begin:begin + step]]
        if options.slides:
            _tiled(options, batch[0], result[begin], advance)
        else:
            result[begin:begin + step] = _whole(options, np.stack(batch))
            advance(len(batch))
    return result


def _steps(options, shape):
    """Return how far the bar goes for an image of `shape`: windows, or 1."""
    return count_tiles(shape, options.run.classes, options.window, options.overlap) if options.slides else 1


def _nothing(steps, total=None):
    """Stand for `advance` where no bar is drawn."""


def _whole(options, pixels):
    """Return the result for a batch of whole images, `[B, H, W(, classes)]`."""
    size = pixels.shape[1:3]
    if options.run.image_size and not options.run.margin:
        pixels = fit(pixels, options.run.image_size)
    return _finished(options, resize(_class_scores(options, np.asarray(pixels, np.float32)), size))


def _tiled(options, image, out, advance):
    """Write the result for one image by sliding window into `out`, `[H, W(, classes)]`, strip by strip."""
    def write(top, left, scores):
        out[top:top + scores.shape[0], left:left + scores.shape[1]] = _finished(options, scores)

    blended_tiles(image, lambda tiles: _class_scores(options, tiles), options.run.classes, options.window,
                  options.overlap, options.blend, options.batch_size, write, advance)


def _class_scores(options, pixels):
    """Return logits, or averaged probabilities over scales and flips, `[B, h, w, classes]` for `[B, h, w, C]`."""
    if not options.averages:
        return _logits(options, pixels)
    total, count, size = 0.0, 0, pixels.shape[1:3]
    for scale in options.scales:
        scaled_size = tuple(int(round(scale * side)) for side in size)
        if min(scaled_size) < 1:
            raise ValueError(checks.sentence(
                "scales", f"must leave at least one pixel of {size[0]}×{size[1]}", scale, "Leave this scale out."))
        scaled = resize(pixels, scaled_size)
        for turn in (1, -1) if options.flip else (1,):
            answer = _logits(options, scaled[:, :, ::turn])[:, :, ::turn]
            shares = answer if options.run.labels_only else softmax(answer)
            total, count = total + resize(shares, size), count + 1
    return total / np.float32(count)


def _logits(options, pixels):
    """Return the logits at the size of `pixels`; a model of one fixed size slides over another."""
    if options.run.margin:
        return np.stack([_answered(options, one) for one in pixels])
    fixed = options.run.image_size
    if fixed and tuple(pixels.shape[1:3]) != tuple(fixed):
        return np.stack([_slide(options.run, one, fixed) for one in pixels])
    logits = options.run(np.ascontiguousarray(pixels))
    if logits.shape[1:3] != pixels.shape[1:3]:
        raise ValueError(checks.sentence(
            "model", f"must give logits of the pixels' size {pixels.shape[1:3]}", logits.shape[1:3],
            "Use kseg.inference.predict_tiled for a network of valid convolutions."))
    return logits


def _answered(options, image):
    """Return the logits of a network of valid convolutions for an image, `[H, W, classes]`."""
    run = options.run
    window = options.window or run.window_for(image.shape[:2])
    logits = np.empty((*image.shape[:2], run.classes), np.float32)

    def write(top, left, scores):
        logits[top:top + scores.shape[0], left:left + scores.shape[1]] = scores

    answered_tiles(image, run, window, run.margin, 1, write)
    return logits


def _slide(run, image, window):
    logits = np.empty((*image.shape[:2], run.classes), np.float32)

    def write(top, left, scores):
        logits[top:top + scores.shape[0], left:left + scores.shape[1]] = scores

    blended_tiles(image, run, run.classes, window, 0.25, "hann", 1, write)
    return logits


def _finished(options, scores):
    """Return blended scores as the output asked for."""
    if options.output == "labels":
        return label_map(scores)
    if options.averages:
        return scores if options.output == "probabilities" else np.log(np.maximum(scores, 1e-30))
    return softmax(scores) if options.output == "probabilities" else scores
