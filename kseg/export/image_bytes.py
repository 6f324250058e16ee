"""Encoded images to label maps and their pictures, inside the TensorFlow graph."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from kseg.export import exif
from kseg.tasks import Task

_PNG_BITS = 24  # where a PNG says how many a number has
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF8")


def decode(content: tf.Tensor, channels: int, as_stored: bool = False) -> tf.Tensor:
    """Return one encoded image (scalar string) as uint8 `[H, W, channels]`, or `as_stored` as float32.

    JPEG (grey, RGB and CMYK), PNG (grey, palette, RGB, with alpha dropped; of 16 bits those that hold 8), BMP, and the
    first frame of a GIF; JPEG and PNG turned upright by their EXIF orientation, as viewers show them. Anything else, or
    a truncated file, raises InvalidArgumentError, which TensorFlow Serving answers as status 400 with its text.
    """
    start = [tf.strings.substr(content, 0, tf.minimum(len(mark), tf.strings.length(content))) for mark in _SIGNATURES]
    known = tf.reduce_any([piece == mark for piece, mark in zip(start, _SIGNATURES)])
    message = ("`image_bytes` must be a JPEG, PNG, BMP or GIF file; send the bytes of the file itself, over REST as "
               "{\"b64\": ...}. Bytes received:")
    with tf.control_dependencies([tf.debugging.Assert(known, [message, tf.strings.length(content)])]):
        content = tf.identity(content)

    def png():  # decoded to 16 bits, a file of 8 would have its numbers stretched
        bits = tf.strings.substr(content, tf.minimum(_PNG_BITS, tf.strings.length(content)), 1)
        return tf.cond(bits == b"\x10",
                       lambda: kept(_of_16_bits(content, channels, as_stored)),
                       lambda: kept(tf.io.decode_png(content, channels=channels)))

    def kept(pixels):
        return tf.cast(pixels, tf.float32) if as_stored else pixels

    # TensorFlow's default inverse DCT is off by a grey level or two from the one that reads the training images.
    pixels = tf.case([
        (start[0] == _SIGNATURES[0],
         lambda: kept(tf.io.decode_jpeg(content, channels=channels, dct_method="INTEGER_ACCURATE"))),
        (start[1] == _SIGNATURES[1], png),
    ], default=lambda: kept(_with_bands(tf.io.decode_image(content, expand_animations=False), channels)))
    photograph = tf.reduce_any([start[0] == _SIGNATURES[0], start[1] == _SIGNATURES[1]])
    pixels = tf.cond(photograph, lambda: exif.upright(pixels, content), lambda: pixels)
    return tf.ensure_shape(pixels, [None, None, channels])  # [H, W, channels]


def _of_16_bits(content, channels, as_stored):
    """Return the numbers of a PNG of 16 bits, uint16, or uint8 for a model trained on 8 bits.

    For that they must be 8-bit numbers times 257, as converters write them: 12 bits would become all but black.
    """
    stored = tf.io.decode_png(content, channels=channels, dtype=tf.uint16)
    if as_stored:
        return stored
    numbers = tf.cast(stored, tf.int32)
    whole = tf.reduce_all(numbers % 257 == 0)
    message = "`image_bytes` must hold 8 bits, on which this model was trained; this PNG holds 16, up to"
    with tf.control_dependencies([tf.debugging.Assert(whole, [message, tf.reduce_max(numbers)])]):
        return tf.cast(numbers // 257, tf.uint8)


def _with_bands(pixels, channels):
    """Return pixels `[H, W, 1, 3 or 4]` as `[H, W, channels]`: TensorFlow gives a BMP or GIF in its own bands alone."""
    pixels = tf.ensure_shape(pixels, [None, None, None])
    grey = tf.shape(pixels)[-1] == 1
    if channels == 3:
        return tf.cond(grey, lambda: tf.image.grayscale_to_rgb(pixels[..., :1]), lambda: pixels[..., :3])
    return tf.cond(grey, lambda: pixels, lambda: tf.image.rgb_to_grayscale(pixels[..., :3]))


def segment(pixels: tf.Tensor, labels_of: Callable[[tf.Tensor], tf.Tensor], image_size: Sequence[int | None],
            maximum_side: int) -> tf.Tensor:
    """Return the labels of one image `[H, W, channels]` at the image's own size, uint8 `[H, W, 1]`.

    `labels_of` is given float32 pixels `[1, h, w, channels]` and answers uint8 `[1, h, w]`, or `[1, h, w, classes]`,
    where the result is `[H, W, classes]`. Where `image_size` fixes a side, that is taken; else the image keeps its size
    up to `maximum_side` pixels on its longer side, beyond which it is scaled down in proportion.
    """
    size = tf.shape(pixels)[:2]
    factor = tf.minimum(1.0, maximum_side / tf.cast(tf.reduce_max(size), tf.float32))
    inner = tf.maximum(1, tf.cast(tf.round(tf.cast(size, tf.float32) * factor), tf.int32))
    inner = tf.stack([inner[axis] if side is None else side for axis, side in enumerate(image_size)])
    same = tf.reduce_all(inner == size)
    scaled = tf.cond(same, lambda: tf.cast(pixels, tf.float32),
                     lambda: tf.image.resize(pixels, inner, antialias=True))
    scaled = tf.ensure_shape(scaled, [*image_size, pixels.shape[-1]])
    labels = labels_of(scaled[None])[0]
    labels = labels if labels.shape.rank == 3 else labels[..., None]  # [h, w, 1 or classes]
    return tf.cond(same, lambda: labels, lambda: tf.image.resize(labels, size, method="nearest"))


def painter(palette: npt.ArrayLike, task: Task) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function from labels, as `segment` gives them, to their colours, uint8 `[H, W, 3]`.

    A pixel of several classes has the mean of their colours, one of none is black, as `kseg.pictures` paints.
    """
    colours = np.asarray(palette)
    if not task.stacked:
        return lambda labels: tf.gather(tf.constant(colours, tf.uint8), tf.cast(labels[..., 0], tf.int32))

    def mean_colour(labels):
        present = tf.cast(labels, tf.float32)
        count = tf.maximum(tf.reduce_sum(present, -1, keepdims=True), 1.0)
        return tf.cast(tf.round(tf.tensordot(present, tf.constant(colours, tf.float32), 1) / count), tf.uint8)

    return mean_colour
