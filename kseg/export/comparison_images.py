"""Images on which an exported model is compared with its original: smooth ramps, hard edges, blobs, fine texture.

A constant or white-noise image hides a shifted grid, a swapped axis and a wrong resize; these do not.
"""

from typing import Any

import numpy as np

from kseg import checks
from kseg.export.original import Original


def compared_images(images: Any, original: Original) -> list[np.ndarray]:
    """Return what a model and its export are compared on, a list of uint8 `[N, H, W, channels]`.

    Those are `images`; where it is None structured ones of the export's size, or of two sizes if it takes any. Raises
    ValueError if they are of another size.
    """
    size, channels = original.image_size, original.channels
    if images is None:
        sizes = [size] if None not in size else [(97, 129), (128, 96)]
        return [structured_images(*(fixed or side for fixed, side in zip(size, pair)), channels) for pair in sizes]
    images, wanted = np.asarray(images), (*size, channels)
    if images.ndim != 4 or not len(images) or any(
            side not in (None, have) for side, have in zip(wanted, images.shape[1:])):
        sides = ", ".join(str(side or name) for name, side in zip("HWC", wanted))
        raise ValueError(checks.sentence("images", f"must be an array [N, {sides}]", images.shape,
                                         "Resize them to image_size."))
    return [np.clip(np.round(images), 0, 255).astype(np.uint8)]


def structured_images(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Return four different images, uint8 `[4, height, width, channels]`, 0-255, the same for the same arguments.

    In order: ramps with slanted edges; off-centre discs on a ramp; a checkerboard whose cells grow to the right; soft
    texture with a few hard rectangles. Bands differ, so that swapped bands show.
    """
    generator = np.random.default_rng(seed)
    y, x = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")  # [H, W]
    pictures = [_ramps(y, x, channels), _blobs(y, x, channels, generator), _cells(y, x, channels),
                _texture(y, x, channels, generator)]
    return np.clip(np.round(np.stack(pictures)), 0, 255).astype(np.uint8)  # [4, H, W, channels]


def _ramps(y, x, channels):
    edge = (2.3 * x + y) % 0.9 < 0.35
    bands = [np.where(edge, 255 * ((1 - x) if band % 2 else y), 255 * (x if band % 2 else 1 - y) * (1 - band / 9))
             for band in range(channels)]
    return np.stack(bands, -1)


def _blobs(y, x, channels, generator):
    picture = np.stack([40 + 120 * (x + y) / 2 + 9 * band for band in range(channels)], -1)  # [H, W, channels]
    for row, column, radius in ((0.27, 0.2, 0.17), (0.7, 0.61, 0.24), (0.35, 0.83, 0.11), (0.9, 0.12, 0.08)):
        inside = (y - row) ** 2 + (x - column) ** 2 < radius ** 2
        picture[inside] = generator.uniform(0, 255, channels)
    return picture


def _cells(y, x, channels):
    grown = np.sqrt(x + 0.02)
    board = (np.floor(13 * grown) + np.floor(9 * y)) % 2
    return np.stack([255 * board * (1 - 0.2 * band) + 30 * band for band in range(channels)], -1)


def _texture(y, x, channels, generator):
    picture = np.zeros((*y.shape, channels))
    for frequency in (2, 5, 11, 23):
        phase, tilt = generator.uniform(0, 2 * np.pi, channels), generator.uniform(-1, 1, channels)
        wave = np.sin(2 * np.pi * frequency * (x[..., None] + tilt * y[..., None]) + phase)  # [H, W, channels]
        picture += wave / np.sqrt(frequency)
    picture = 127 + 70 * picture
    for row, column in ((0.1, 0.55), (0.55, 0.15), (0.62, 0.7)):
        inside = (abs(y - row) < 0.09) & (abs(x - column) < 0.13)
        picture[inside] = generator.uniform(0, 255, channels)
    return picture
