"""Pictures of segmentations: indexed PNGs, overlays, sheets with a legend, confusion matrices. NumPy and Pillow."""

import os

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kseg import checks
from kseg.labels import LabelSet

GAP = 8  # pixels of white between tiles
_TEXT = (40, 40, 40)
_STRIP_PIXELS = 4_000_000  # painted at once


def write_labels(path, label_map, label_set):
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
    _write(path, picture)


def write_picture(path, pixels):
    """Write uint8 `[H, W, 3]` (or `[H, W]`) as an image file of the path's kind, whole or not at all."""
    _write(path, Image.fromarray(np.ascontiguousarray(pixels)))


def as_rgb(pixels):
    """Return pixels `[H, W, channels]`, 0–255, as uint8 `[H, W, 3]`: one band grey, of more the first three."""
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8:
        pixels = np.clip(np.rint(pixels.astype(np.float32)), 0, 255).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return pixels[..., :3] if pixels.shape[-1] >= 3 else np.repeat(pixels[..., :1], 3, axis=-1)


def overlay(pixels, label_map, label_set, opacity=0.5):
    """Return the image with its labels painted over it, uint8 `[H, W, 3]`; ignored pixels stay as they are.

    Args:
        pixels: `[H, W, channels]`, 0–255.
        label_map: integers `[H, W]`.
        label_set: `LabelSet`.
        opacity: float from 0 (the image) to 1 (the labels).
    """
    checks.number_between("opacity", opacity, 0, 1)
    pixels, label_map = as_rgb(pixels), np.asarray(label_map)
    painted = np.empty(pixels.shape, np.uint8)
    rows = max(1, _STRIP_PIXELS // max(1, label_map.shape[1]))
    for top in range(0, len(label_map), rows):  # large images take no floats but those of a strip
        ids, image = label_map[top:top + rows], pixels[top:top + rows].astype(np.float32)
        mixed = image + opacity * (label_set.colorize(ids) - image)
        painted[top:top + rows] = np.where((ids != label_set.ignore_class)[..., None], mixed, image).round()
    return painted


def sheet(rows, label_set, titles=("image", "truth", "prediction"), names=None, tile_size=(240, 320)):
    """Return a sheet: a row an image, a column a picture of it, a legend of the classes below.

    Args:
        rows: sequence of rows; each a sequence of pictures `[H, W, 3]`, label maps `[H, W]` (painted) or None.
        label_set: `LabelSet`.
        titles: sequence of str, over the columns.
        names: sequence of str or None, over the rows.
        tile_size: (height, width) in pixels that every picture fits into.
    Returns:
        uint8 `[H, W, 3]` RGB on white.
    """
    font = _font(14)
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


def legend(label_set, width, font_size=13):
    """Return the classes with their colours in as many lines as `width` pixels need, uint8 `[H, width, 3]`."""
    font = _font(font_size)
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


def confusion_picture(matrix, label_set, cell=46):
    """Return a picture of a confusion matrix, each row as shares of its labelled pixels in per cent.

    Args:
        matrix: int64 `[classes, classes]`, `matrix[label, prediction]`.
        label_set: `LabelSet`.
        cell: int, pixels; of many classes the cells are smaller and carry no numbers.
    Returns:
        uint8 `[H, W, 3]` RGB.
    """
    matrix = np.asarray(matrix, np.float64)
    classes = len(matrix)
    cell = cell if classes <= 24 else max(6, 1200 // classes)
    font = _font(13 if cell > 20 else max(7, cell - 1))
    names = [_shortened(name, 150, font) for name in label_set.names]
    margin = int(max(font.getlength(name) for name in names)) + 2 * GAP
    total = matrix.sum(1, keepdims=True)
    share = np.divide(matrix, total, out=np.zeros_like(matrix), where=total > 0)
    picture = Image.new("RGB", (max(margin + classes * cell + GAP, 260), margin + classes * cell + 44), "white")
    draw = ImageDraw.Draw(picture)
    for row in range(classes):
        draw.text((margin - GAP, margin + (row + 0.5) * cell), names[row], fill=_TEXT, font=font, anchor="rm")
        picture.paste(_upright(names[row], font, margin), (int(margin + (row + 0.5) * cell) - 8, 0))
        for column in range(classes):
            value = share[row, column]
            x, y = margin + column * cell, margin + row * cell
            draw.rectangle([x, y, x + cell - 2, y + cell - 2], fill=_shade(value, row == column))
            if cell > 30 and total[row] and value >= 0.005:
                draw.text((x + cell / 2 - 1, y + cell / 2 - 1), f"{100 * value:.0f}", font=font, anchor="mm",
                          fill="white" if value > 0.5 else _TEXT)
    draw.text((GAP, margin + classes * cell + 6), "rows: truth, columns: prediction,\n% of the row's pixels",
              fill=_TEXT, font=_font(13))
    return np.asarray(picture)


def heat(values):
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


def _upright(text, font, height):
    """Return text that reads upwards, ending `GAP` above the bottom of a strip of `height`."""
    strip = Image.new("RGB", (height, 16), "white")
    ImageDraw.Draw(strip).text((GAP, 8), text, fill=_TEXT, font=font, anchor="lm")
    return strip.rotate(90, expand=True)


def _shade(value, right):
    """Return near white at 0 to dark blue (right) or dark red (wrong) at 1; the root shows small errors too."""
    dark = np.array((12, 68, 132) if right else (150, 22, 28))
    return tuple(int(part) for part in 246 + np.sqrt(value) * (dark - 246))


def _shortened(text, width, font):
    """Return text cut in the front, where paths are least telling, until it is at most `width` pixels wide."""
    text = str(text)
    if font.getlength(text) <= width:
        return text
    while len(text) > 4 and font.getlength("…" + text) > width:
        text = text[1:]
    return "…" + text


def _font(size):
    return ImageFont.load_default(size)


def _write(path, picture):
    path = os.fspath(path)
    draft = f"{os.path.splitext(path)[0]}.part{os.path.splitext(path)[1]}"
    picture.save(draft)
    os.replace(draft, path)


def known_labels(label_set, classes):
    """Return `label_set`, or numbered classes if it is None; its length must be `classes`."""
    if label_set is None:
        return LabelSet.generic(classes)
    if len(label_set) != classes:
        raise ValueError(checks.sentence(
            "label_set", f"must name the {classes} classes of the model", list(label_set.names),
            "Pass the label set the model was trained on."))
    return label_set
