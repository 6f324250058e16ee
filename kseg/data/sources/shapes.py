"""Procedural segmentation images: textured, overlapping shapes whose class is their outline, never their colour.

Deterministic: image `index` of a split depends on (seed, split, index, image_size) alone. All objects draw colours and
texture from one distribution, so that only geometry tells the classes apart; the background draws from the same one
with less contrast.
"""

import dataclasses
import typing

import numpy as np
from PIL import Image

from kseg import checks
from kseg.data.decode import to_grey
from kseg.data.sources.base import Source
from kseg.labels import LabelSet

NAMES = ("background", "disk", "square", "triangle", "cross")
PALETTE = np.array([[32, 36, 48], [230, 97, 76], [88, 178, 220], [244, 196, 72], [122, 201, 111]], np.uint8)
COUNTS = {"train": 400, "validation": 100, "test": 100}  # images of each split
DEFAULT_SIZE = (128, 128)
_SPLIT_KEYS = {"train": 0, "validation": 1, "test": 2}


def label_set() -> LabelSet:
    """Return the `LabelSet` of the shapes: background, disk, square, triangle, cross."""
    return LabelSet(NAMES, PALETTE)


def generate(split: str, index: int, image_size: tuple[int, int] = DEFAULT_SIZE,
             seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return one image and its labels.

    Args:
        split: "train", "validation" or "test".
        index: int, at least 0; any number of images may be drawn.
        image_size: (height, width) in pixels.
        seed: int, another seed is another dataset.
    Returns:
        pixels: uint8 `[H, W, 3]` RGB.
        labels: uint8 `[H, W]`, ids of `NAMES`; no ignored pixels.
    """
    checks.one_of("split", split, tuple(COUNTS))
    height, width = checks.image_size(image_size)
    random = np.random.default_rng((seed, _SPLIT_KEYS[split], index))
    rows, columns = np.meshgrid(np.arange(height, dtype=np.float32) + 0.5, np.arange(width, dtype=np.float32) + 0.5,
                                indexing="ij")
    pixels = _texture(random, rows, columns, muted=True)
    labels = np.zeros((height, width), np.uint8)
    for class_id, radius, centre in _layout(random, height, width):
        distance = _signed_distance(class_id, rows - centre[0], columns - centre[1], radius, random.uniform(-0.3, 0.3))
        inside = distance < 0
        shade = 1 - 0.5 * np.exp(-(distance / 1.5) ** 2, dtype=np.float32)  # a darker rim
        pixels = np.where(inside[..., None], _texture(random, rows, columns), pixels) * shade[..., None]
        labels[inside] = class_id
    pixels += random.normal(0, 4, pixels.shape).astype(np.float32)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), labels


@dataclasses.dataclass(frozen=True, eq=False)
class ShapesSource(Source):
    """The shapes as a source; `image_size` is drawn, not resized."""

    split: str
    image_size: tuple[int, int] = DEFAULT_SIZE
    channels: int = 3
    seed: int = 0
    name: str = "shapes"
    LABELS = label_set = LabelSet(NAMES, PALETTE)

    @classmethod
    def open(cls, name: str, split: str, *, image_size: tuple[int, int] = DEFAULT_SIZE,
             channels: int = 3) -> typing.Self:
        """Return the source; arguments as `kseg.data.source`."""
        checks.one_of("channels", channels, (1, 3), "Shapes are drawn in colour, or turned grey.")
        return cls(split, checks.image_size(image_size), channels, name=name)

    def __len__(self) -> int:
        return COUNTS[self.split]

    def identity(self) -> list:
        """Return size and seed."""
        return [list(self.image_size), self.seed]

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        pixels, labels = generate(self.split, index, self.image_size, self.seed)
        return pixels if self.channels != 1 else to_grey(Image.fromarray(pixels)), labels


def _layout(random, height, width):
    """Return [(class id, radius, centre)], two to four objects that may overlap but do not bury each other."""
    placed = []
    for _ in range(random.integers(2, 5)):
        class_id = int(random.integers(1, len(NAMES)))
        radius = min(height, width) * random.uniform(0.17, 0.30)
        for _ in range(10):
            centre = random.uniform(0.1, 0.9, 2) * (height, width)
            if all(np.hypot(*(centre - other)) > 0.75 * (radius + size) for _, size, other in placed):
                placed.append((class_id, radius, centre))
                break
    return placed


def _signed_distance(class_id, rows, columns, radius, angle):
    """Return the distance in pixels to the outline, negative inside; areas are alike for equal `radius`."""
    x = np.cos(angle) * columns + np.sin(angle) * rows
    y = np.cos(angle) * rows - np.sin(angle) * columns
    if class_id == 1:
        return np.hypot(x, y) - radius
    if class_id == 2:
        return np.maximum(np.abs(x), np.abs(y)) - radius * 0.89
    if class_id == 3:
        return np.maximum(-y, 0.5 * y + np.sqrt(0.75) * np.abs(x)) - radius * 0.75
    bar = radius * 0.38
    return np.minimum(np.maximum(np.abs(x) - radius * 1.2, np.abs(y) - bar),
                      np.maximum(np.abs(y) - radius * 1.2, np.abs(x) - bar))


def _texture(random, rows, columns, muted=False):
    """Return float32 `[H, W, 3]`: two random colours mixed by stripes, checks, dots or a slow gradient."""
    first, second = random.uniform(20, 235, (2, 3)).astype(np.float32)
    if muted:  # a background of low contrast, so that outlines stand out
        second = first + 0.2 * (second - first)
    side = float(min(rows.shape))
    angle, phase = random.uniform(0, np.pi), random.uniform(0, 2 * np.pi)
    period = side * random.uniform(0.05, 0.14)
    x = (np.cos(angle) * columns + np.sin(angle) * rows) * np.float32(2 * np.pi / period) + np.float32(phase)
    kind = random.integers(4)
    if kind == 0:
        mix = 0.5 + 0.5 * np.sin(x)
    elif kind == 3:
        mix = 0.5 + 0.5 * np.sin(x * np.float32(period / side))
    else:
        y = (np.cos(angle) * rows - np.sin(angle) * columns) * np.float32(2 * np.pi / period)
        product = np.sin(x) * np.sin(y)
        mix = np.clip(0.5 + 3 * product, 0, 1) if kind == 1 else np.clip(2 * np.abs(product), 0, 1)
    mix = mix.astype(np.float32)[..., None]  # [H, W, 1]
    return first + (second - first) * mix
