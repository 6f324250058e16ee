"""What users hand to `predict` as an image, turned into pixels `[H, W, channels]` that are read by windows."""

import os
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from kseg import checks
from kseg.data import decode, formats, geometry, limits
from kseg.data.formats import nifti, npy
from kseg.data.orientation import exif_orientation, upright
from kseg.data.pixel_range import PixelRange, as_pixels
from kseg.inference.scenes import scene_in
from kseg.inference.stored_image import StoredImage
from kseg.layers import ResizeTo

_STRIP = 4_000_000  # pixels taken from a picture at once
_NO_RANGE = ("The model was trained on 8 bits: save the image with 8 bits, or say what its numbers are, for example "
             "model.pixel_range = (0, 4095).")


def open_image(image: Any, channels: int, name: str = "images", batches: bool = False,
               pixel_range: PixelRange | None = None) -> np.ndarray | StoredImage:
    """Return one image as pixels 0–255 `[H, W, channels]` that may lie on disk (`numpy.memmap`, `StoredImage`).

    Args:
        image: the path of an image file (a grey one becomes RGB for 3 channels and the reverse for 1; turned upright
            by its EXIF orientation, as viewers show it) or of a `.npy` file, which is mapped, not read; a GeoTIFF,
            which is read by windows; a NIfTI volume, a batch of slices along its third axis; a PIL image, as it lies
            in memory; or an array `[H, W, channels]` (for one channel also `[H, W]`): with a `pixel_range` of numbers
            as they are stored, else pixels 0–255, uint8 or float.
        channels: int, the bands the model takes.
        name: str, what errors call the argument.
        batches: whether a batch `[B, H, W, channels]` is returned as it is, its images to be opened in their turn.
        pixel_range: `PixelRange` by which stored numbers of any type become pixels, or None.
    Raises:
        ValueError: if the shape is that of a label map, the count of bands differs, or a file holds more than 8 bits
            and there is no `pixel_range`.
        TypeError: if it is none of these.
        FileNotFoundError: if no file stands at the path.
    """
    if isinstance(image, StoredImage):  # opened already
        return image
    if isinstance(image, (str, os.PathLike)):
        image = _from_file(os.fspath(image), channels, name, pixel_range)
    elif isinstance(image, Image.Image):
        try:
            image, orientation = _from_picture(image, channels, pixel_range)
        except decode.DECODER_FAILURES as failure:  # a lazily opened file
            raise ValueError(decode.unreadable(name, getattr(image, "filename", None) or image, failure)) from failure
        _warn_of_orientation(orientation, name)
    if batches and getattr(image, "ndim", None) == 4:
        if not len(image):
            raise ValueError(checks.sentence(name, "must hold at least one image", image.shape, "Pass one."))
        return image
    pixels = image if isinstance(image, (np.ndarray, StoredImage)) else np.asarray(image)
    if pixels.dtype.kind not in "uif":
        raise TypeError(checks.sentence(
            name, "must be a path, a PIL image or an array of numbers from 0 to 255", type(image).__name__,
            "Decode the image first."))
    if channels == 1 and pixels.ndim == 2:
        pixels = pixels[..., None]  # [H, W, 1]
    _check_bands(pixels, channels, name)
    if isinstance(pixels, StoredImage):
        return pixels
    if pixel_range is not None:
        return StoredImage(pixels, pixel_range)
    return pixels


def fit(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return images at the one size a model takes, antialiased bilinear, as training and `kseg.evaluate` resize.

    `images` are numbers 0–255 `[B, H, W, bands]`; they stay uint8 if they are so, of 1 or 3 bands, else become float32.
    """
    if tuple(images.shape[1:3]) == tuple(size):
        return images
    if images.dtype != np.uint8 or images.shape[-1] not in (1, 3):
        images = images.astype(np.float32)  # Pillow, which reduces uint8, would take 2 and 4 bands for transparency
    no_labels = np.zeros(images.shape[1:3], np.uint8)
    return np.stack([geometry.resize(tf.constant(one), tf.constant(no_labels), size)[0].numpy() for one in images])


def resize(images: Any, size: tuple[int, int]) -> np.ndarray:
    """Return `images` `[B, h, w, C]` resized bilinearly to `size` (half-pixel centres), NumPy float32."""
    if tuple(images.shape[1:3]) == tuple(size):
        return images
    reference = np.zeros((1, *size, 1), np.float32)
    return np.asarray(keras.ops.convert_to_numpy(ResizeTo(dtype="float32")(images, reference)))


def mirrored_window(image: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
    """Return `image[top:top + height, left:left + width]`, float32; beyond the border the image is mirrored.

    Only the rows and columns needed are read, so `image` may be a map of a file. Offsets may be negative.
    """
    rows = _mirrored(top, height, image.shape[0])
    columns = _mirrored(left, width, image.shape[1])
    first_row, first_column = rows.min(), columns.min()
    block = np.asarray(image[first_row:rows.max() + 1, first_column:columns.max() + 1], np.float32)
    if block.shape[:2] == (height, width) and rows[0] == first_row and columns[0] == first_column:
        return block
    return block[rows - first_row][:, columns - first_column]  # [height, width, C]


def _mirrored(start, length, size):
    """Return the indices `start … start + length - 1` folded into `[0, size)`; the border pixel is not repeated."""
    if size == 1:
        return np.zeros(length, int)
    position = np.arange(start, start + length) % (2 * size - 2)
    return np.minimum(position, 2 * size - 2 - position)


def _from_file(path, channels, name, pixel_range):
    numbers, decodable = path.lower().endswith(".npy"), channels in (1, 3)
    if numbers or "://" not in path:
        checks.existing_file(name, path)
    if numbers:
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except npy.FAILURES as failure:
            raise ValueError(checks.sentence(name, "must be a .npy file of numbers", path,
                                             "It is damaged, holds objects, or is of another kind.")) from failure
    if nifti.is_volume(path):
        return _from_volume(path, channels, name, pixel_range)
    scene = scene_in(path, channels)
    if scene is not None:
        return _of_scene(scene, pixel_range)
    if pixel_range is not None:
        with limits.any_size():
            return upright(*decode.stored_photograph(path, channels))
    if "://" not in path:
        try:
            with limits.any_size(), Image.open(path) as picture:  # the caller asked for this file, however large
                decodable = decodable and picture.width * picture.height <= limits.LARGE
                if not decodable:
                    limits.refuse_hollow(picture, os.path.getsize(path))
                    return upright(*_from_picture(picture, channels, None))
        except decode.DECODER_FAILURES as failure:
            if not decodable:
                raise ValueError(decode.unreadable(name, path, failure)) from failure
    stored, orientation = decode.stored_photograph(path, channels)  # which says, too, what is wrong with the file
    return upright(as_pixels(stored, None, path, "pixel_range", _NO_RANGE), orientation)


def _from_volume(path, channels, name, pixel_range):
    """Return the slices of a volume, a batch `[slices, H, W, channels]`."""
    try:
        numbers = formats.in_bands(nifti.read(path), channels, path)
    except formats.BrokenFile as failure:
        raise ValueError(decode.unreadable(name, path, failure)) from failure
    return numbers if pixel_range is not None else as_pixels(numbers, None, path, "pixel_range", _NO_RANGE)


def _of_scene(scene, pixel_range):
    """Return the image of a scene; without a range its numbers must be of 8 bits, which a look at it shows."""
    if pixel_range is None and scene.dtype != np.uint8:
        steps = [max(1, side // 512) for side in scene.shape[:2]]
        as_pixels(scene[::steps[0], ::steps[1]], None, scene.path, "pixel_range", _NO_RANGE)
        pixel_range = PixelRange.of((0, 65535))  # of 16 bits that are 8 times 257
    return StoredImage(scene, pixel_range, scene)


def _from_picture(picture, channels, pixel_range):
    """Return (numbers or pixels, the EXIF orientation that they are still to be turned by) of a PIL image."""
    pixels = _numbers_of(picture, channels, pixel_range)
    return pixels, exif_orientation(picture)  # Pillow turns a TIFF file while loading, and then says none


def _numbers_of(picture, channels, pixel_range):
    if picture.mode.startswith(("I", "F")):
        numbers = formats.in_bands(np.asarray(picture)[..., None], channels, "the picture")
        return numbers if pixel_range is not None else as_pixels(numbers, None, "the picture", "pixel_range", _NO_RANGE)
    if channels not in (1, 3):
        return np.asarray(picture)
    limits.refuse_unknown_inks(picture)
    wanted = "RGB" if channels == 3 else "L"
    pixels = np.empty((picture.height, picture.width, channels), np.uint8)
    rows = max(1, _STRIP // picture.width)
    for top in range(0, picture.height, rows):  # Pillow makes two copies more of what it hands over at once
        strip = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        pixels[top:top + rows] = np.asarray(strip.convert(wanted)).reshape(-1, picture.width, channels)
    return pixels


def _warn_of_orientation(orientation, name):
    if orientation not in (None, 1):
        warnings.warn(checks.sentence(
            name, "are taken as they lie in memory, and this PIL image is to be shown turned", f"EXIF orientation "
            f"{orientation}", "Pass its path, or PIL.ImageOps.exif_transpose(image), to have it segmented upright."),
            stacklevel=4)


def _check_bands(pixels, channels, name):
    legal = f"must be pixels [H, W, {channels}]"
    if name == "images":
        legal += f" or a batch [B, H, W, {channels}]"
    if pixels.ndim == 4 and pixels.shape[-1] == channels:
        raise ValueError(checks.sentence(name, legal, pixels.shape, "Pass the images of the batch one by one."))
    if pixels.ndim == 3 and pixels.shape[-1] == channels and min(pixels.shape) > 0:
        return
    if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[-1] == 1 and channels != 1):
        raise ValueError(checks.sentence(
            name, legal, pixels.shape, "This is the shape of a label map: pass the image it belongs to. A grey image "
            f"goes to a model of {channels} channels as its file, or repeated {channels} times."))
    raise ValueError(checks.sentence(
        name, legal, pixels.shape, f"The model takes {channels} bands: choose these, or build it with `in_channels`."))
