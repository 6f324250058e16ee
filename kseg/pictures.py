"""Pictures of segmentations: indexed PNGs, overlays, sheets with a legend. NumPy and Pillow."""

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kseg import checks, files
from kseg.labels import LabelSet

GAP = 8  # pixels of white between tiles
_TEXT = (40, 40, 40)
_STRIP_PIXELS = 4_000_000  # painted at once


def write_labels(path: str | os.PathLike, label_map: np.ndarray, label_set: LabelSet) -> None:
    """Write a label map as an indexed PNG: the stored values are the ids, the palette that of the label set.

    Args:
        path: str or path ending in `.png`; it appears whole or not at all.
        label_map: integers `[H, W]`, 0 to 255.
        label_set: `LabelSet`.
    Raises:
        ValueError: if the map is not two-dimensional or an id does not fit into 8 bits.
    """
    label_map = np.asarray(label_map)
    legal = label_map.ndim == 2 and label_map.dtype.kind in "ui" and label_map.size > 0
    if not legal or label_map.min() < 0 or label_map.max() > 255:
        raise ValueError(checks.sentence(
            "label_map", "must be integer ids [H, W] from 0 to 255", (label_map.shape, str(label_map.dtype)),
            "Pass one map, after the argmax."))
    picture = Image.fromarray(np.ascontiguousarray(label_map, np.uint8))
    picture.putpalette(label_set.lookup_table().tobytes())
    with files.draft(path) as temporary:
        picture.save(temporary)


def write_picture(path: str | os.PathLike, pixels: np.ndarray) -> None:
    """Write uint8 `[H, W, 3]` (or `[H, W]`) as an image file of the path's kind, whole or not at all."""
    with files.draft(path) as temporary:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary)


def as_rgb(pixels: np.ndarray) -> np.ndarray:
    """Return pixels `[H, W, channels]`, 0–255, as uint8 `[H, W, 3]`: one band grey, of more the first three."""
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8:
        pixels = np.clip(np.rint(pixels.astype(np.float32)), 0, 255).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return pixels[..., :3] if pixels.shape[-1] >= 3 else np.repeat(pixels[..., :1], 3, axis=-1)


def painted(label_map: np.ndarray, label_set: LabelSet) -> tuple[np.ndarray, np.ndarray]:
    """Return labels in the colours of their classes, uint8 `[H, W, 3]`, and which pixels have a class, bool `[H, W]`.

    Args:
        label_map: ids `[H, W]`; or 0, 1 and ignored `[H, W, classes]`, where a pixel of several classes has the mean of
            their colours, one of none is black, and one of none with an ignored class has the ignored colour.
        label_set: `LabelSet`.
    """
    label_map = np.asarray(label_map)
    if label_map.ndim == 2:
        return label_set.colorize(label_map), label_map != label_set.ignore_class
    present = label_map == 1  # [H, W, classes]
    count = present.sum(-1, keepdims=True)
    colours = (present.astype(np.float32) @ label_set.palette.astype(np.float32)) / np.maximum(count, 1)
    ignored = (count == 0) & (label_map == label_set.ignore_class).any(-1, keepdims=True)
    colours = np.where(ignored, np.asarray(label_set.ignore_color, np.float32), colours)
    return colours.round().astype(np.uint8), count[..., 0] > 0


def overlay(pixels: np.ndarray, label_map: np.ndarray, label_set: LabelSet, opacity: float = 0.5) -> np.ndarray:
    """Return the image with its labels painted over it, uint8 `[H, W, 3]`; pixels without a class stay as they are.

    Args:
        pixels: `[H, W, channels]`, 0–255.
        label_map: as `painted`.
        label_set: `LabelSet`.
        opacity: float from 0 (the image) to 1 (the labels).
    """
    checks.number_between("opacity", opacity, 0, 1)
    pixels, label_map = as_rgb(pixels), np.asarray(label_map)
    result = np.empty(pixels.shape, np.uint8)
    rows = max(1, _STRIP_PIXELS // max(1, label_map.shape[1]))
    for top in range(0, len(label_map), rows):  # large images take no floats but those of a strip
        colours, covered = painted(label_map[top:top + rows], label_set)
        image = pixels[top:top + rows].astype(np.float32)
        mixed = image + opacity * (colours - image)
        result[top:top + rows] = np.where(covered[..., None], mixed, image).round()
    return result


def sheet(rows: Sequence[Sequence[np.ndarray | None]], label_set: LabelSet,
          titles: Sequence[str] = ("image", "truth", "prediction"), names: Sequence[str] | None = None,
          tile_size: tuple[int, int] = (240, 320)) -> np.ndarray:
    """Return a sheet: one row per image, one column per picture of it, a legend of the classes below.

    Args:
        rows: sequence of rows; each a sequence of pictures `[H, W, 3]`, label maps `[H, W]` (painted) or None.
        label_set: `LabelSet`.
        titles: sequence of str, over the columns.
        names: sequence of str or None, over the rows.
        tile_size: (height, width) in pixels that every picture fits into.
    Returns:
        uint8 `[H, W, 3]` RGB on white.
    """
    font = ImageFont.load_default(14)
    tiles = [[None if one is None else _tile(one, label_set, tile_size) for one in row] for row in rows]
    heights = [max([tile.height for tile in row if tile is not None], default=0) for row in tiles]
    width = len(titles) * (tile_size[1] + GAP) + GAP
    key = legend(label_set, width)
    name_height = 20 if names else 0
    picture = Image.new("RGB", (width, 28 + sum(heights) + len(rows) * (GAP + name_height) + key.shape[0]), "white")
    draw = ImageDraw.Draw(picture)
    for column, title in enumerate(titles):
        draw.text((GAP + column * (tile_size[1] + GAP), 6), title, fill=_TEXT, font=font)
    top = 28
    for index, row in enumerate(tiles):
        if names:
            draw.text((GAP, top), _shortened(names[index], width - 2 * GAP, font), fill=_TEXT, font=font)
            top += name_height
        for column, tile in enumerate(row):
            if tile is not None:
                picture.paste(tile, (GAP + column * (tile_size[1] + GAP), top))
        top += heights[index] + GAP
    picture.paste(Image.fromarray(key), (0, top))
    return np.asarray(picture)


def legend(label_set: LabelSet, width: int, font_size: int = 13) -> np.ndarray:
    """Return the classes with their colours in as many lines as `width` pixels need, uint8 `[H, width, 3]`."""
    font = ImageFont.load_default(font_size)
    line, x, places = 0, GAP, []
    for name, colour in [*zip(label_set.names, label_set.palette.tolist()), ("ignored", label_set.ignore_color)]:
        name = _shortened(name, width - 2 * GAP - 24, font)
        needed = 20 + int(font.getlength(name)) + 16
        if x + needed > width and x > GAP:
            line, x = line + 1, GAP
        places.append((line, x, name, tuple(colour)))
        x += needed
    picture = Image.new("RGB", (width, (line + 1) * 22 + GAP), "white")
    draw = ImageDraw.Draw(picture)
    for line, x, name, colour in places:
        draw.rectangle([x, line * 22 + 4, x + 14, line * 22 + 18], fill=colour, outline=(120, 120, 120))
        draw.text((x + 20, line * 22 + 4), name, fill=_TEXT, font=font)
    return np.asarray(picture)


def lines(texts: Sequence[str], width: int, font_size: int = 14) -> np.ndarray:
    """Return lines of text on white, uint8 `[H, width, 3]`."""
    font = ImageFont.load_default(font_size)
    picture = Image.new("RGB", (width, len(texts) * 20 + GAP), "white")
    draw = ImageDraw.Draw(picture)
    for index, text in enumerate(texts):
        draw.text((GAP, index * 20 + 6), _shortened(text, width - 2 * GAP, font), fill=_TEXT, font=font)
    return np.asarray(picture)


def heat(values: np.ndarray) -> np.ndarray:
    """Return values from 0 (black) over red and yellow to 1 (white) as a picture, uint8 `[H, W, 3]`; NaN is grey."""
    level = np.clip(np.asarray(values, np.float32), 0, 1)[..., None]
    colours = 255 * np.clip(3 * level - np.arange(3, dtype=np.float32), 0, 1)
    return np.where(np.isnan(level), 128, colours).astype(np.uint8)


def _tile(picture, label_set, size):
    """Return a picture or label map shrunk or grown to fit into `size`; label maps by nearest neighbour."""
    picture = np.asarray(picture)
    labels = picture.ndim == 2
    image = Image.fromarray(np.ascontiguousarray(label_set.colorize(picture) if labels else as_rgb(picture)))
    factor = min(size[1] / image.width, size[0] / image.height)
    shape = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    smooth = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.BILINEAR
    return image.resize(shape, Image.Resampling.NEAREST if labels else smooth)


def _shortened(text, width, font):
    """Return text cut in the front, where paths are least telling, until it is at most `width` pixels wide."""
    text = str(text)
    if font.getlength(text) <= width:
        return text
    while len(text) > 4 and font.getlength("…" + text) > width:
        text = text[1:]
    return "…" + text
