"""Masks that annotation tools store pixel by pixel: PNG as base64 text, and two kinds of run lengths.

`height` and `width` are those of the picture, which an image file has: no mask may be larger, and nothing larger is
allocated. `where` is how messages name the annotation.
"""

import base64
import io
import typing
import zlib

import numpy as np
from PIL import Image

from kseg import checks
from kseg.data import decode, drawing
from kseg.data.mask_values import PNG_SIGNATURE

_AGAIN = "Export the annotations again, or remove this one."
_HEADER_BITS = 32 + 5 + 4 * 4  # of Label Studio's stream
_SIDE_DATA = 1 << 16  # bytes that a PNG may have besides its pixels


def placed(class_id: int, mask: np.ndarray, top: int, left: int, height: int, width: int,
           where: str) -> drawing.Region:
    """Return the `Region` of a mask, bool `[h, w]`, that begins at row `top` and column `left`, cut to the picture.

    Raises:
        ValueError: if it lies wholly outside the picture.
    """
    rows = slice(max(top, 0), max(min(top + mask.shape[0], height), 0))
    columns = slice(max(left, 0), max(min(left + mask.shape[1], width), 0))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        raise ValueError(checks.sentence(
            "mask", f"must have a part of the picture, which is {height} pixels high and {width} wide, in {where}",
            {"top": top, "left": left, "height": mask.shape[0], "width": mask.shape[1]}, _AGAIN))
    return drawing.Region(class_id, mask[rows.start - top:rows.stop - top, columns.start - left:columns.stop - left],
                          rows.start, columns.start)


def png_mask(text: typing.Any, height: int, width: int, where: str, compressed: bool = False) -> np.ndarray:
    """Return the pixels of a PNG that are not 0, or if it has an alpha channel those not transparent, bool `[h, w]`.

    Args:
        text: str, the file as base64; with `compressed`, packed by zlib before.
    Raises:
        ValueError: if it is no whole PNG, or larger than the picture.
    """
    try:
        data = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError as failure:
        raise ValueError(checks.sentence("mask", f"must be a PNG as base64 text in {where}", text,
                                         f"The decoder says: {failure}. {_AGAIN}")) from failure
    data = _inflated(data, 5 * height * width + _SIDE_DATA, where) if compressed else data
    size = tuple(int.from_bytes(data[place:place + 4], "big") for place in (20, 16))
    if not data.startswith(PNG_SIGNATURE) or size[0] > height or size[1] > width:
        raise ValueError(checks.sentence(
            "mask", f"must be a PNG of at most the picture's {height} × {width} pixels in {where}",
            f"{size[0]} × {size[1]}" if data.startswith(PNG_SIGNATURE) else text, _AGAIN))
    if data[25] in (4, 6):  # grey or RGB, with alpha
        return _alpha(data, where) != 0
    return decode.read_stored_values(data, shown=where) != 0


def _inflated(data, most, where):
    """Return what zlib packed, if it is whole and no longer than `most` bytes."""
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(data, most)
    except zlib.error as failure:
        raise ValueError(checks.sentence("mask", f"must be a PNG packed by zlib in {where}", data[:20],
                                         f"zlib says: {failure}. {_AGAIN}")) from failure
    if not unpacking.eof:
        raise ValueError(checks.sentence(
            "mask", f"must be a whole PNG, packed by zlib, of at most {most} bytes in {where}",
            f"{len(unpacked)} bytes and more", _AGAIN))
    return unpacked


def _alpha(data, where):
    try:
        return np.asarray(Image.open(io.BytesIO(data)).getchannel("A"))
    except decode.DECODER_FAILURES as failure:
        raise ValueError(decode.unreadable("mask", where, failure)) from failure


def row_runs_mask(runs: typing.Any, height: int, width: int, where: str) -> np.ndarray:
    """Return the pixels that CVAT's run lengths give, bool `[H, W]`: along the rows, pixels that are outside first.

    Args:
        runs: str, numbers with commas between them.
        height, width: int, of the mask, which is part of a picture.
    Raises:
        ValueError: if they are not numbers of pixels, or do not add up to the mask.
    """
    try:
        counts = np.array(runs.split(","), np.int64)
    except (ValueError, OverflowError) as failure:
        raise ValueError(checks.sentence("rle", f"must be whole numbers with commas between them in {where}", runs,
                                         _AGAIN)) from failure
    return drawing.rle_mask(counts, width, height, where).T  # [H, W]


def brush_mask(runs: typing.Any, height: int, width: int, where: str) -> np.ndarray:
    """Return the pixels that Label Studio's brush has painted, bool `[H, W]`.

    Its stream of bits, the highest of a byte first, packs the bytes red, green, blue and alpha of each pixel; where
    alpha is not 0, it was painted. First come 32 bits, how many values follow; 5 bits, the bits of a value less one;
    and four times 4 bits, the lengths of counts less one. The packets after it have 1 bit, whether a value is repeated;
    2 bits, which of the four lengths the count has; the count less one; and the value, or as many as the count says.

    Args:
        runs: bytes, or list of int, the stream.
    Raises:
        ValueError: if they are no bytes, end early, or are not four values for each pixel of the picture.
    """
    try:
        stream = _Bits(bytes(runs if isinstance(runs, (list, bytes)) else [None]))
    except (TypeError, ValueError) as failure:
        raise ValueError(checks.sentence("rle", f"must be a list of bytes in {where}", runs, _AGAIN)) from failure
    try:
        values, bits = stream.number(32), stream.number(5) + 1
        lengths = [stream.number(4) + 1 for _ in range(4)]
        if values != 4 * height * width:
            raise ValueError(checks.sentence(
                "rle", f"must have 4 values for each of the picture's {height} × {width} pixels in {where}", values,
                "Pair it with the image it was painted on."))
        return _painted(stream, height * width, bits, lengths).reshape(height, width)
    except EOFError as failure:
        raise ValueError(checks.sentence("rle", f"must be whole in {where}; it ends in the middle",
                                         f"{len(runs)} bytes", _AGAIN)) from failure


def _painted(stream, pixels, bits, lengths):
    """Return whether alpha, the last of four values, is not 0, bool `[pixels]`."""
    painted, place = np.zeros(pixels, bool), 0
    while place < 4 * pixels:
        repeated = stream.number(1)
        end = place + stream.number(lengths[stream.number(2)]) + 1
        if repeated:
            painted[place // 4:end // 4] = stream.number(bits) != 0
        else:
            values = stream.are_not_zero(end - place, bits)[3 - place % 4::4]
            painted[place // 4:end // 4] = values[:pixels - place // 4]  # the last count may go beyond the picture
        place = end
    return painted


class _Bits:
    """A stream of bits; reading beyond its end raises EOFError."""

    def __init__(self, data):
        self._data, self._place = data, 0

    def number(self, bits):
        """Return the next number, of so many bits."""
        first, self._place = self._place, self._place + bits
        after = -(-self._place // 8)
        if after > len(self._data):
            raise EOFError
        return int.from_bytes(self._data[first // 8:after], "big") >> (8 * after - self._place) & ((1 << bits) - 1)

    def are_not_zero(self, count, bits):
        """Return which of the next numbers, each of so many bits, are not 0, bool `[count]`."""
        first, self._place = self._place, self._place + count * bits
        if self._place > 8 * len(self._data):
            raise EOFError
        some = np.frombuffer(self._data, np.uint8)[first // 8:-(-self._place // 8)]
        unpacked = np.unpackbits(some)[first % 8:first % 8 + count * bits]
        return unpacked.reshape(count, bits).any(axis=1)
