"""Prediction: pixels of any size to class ids, whole, by sliding window or overlap-tile, over scales and flips."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kseg import checks, tasks
from kseg.data import guards
from kseg.inference.images import open_image
from kseg.inference.progress import progress_bar
from kseg.inference.results import logits_of, one_label, probabilities, result_array
from kseg.inference.runners import Runner, runner_for
from kseg.inference.scores import Scores
from kseg.inference.stored_image import StoredImage
from kseg.inference.strategies import Classify, Strategy, Whole
from kseg.inference.strategies.sliding_window import SlidingWindow
from kseg.labels import IGNORE_CLASS

SCENE_WINDOW = (1024, 1024)  # of GeoTIFFs too large to be taken whole, where no other is asked for
_STRIP = 1 << 24  # class scores made probabilities at once
Model = keras.Model | str | os.PathLike | Runner


def predict(model: Model, images: Any, output: str = "labels", *, batch_size: int = 4,
            window: int | Sequence[int] | None = None, overlap: float = 0.5, blend: str = "hann",
            scales: float | Sequence[float] = (1.0,), flip: bool = False, threshold: tasks.Threshold = None,
            progress: bool = False, out: np.ndarray | None = None) -> np.ndarray | list[np.ndarray]:
    """Segment images of any size; the result has their height and width.

    Over several scales or with `flip` the probabilities are averaged; "logits" are then their logarithms (the inverse
    of a sigmoid). Without them the tiles of a window blend their logits. Each window is scaled and flipped by itself,
    so memory does not grow with the image beyond the result. A model of one fixed size, such as a TFLite file, gets the
    image resized to it, antialiased as in training, or, with `window`, tiles of its size. Scales are plain bilinear. A
    U-Net of valid convolutions sees the image by overlapping tiles, mirrored beyond the border, of `window` pixels
    where that is given (`predict_tiled` does so in memory bounded by the tile). A TFLite file exported with
    `output="labels"` gives one vote per pixel instead of logits: windows, scales and flips average the votes, the class
    with most wins, and only "labels" can be asked for.

    Args:
        model: a `keras.Model`, or the path of a `.keras`, `.tflite` or `.onnx` file or a SavedModel folder.
        images: a path, a PIL image, or numbers from 0 to 255, uint8 or float, `[H, W, channels]` or
            `[B, H, W, channels]`, also a `numpy.memmap` or the path of a `.npy` file; or a list of such, of any sizes.
            For a model with a `pixel_range`, numbers as they are stored, of any type, which it scales; 255 in the
            labels is then where an image has no data (NaN, or as a GeoTIFF says). A large GeoTIFF is read by windows.
        output: "labels", "probabilities" or "logits".
        batch_size: int, images of a batch or windows of an image run at once.
        window: int or `(height, width)` in pixels, or None for the whole image at once.
        overlap: float from 0 to 0.99, the share of a window that its neighbour covers too. Default 0.5.
        blend: "hann" (a window counts less towards its rim) or "uniform".
        scales: sequence of floats above 0, sizes of the image to average over.
        flip: bool, whether to average over the mirrored image too.
        threshold: float, or a sequence with one per class, what the probability of a class must exceed, for a model of
            task "binary" or "multilabel"; None for the model's own (0.5 unless it was set).
        progress: bool, whether a bar is drawn in the terminal.
        out: array to write into instead of a new one (a `numpy.memmap` for results beyond the memory), or None; of the
            result's shape, and of a dtype that its values fit into.
    Returns:
        "labels": uint8 `[H, W]` (int32 beyond 255 classes); "probabilities" and "logits": float32 `[H, W, classes]`.
        Labels of a "binary" model are 0 and 1, of a "multilabel" model 0 and 1 `[H, W, classes]`; probabilities of a
        "binary" model are `[H, W, 1]`, those of the foreground. With a leading B for a batch; a list for a list.
    Raises:
        ValueError: if an argument is out of range, a label map stands for pixels, the count of bands differs, or a
            file that gives labels alone is asked for more.
        TypeError: if `images`, `model` or `out` is of another kind.
        FileNotFoundError: if nothing stands at a path.
    """
    predictor = Predictor(model, output, batch_size=batch_size, window=window, overlap=overlap, blend=blend,
                          scales=scales, flip=flip, threshold=threshold)
    return predictor(images, progress=progress, out=out)


class Predictor:
    """A model and the way its images are segmented, checked once and then called for any number of images.

    Args:
        model, output, batch_size, window, overlap, blend, scales, flip, threshold: as in `kseg.predict`.
        scaled: bool, whether images are pixels 0–255 already, as `kseg.data.load` gives them, also for a model with a
            `pixel_range`.
    Attributes:
        run: the `Runner` of the model.
        output, batch_size: as given.
        threshold: as given, or the model's.
        pixel_range: `PixelRange` by which images are scaled, or None.
    Raises:
        ValueError: if an argument is out of range, or a file that gives labels alone is asked for more.
        TypeError: if `model` is of another kind.
        FileNotFoundError: if nothing stands at its path.
    """

    def __init__(self, model: Model, output: str = "labels", *, batch_size: int = 4,
                 window: int | Sequence[int] | None = None, overlap: float = 0.5, blend: str = "hann",
                 scales: float | Sequence[float] = (1.0,), flip: bool = False, threshold: tasks.Threshold = None,
                 scaled: bool = False):
        self.run = run = runner_for(model)
        self.pixel_range = None if scaled else run.pixel_range
        self.output = checks.one_of("output", output, ("labels", "probabilities", "logits"))
        if run.labels_only and output != "labels":
            raise ValueError(checks.sentence(
                "output", "must be 'labels' for a file that was exported with output='labels'", output,
                "Export it with output='logits'."))
        self.batch_size = checks.positive_integer("batch_size", batch_size)
        checks.one_of("blend", blend, ("hann", "uniform"))
        checks.number_between("overlap", overlap, 0, 0.99)
        self._window = None if window is None else run.checked_window(window)
        self._scores = Scores(run, self._window, scales, flip)
        self._overlap, self._blend = overlap, blend
        slides = self._window and not run.margin
        if threshold is not None and run.labels_only:
            raise ValueError(checks.sentence(
                "threshold", "must be None for a file that was exported with output='labels'", threshold,
                "Export it with kseg.export.tflite(..., output='logits')."))
        self.threshold = run.task.checked_threshold(threshold, run.classes) or run.threshold
        self._strategy = (SlidingWindow(self._window, run.classes, overlap, blend, self.batch_size) if slides
                          else Whole(self.batch_size, None if run.margin else run.image_size))

    def __call__(self, images: Any, *, progress: bool = False,
                 out: np.ndarray | None = None) -> np.ndarray | list[np.ndarray]:
        """Return the result for an image, a batch or a list; the arguments and the result as in `kseg.predict`."""
        several = isinstance(images, (list, tuple))
        if several and out is not None:
            raise ValueError(checks.sentence("out", "must be None for a list of images", type(out).__name__,
                                             "Predict the images one by one, each into its own array."))
        results = []
        with progress_bar(progress) as advance:  # of a list it counts the images, else the windows
            advance(0, total=len(images) if several else None)
            for image in images if several else [images]:
                opened = open_image(image, self.run.in_channels, batches=True, pixel_range=self.pixel_range)
                strategy = self._strategy_for(opened)
                results.append(self.answer(opened, strategy, self._scores, None if several else advance, out=out))
                advance(int(several))
        return results if several else results[0]

    def _strategy_for(self, opened):
        """Return how an opened image is cut: as was asked for, but a large scene by windows in any case."""
        if self._window or self.run.margin or not (isinstance(opened, StoredImage) and opened.is_large):
            return self._strategy
        return SlidingWindow(self.run.image_size or SCENE_WINDOW, self.run.classes, self._overlap, self._blend,
                             self.batch_size)

    def answer(self, images: np.ndarray, strategy: Strategy, classify: Classify,
               advance: Callable[..., None] | None = None, *, out: np.ndarray | None = None) -> np.ndarray:
        """Return the result for an image `[H, W, C]`, opened, or a batch `[B, H, W, C]` to open image by image.

        They are cut by `strategy`, their windows given to `classify`, and `advance(steps, total=None)` told of those.
        """
        batched = images.ndim == 4
        out = result_array(out, images.shape[:-1], self.run.classes, self.output == "labels", self.run.task)
        for first, chosen, place, scores in self._pieces(images, strategy, classify, advance):
            finished = self._finished(scores)
            if self.output == "labels" and self.run.classes <= IGNORE_CLASS:
                _mark_no_data(finished, chosen, place)
            if batched:
                place = slice(first, first + len(chosen)), *place
            out[place] = finished if batched else finished[0]
        return out

    def with_confidence(self, image: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return the labels of one image, as calling does, and how sure the model is of them.

        Args:
            image: as in `kseg.predict`, no batch and no list.
        Returns:
            The labels; uint8 `[H, W]`, one id per pixel: these labels, or of a multi-label model the most probable of
            the classes that a pixel has, 255 where it has none; and uint8 `[H, W]`, 255 times the probability of that
            id, where a pixel has no class that of being without the likeliest, where an image has no data 0. None in
            its place for a file that gives labels alone.
        Raises:
            ValueError, TypeError, FileNotFoundError: as `kseg.predict`; ValueError if `output` is not "labels".
        """
        checks.one_of("output", self.output, ("labels",))
        opened = open_image(image, self.run.in_channels, pixel_range=self.pixel_range)
        labels = result_array(None, opened.shape[:-1], self.run.classes, True, self.run.task)
        one_id, sure = np.zeros(labels.shape[:2], labels.dtype), np.zeros(labels.shape[:2], np.uint8)
        for _, chosen, piece, piece_scores in self._pieces(opened, self._strategy_for(opened), self._scores):
            for place, scores in _in_strips(piece, piece_scores):
                decided = self._finished(scores)
                are_shares = self._scores.averaged or self.run.labels_only
                shares = scores if are_shares else probabilities(scores, self.run.task)
                ids, shares = one_label(decided, shares, self.run.task)
                if self.run.classes <= IGNORE_CLASS:
                    for values, mark in ((decided, IGNORE_CLASS), (ids, IGNORE_CLASS), (shares, 0)):
                        _mark_no_data(values, chosen, place, mark)
                labels[place], one_id[place], sure[place] = decided[0], ids[0], np.rint(255 * shares[0])
        return labels, one_id, None if self.run.labels_only else sure

    def _pieces(self, images, strategy, classify, advance=None):
        """Yield (index of the first image, images opened, place, scores) of an image or a batch, as `answer` has it."""
        batched, size = images.ndim == 4, images.shape[-3:-1]
        images, advance = images if batched else [images], advance or (lambda steps, total=None: None)
        advance(0, total=len(images) * strategy.count(size))

        def counted(pixels):
            scores = classify(pixels)
            advance(len(pixels))
            return scores

        for first in range(0, len(images), strategy.images_at_once):
            chosen = images[first:first + strategy.images_at_once]
            if batched:
                chosen = [open_image(one, self.run.in_channels, pixel_range=self.pixel_range) for one in chosen]
            guards.warn(self, guards.of_pixels([one for one in chosen if isinstance(one, np.ndarray)], "images"))
            guards.warn(self, guards.of_depth([one.numbers.dtype for one in chosen if isinstance(one, StoredImage)],
                                              self.pixel_range))
            for top, left, scores in strategy.pieces(chosen, counted):
                yield first, chosen, (slice(top, top + scores.shape[1]), slice(left, left + scores.shape[2])), scores

    def _finished(self, scores):
        """Return class scores as the output asked for."""
        run = self.run
        if self.output == "labels":  # averages are of probabilities
            return run.task.decide(scores, self.threshold if self._scores.averaged and not run.labels_only
                                   else run.cut(self.threshold))
        if self._scores.averaged == (self.output == "probabilities"):
            return scores
        return logits_of(scores, run.task) if self._scores.averaged else probabilities(scores, run.task)


def _in_strips(place, scores):
    """Yield the places and scores of a piece by a few rows at once: probabilities need several times their memory."""
    rows = max(1, _STRIP // scores[0, 0].size)
    for first in range(0, scores.shape[1], rows):
        strip = scores[:, first:first + rows]
        top = place[0].start + first
        yield (slice(top, top + strip.shape[1]), place[1]), strip


def _mark_no_data(values, images, place, mark=IGNORE_CLASS):
    """Set `values` `[B, h, w, …]` to `mark` where images say that they have no data at this place."""
    for one, image in zip(values, images):
        missing = image.no_data(*place) if isinstance(image, StoredImage) else None
        if missing is not None:
            one[missing] = mark
