"""Image and label files to NumPy arrays, by Pillow; every failure names the file and its likely cause.

TensorFlow's decoders are not used for files in general: they read palette masks as colours, 16-bit masks as their
high byte and 2-bit masks stretched to 0..255, all silently, and their errors do not name the file. What most files are
goes the fastest way to the same values (`plain_files`).
"""

import contextlib
import io
import typing

import cv2
import numpy as np
from PIL import Image

from kseg import checks
from kseg.data import filesystems, formats, label_arrays, label_ids, limits, mask_values
from kseg.data.colours import Colours
from kseg.data.orientation import exif_orientation, loaded_as_stored
from kseg.data.pixel_range import PixelRange, as_pixels
from kseg.data.plain_files import DECODER_FAILURES, by_opencv, is_plain_jpeg, is_plain_png, wrong_part


def read_pixels(image: str | bytes, channels: int = 3, strict: bool = False, shown: str | None = None,
                pixel_range: PixelRange | None = None) -> np.ndarray:
    """Return an image file as pixels 0–255 `[H, W, channels]`: uint8, or float32 with a `pixel_range`.

    RGB for 3 channels, grey for 1; for other numbers the file must have as many bands. For 1 and 3 an alpha channel is
    dropped; EXIF orientation is not applied (`read_photograph` tells it). The format is read from the content, so a
    wrong extension does no harm. With a `pixel_range` numbers of any type keep their full resolution; those of 8 bits
    are scaled by it as any others.

    Args:
        image: str, the path of a file in a format that Pillow or `kseg.data.formats` reads, or bytes, its content.
        channels: int.
        strict: bool, decode by Pillow alone: OpenCV, which is faster, lets a JPEG pass whose middle is garbage.
        shown: str or None, how messages name bytes.
        pixel_range: `PixelRange` or None, for images of 8 bits.
    Raises:
        ValueError: if the file is empty, truncated, no image, implausibly large, has other bands, or has more than 8
            bits and there is no `pixel_range`.
        FileNotFoundError: if there is no such file.
        ImportError: if the package that reads the format is not installed.
    """
    data, shown = _content("image", image, shown)
    return as_pixels(_numbers_of(data, shown, channels, strict), pixel_range, shown)


def read_stored(image: str | bytes, channels: int = 3, strict: bool = False, shown: str | None = None) -> np.ndarray:
    """Return the numbers in an image file, `[H, W, channels]`, of the type it stores them in.

    NaN in float32 marks pixels that the file says are without data. Arguments and errors as `read_pixels`.
    """
    return _numbers_of(*_content("image", image, shown), channels, strict)


def read_photograph(image: str | bytes, channels: int = 3, strict: bool = False, shown: str | None = None,
                    pixel_range: PixelRange | None = None) -> tuple[np.ndarray, int | None]:
    """Return (the pixels of an image file as they are stored, its EXIF orientation or None); else as `read_pixels`.

    `kseg.data.orientation.upright` turns them.
    """
    stored, orientation = stored_photograph(image, channels, strict, shown)
    return as_pixels(stored, pixel_range, shown or ("<bytes>" if isinstance(image, bytes) else image)), orientation


def stored_photograph(image: str | bytes, channels: int = 3, strict: bool = False,
                      shown: str | None = None) -> tuple[np.ndarray, int | None]:
    """Return (what `read_stored` gives of an image file, its EXIF orientation or None)."""
    data, shown = _content("image", image, shown)
    return _numbers_of(data, shown, channels, strict), exif_orientation(data)


def _numbers_of(data, shown, channels, strict):
    if channels == 3 and not strict and is_plain_jpeg(data):
        array = by_opencv(data, cv2.IMREAD_COLOR_RGB)
        if array is not None:
            return array
    picture = _decoded("image", shown, data) if data.startswith(mask_values.PNG_SIGNATURE) else None
    try:
        numbers = formats.stored_numbers(data, channels, shown)
    except formats.BrokenFile as failure:
        raise ValueError(unreadable("image", shown, failure)) from failure
    if numbers is not None:
        return numbers
    picture = picture or _decoded("image", shown, data)
    if picture.mode.startswith(("I", "F")):
        return formats.in_bands(np.asarray(picture)[..., None], channels, shown)
    return in_channels(picture, channels, shown)


def in_channels(picture: Image.Image, channels: int, shown: typing.Any) -> np.ndarray:
    """Return a picture of 8 bits as uint8 `[H, W, channels]`: RGB for 3, grey for 1, else its own bands."""
    try:
        if channels in (1, 3):
            limits.refuse_unknown_inks(picture)
            return np.asarray(picture.convert("RGB")) if channels == 3 else to_grey(picture)
    except DECODER_FAILURES as failure:
        raise ValueError(unreadable("image", shown, failure)) from failure
    bands = np.asarray(picture)
    return formats.in_bands(bands if bands.ndim == 3 else bands[..., None], channels, shown)


def image_size(image: str | bytes, shown: str | None = None) -> tuple[int, int]:
    """Return (height, width), in pixels, of an image file: of one that Pillow opens, by its header alone.

    Raises:
        ValueError, FileNotFoundError: as `read_pixels`, and the arguments too.
    """
    if isinstance(image, str) and "://" in image:
        image, shown = filesystems.read_bytes(image), image
    try:
        with Image.open(io.BytesIO(image) if isinstance(image, bytes) else image) as picture:
            return picture.height, picture.width
    except FileNotFoundError as failure:
        raise FileNotFoundError(_no_file("image", image)) from failure
    except DECODER_FAILURES as failure:
        data, shown = _content("image", image, shown)
        with contextlib.suppress(formats.BrokenFile):
            if data.startswith(mask_values.PNG_SIGNATURE):  # OpenCV would go by a header that Pillow refuses
                raise formats.BrokenFile
            numbers = formats.stored_numbers(data, None, shown)
            if numbers is not None:
                return numbers.shape[:2]
        raise ValueError(unreadable("image", shown, failure)) from failure


def to_grey(picture: Image.Image) -> np.ndarray:
    """Return a picture of any mode that Pillow turns grey as uint8 `[H, W, 1]`, by the luminance of ITU-R BT.601."""
    return np.asarray(picture.convert("L"))[..., None]  # [H, W, 1]


def read_labels(path: str | bytes, table: np.ndarray, classes: int, colours: Colours | None = None,
                shown: str | None = None) -> np.ndarray:
    """Return a label file as class ids, uint8 `[H, W]`, 255 where ignored.

    Args:
        path: str or bytes (content), a lossless file: indexed (its indices are the stored values), grey of 1 to 16
            bits, RGB, or an array (`.npy`, `.npz`).
        table: int16 `[256]`, stored value → class id (`kseg.data.label_ids`).
        classes: int, number of classes.
        colours: `kseg.data.colours.Colours` or None, by which RGB files are read.
        shown: str or None, how messages name bytes.
    Raises:
        ValueError: if the file is unreadable or lossy, has transparent pixels, or holds a value that is no class.
        FileNotFoundError: if there is no such file.
    """
    mask, shown = read_mask(path, colours is not None and colours.alone, shown), shown or path
    if colours is not None and mask.ndim == 3:
        return colours.class_ids(mask, shown)
    return label_ids.to_class_ids(mask_values.without_colours(mask, shown), table, shown, classes)


def read_stored_values(path: str | bytes, shown: str | None = None) -> np.ndarray:
    """Return the values a label file stores, integers `[H, W]`, before any table. Arguments as above."""
    return mask_values.without_colours(read_mask(path, shown=shown), shown or path)


def read_mask(path: str | bytes, by_colour: bool = False, shown: str | None = None) -> np.ndarray:
    """Return what a label file stores: integers `[H, W]`, or colours uint8 `[H, W, 3]`.

    Args:
        path, shown: as `read_labels`.
        by_colour: bool, whether indexed and grey files too are given in colours.
    """
    data, shown = _content("labels", path, shown)
    mask = label_arrays.read(data, shown)
    if mask is None:
        mask = _mask_of_picture(data, shown, by_colour)
    return mask_values.in_colours(mask) if by_colour else mask


def _mask_of_picture(data, shown, by_colour):
    if is_plain_png(data):
        array = by_opencv(data, cv2.IMREAD_GRAYSCALE)
        if array is None:  # Pillow would make rows that are missing 0, a class
            raise ValueError(unreadable("labels", shown, "not enough rows of pixels"))
        return array
    picture = _decoded("labels", shown, data)
    if picture.format in ("JPEG", "MPO"):
        raise ValueError(checks.sentence(
            "labels", "must be stored without loss; JPEG blurs class ids", shown,
            "Write masks again from their source as PNG."))
    try:
        return mask_values.stored_values(picture, data, shown, by_colour)
    except OSError as failure:
        raise ValueError(unreadable("labels", shown, failure)) from failure


def _content(name, path, shown=None):
    """Return (bytes, how messages name them) of a file, or of bytes that are given instead of its path."""
    if isinstance(path, bytes):
        return path, shown or "<bytes>"
    try:
        data = filesystems.read_bytes(path)
    except FileNotFoundError as failure:
        raise FileNotFoundError(_no_file(name, path)) from failure
    except OSError as failure:  # a symbolic link that loops, a folder, no permission, a failing disk
        raise ValueError(unreadable(name, path, failure)) from failure
    if not data:
        raise ValueError(checks.sentence(name, "must be an image file; this one has no bytes", path,
                                         "Copy it again or remove the pair."))
    return data, path


def _no_file(name, path):
    return checks.sentence(name, "must be the path of a file", path, "Check the spelling of the path.")


def _decoded(name, path, data):
    try:
        picture = Image.open(io.BytesIO(data))
        limits.refuse_hollow(picture, len(data))
        picture = loaded_as_stored(picture)
        if data.startswith(mask_values.PNG_SIGNATURE) and (wrong := wrong_part(data)) is not None:
            raise ValueError(f"wrong checksum of part {wrong!r}")
    except DECODER_FAILURES as failure:
        raise ValueError(unreadable(name, path, failure)) from failure
    return picture


def unreadable(name: str, path: typing.Any, failure: BaseException | str) -> str:
    """Return the sentence about an image file that a decoder refused with `failure`."""
    said = str(failure).split("<_io")[0].strip().rstrip(".") or type(failure).__name__
    return checks.sentence(name, "must be a complete image file", path,
                           f"The decoder says: {said}. Copy it again or remove the pair.")
