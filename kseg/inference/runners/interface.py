"""What a model says of itself, and how it is called: the same for every format."""

import abc
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from kseg import checks, tasks
from kseg.data.pixel_range import PixelRange
from kseg.inference.metadata import checked
from kseg.inference.results import votes
from kseg.labels import LabelSet
from kseg.layers.margins import valid_loss, valid_sizes


class Runner(abc.ABC):
    """A model ready to run: `runner(pixels)` returns NumPy logits `[B, h, w, classes]`.

    A subclass gives what the model takes to `__init__` and implements `run`.

    Args:
        shape: `(height, width, channels)` of the pixels; None for a side that may be of any length.
        classes: the number of classes.
        batch_size: images that one `run` takes; None for any number.
        dtype: of the pixels the model stores; `run` is given float32 and converts.
        label_set: `LabelSet` or None (the one in `metadata`).
        answer: `(height, width)` of the logits, from which the margin follows; None where it is not known.
        poolings: of a U-Net of valid convolutions, which decide the sizes it takes; else None.
        labels_only: whether the model answers with class ids, integers `[B, h, w]`, instead of logits.
        metadata: what an exported model says about itself (see `kseg.export.read_metadata`), or None.
        pixel_range: `PixelRange` by which stored numbers become the model's pixels, or None (the one in `metadata`).
        task: name of the task, or None: the one in `metadata`; else "binary" for one class, "multiclass" for more.
        threshold: of the model (see `Segmenter.threshold`), or None: the one in `metadata`, else the task's default.

    Attributes: the arguments but `answer`, the task as its row of `kseg.tasks`, and
        scales_inside: whether the model stored takes numbers as they are stored and scales them itself.
        in_channels: bands of the pixels.
        image_size: `(height, width)` in pixels if the model takes no other, else None.
        margin: pixels that the logits lack on every side (valid convolutions), else 0.
    """

    def __init__(self, shape: Sequence[int | None], classes: int, *, answer: Sequence[int | None] = (None, None),
                 batch_size: int | None = None, dtype: Any = "float32", label_set: LabelSet | None = None,
                 poolings: int | None = None, labels_only: bool = False, metadata: dict[str, Any] | None = None,
                 pixel_range: PixelRange | None = None, task: str | None = None, threshold: tasks.Threshold = None):
        self.shape, self.classes, self.batch_size, self.dtype = tuple(shape), int(classes), batch_size, np.dtype(dtype)
        self.in_channels, self.image_size = self.shape[2], None if None in self.shape[:2] else self.shape[:2]
        described = checked(metadata, self.classes)
        self.label_set = described["label_set"] if label_set is None else label_set
        self.task = tasks.known(task or described["task"], self.classes)
        self.threshold = threshold or described["threshold"] or (
            None if self.task.exclusive else tasks.DEFAULT_THRESHOLD)
        self.poolings, self.labels_only, self.metadata = poolings, labels_only, metadata
        self.pixel_range = described["pixel_range"] if pixel_range is None else pixel_range
        self.scales_inside = described["scales_inside"]
        down, right = (0 if None in sides else int(sides[0]) - int(sides[1]) for sides in zip(self.shape, answer))
        same = down == right > 0 and down % 2 == 0
        self.margin = valid_loss(poolings) // 2 if poolings else down // 2 if same else 0

    @abc.abstractmethod
    def run(self, batch: np.ndarray) -> np.ndarray:
        """Return float32 logits `[b, h, w, classes]`, or labels `[b, h, w]`, of float32 `[b, H, W, channels]`.

        The labels of a multi-label model are `[b, h, w, classes]`. What is given are pixels 0–255, or numbers as they
        are stored where the model `scales_inside`.
        """

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the logits of any number of images.

        Args:
            pixels: numbers 0–255 `[B, H, W, channels]`, not normalised.
        Returns:
            float32 `[B, h, w, classes]`; where `labels_only` integers `[B, h, w]`, or `[B, h, w, classes]` of a
            multi-label model.
        Raises:
            ValueError: if `pixels` are of another shape than the model takes.
        """
        pixels = np.asarray(pixels, np.float32)
        if pixels.ndim != 4 or any(side not in (None, have) for side, have in zip(self.shape, pixels.shape[1:])):
            sides = [name if side is None else side for name, side in zip("HWC", self.shape)]
            raise ValueError(checks.sentence(
                "pixels", f"must have shape [B, {', '.join(map(str, sides))}], which this model takes", pixels.shape,
                "Resize the images with kseg.predict, or build or export the model for their size."))
        if self.scales_inside:
            pixels = self.pixel_range.restored(pixels)
        step = self.batch_size or len(pixels) or 1
        answers = [self.run(pixels[begin:begin + step]) for begin in range(0, len(pixels) or 1, step)]
        return answers[0] if len(answers) == 1 else np.concatenate(answers)

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """Return class scores of pixels, float32 `[B, h, w, classes]`: logits, or one vote where `labels_only`.

        Raises:
            ValueError: as `__call__`, and if labels are none of the classes.
        """
        answer = self(pixels)
        if not self.labels_only:
            return answer
        if self.task.exclusive and answer.size and not 0 <= answer.min() <= answer.max() < self.classes:
            raise ValueError(checks.sentence(
                "model", f"must answer with labels 0 to {self.classes - 1}, the classes that it describes",
                [int(answer.min()), int(answer.max())], "Export it again."))
        return votes(answer, self.classes, self.task)

    def labels(self, answer: np.ndarray) -> np.ndarray:
        """Return what the model answered, logits or labels, as labels by the model's own threshold."""
        return answer if self.labels_only else self.task.decide(answer, self.cut(self.threshold))

    def cut(self, threshold: tasks.Threshold) -> np.ndarray | float:
        """Return what the `scores` of a class must exceed for a threshold; see `Task.decide`."""
        if self.task.exclusive:
            return 0.0
        return 0.5 if self.labels_only else tasks.logit(threshold)

    def checked_window(self, window: int | Sequence[int]) -> tuple[int, int]:
        """Return `window`, an int or `(height, width)` in pixels, as such; ValueError if no tile may have it."""
        window = checks.image_size((window, window) if isinstance(window, numbers.Integral) else window, "window")
        if self.image_size and window != self.image_size:
            raise ValueError(checks.sentence(
                "window", f"must be {self.image_size}, the one size this model takes", window,
                f"Pass window={self.image_size}."))
        if self.poolings and not self.image_size:
            legal = self._legal(window)
            if window != legal:
                raise ValueError(checks.sentence(
                    "window", "must be a size that a U-Net of valid convolutions takes", window,
                    f"The next larger one is window={legal}."))
        return window

    def window_for(self, size: tuple[int, int], most: int = 572) -> tuple[int, int]:
        """Return the size of tiles for an image of `size` and the margin: the image's if legal, at most `most`."""
        if self.image_size or not self.poolings:
            return self.image_size or (most, most)
        return self._legal([min(most, side + 2 * self.margin) for side in size])

    def _legal(self, size):
        """Return the smallest size of at least `size` that the poolings allow."""
        return tuple(valid_sizes(side, self.poolings)[1] for side in size)
