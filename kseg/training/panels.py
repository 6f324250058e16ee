"""Pictures of a training run: a panel of image, truth and prediction, and the learning curve. NumPy and Pillow."""

import os

import numpy as np
from PIL import Image, ImageDraw

GAP = 4  # pixels between the tiles of a panel
_CURVES = (("loss", (31, 119, 180)), ("val_loss", (174, 199, 232)), ("mean_iou", (255, 187, 120)),
           ("val_mean_iou", (214, 39, 40)))


def panel(pixels, labels, predictions, label_set):
    """Return one picture, a row an image: image, truth, prediction.

    Args:
        pixels: uint8 or float `[B, H, W, channels]`, 0-255; one band is shown grey, of more the first three.
        labels, predictions: integer `[B, H, W]`.
        label_set: `LabelSet`, whose colours are used.
    Returns:
        uint8 `[B * (H + 4) + 4, 3 * (W + 4) + 4, 3]` RGB on white.
    """
    pixels = np.clip(np.rint(np.asarray(pixels, np.float32)), 0, 255).astype(np.uint8)
    pixels = pixels[..., :3] if pixels.shape[-1] >= 3 else np.repeat(pixels[..., :1], 3, axis=-1)
    tiles = np.stack([pixels, label_set.colorize(labels), label_set.colorize(predictions)], axis=1)  # [B, 3, H, W, 3]
    border = ((0, 0), (0, 0), (GAP, 0), (GAP, 0), (0, 0))
    tiles = np.pad(tiles, border, constant_values=255)
    count, columns, height, width, _ = tiles.shape
    sheet = tiles.transpose(0, 2, 1, 3, 4).reshape(count * height, columns * width, 3)
    return np.pad(sheet, ((0, GAP), (0, GAP), (0, 0)), constant_values=255)


def learning_curve(history, size=(720, 400)):
    """Return the course of loss and mean IoU over the epochs.

    Args:
        history: list of dicts, one an epoch, with `loss`, `val_loss`, `mean_iou`, `val_mean_iou` where measured.
        size: (width, height) in pixels.
    Returns:
        uint8 `[height, width, 3]` RGB: losses on the left scale, from 0; mean IoU on the right one, 0 to 1.
    """
    width, height = size
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = 48, 30, width - 44, height - 28
    losses = [row[name] for row in history for name in ("loss", "val_loss") if np.isfinite(row.get(name, np.nan))]
    highest = max(losses, default=1.0) or 1.0
    for tick in range(6):
        y = bottom - (bottom - top) * tick / 5
        draw.line([left, y, right, y], fill=(228, 228, 228))
        draw.text((6, y - 6), f"{highest * tick / 5:.2f}", fill="black")
        draw.text((right + 8, y - 6), f"{tick / 5:.1f}", fill="black")
    draw.text((left, bottom + 8), "epoch 1", fill="black")
    draw.text((right - 24, bottom + 8), str(len(history)), fill="black")
    for place, (name, colour) in enumerate(_CURVES):
        scale = highest if "loss" in name else 1.0
        step = (right - left) / max(len(history) - 1, 1)
        points = [(left + step * index, bottom - (bottom - top) * row[name] / scale)
                  for index, row in enumerate(history) if np.isfinite(row.get(name, np.nan))]
        if len(points) > 1:
            draw.line(points, fill=colour, width=2)
        for x, y in points:
            draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill=colour)
        draw.text((left + place * 130, 8), name, fill=colour)
    return np.asarray(image)


def write_png(path, pixels):
    """Write uint8 `[H, W, 3]` as a PNG file, whole or not at all."""
    draft = f"{path}.part"
    Image.fromarray(pixels).save(draft, "PNG")
    os.replace(draft, path)
