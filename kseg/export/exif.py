"""EXIF orientation of encoded images, inside the TensorFlow graph, whose decoders pass over it."""

import tensorflow as tf

_HEAD = 1 << 18  # bytes of a file that are searched: metadata stand in front of the pixels
_ORIENTATION, _ENTRY = 0x0112, 12  # tag and bytes of an entry in a directory of TIFF
_SHORT, _LONG = 3, 4  # types of an entry, of 2 and 4 bytes
_MARKS = (b"MM\0*", b"II*\0")  # the first bytes of TIFF, most or least significant byte first


def upright(pixels: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
    """Return decoded pixels `[H, W, C]` of a JPEG or PNG file (scalar string) turned as viewers show them.

    A file without EXIF data, or with damaged ones, is left as it is.
    """
    number = orientation(content)
    pixels = tf.cond(number >= 5, lambda: tf.transpose(pixels, [1, 0, 2]), lambda: pixels)
    rows, columns = (tf.reduce_any(number == list(those)) for those in ((3, 4, 7, 8), (2, 3, 6, 7)))
    pixels = tf.cond(rows, lambda: pixels[::-1], lambda: pixels)
    return tf.cond(columns, lambda: pixels[:, ::-1], lambda: pixels)


def orientation(content: tf.Tensor) -> tf.Tensor:
    """Return the EXIF orientation of a JPEG or PNG file (scalar string), int32 from 1 to 8, 1 if it has none."""
    length = tf.minimum(tf.strings.length(content), _HEAD)
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(content, 0, length), tf.uint8), tf.int32)  # [length]
    head = tf.pad(head, [[0, 16]])
    place = tf.cond(head[0] == 0x89, lambda: _in_png(head, length), lambda: _in_jpeg(head, length))
    return tf.cond(place > 0, lambda: _of_tiff(head, place), lambda: tf.constant(1))


def _in_jpeg(head, length):
    """Return where the TIFF data of an APP1 segment "Exif" begin, or 0 if there is none."""
    def is_exif(place):
        return (head[place + 1] == 0xE1) & tf.reduce_all(head[place + 4:place + 10] == list(b"Exif\0\0"))

    def further(place):
        return (place < length) & (head[place] == 0xFF) & (head[place + 1] != 0xDA) & ~is_exif(place)

    def step(place):
        size = 2 + tf.maximum(2, head[place + 2] * 256 + head[place + 3])
        filler = head[place + 1] == 0xFF
        return (tf.minimum(length, place + tf.where(filler, 1, size)),)

    place, = tf.while_loop(further, step, [tf.minimum(length, 2)])
    return tf.where((place < length) & (head[place] == 0xFF) & is_exif(place), place + 10, 0)


def _in_png(head, length):
    """Return where the content of the part "eXIf" begins, or 0 if there is none in front of the pixels."""
    def is_kind(place, kind):
        return tf.reduce_all(head[place + 4:place + 8] == list(kind))

    def further(place):
        return (place < length) & ~is_kind(place, b"eXIf") & ~is_kind(place, b"IDAT")

    def step(place):
        size = (head[place + 1] * 256 + head[place + 2]) * 256 + head[place + 3]  # of more, past the end
        return (tf.minimum(length, tf.where(head[place] == 0, place + 12 + size, length)),)

    place, = tf.while_loop(further, step, [tf.minimum(length, 8)])
    return tf.where((place < length) & is_kind(place, b"eXIf"), place + 8, 0)


def _of_tiff(head, start):
    """Return the orientation in the first directory of the TIFF data that begin at `start`; 1 if they are damaged."""
    little, end = head[start] == 0x49, tf.shape(head)[0] - 1

    def number(place, count):
        found = [tf.gather(head, tf.clip_by_value(place + index, 0, end)) for index in range(count)]
        most_first = [tf.where(little, one, other) for one, other in zip(found[::-1], found)]
        value = tf.zeros_like(place)
        for byte in most_first:
            value = value * 256 + byte
        return value

    directory = start + tf.clip_by_value(number(start + 4, 4), 0, _HEAD)
    entries = directory + 2 + _ENTRY * tf.range(tf.clip_by_value(number(directory, 2), 0, 512))
    kind, one = number(entries + 2, 2), number(entries + 4, 4) == 1
    values = tf.where(kind == _SHORT, number(entries + 8, 2), number(entries + 8, 4))
    legal = (number(entries, 2) == _ORIENTATION) & one & ((kind == _SHORT) | (kind == _LONG))
    value = tf.concat([[1], tf.boolean_mask(values, legal)], 0)[-1]
    whole = tf.reduce_any([tf.reduce_all(head[start:start + 4] == list(mark)) for mark in _MARKS])
    return tf.where(whole & (value >= 1) & (value <= 8), value, 1)
