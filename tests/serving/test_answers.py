"""Label maps that do not belong to their image, or were damaged on their way, are not given on."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kseg.serving import ServingError
from kseg.serving.answers import picture
from tests.conftest import structured_image

LABELS = (np.arange(63) % 7).reshape(7, 9).astype(np.uint8)


def encoded(array, kind="PNG", **options):
    content = io.BytesIO()
    Image.fromarray(array).save(content, kind, **options)
    return content.getvalue()


SENT, FILE = encoded(structured_image(7, 9)), encoded(LABELS)


def test_whole_answers():
    np.testing.assert_array_equal(picture(FILE, SENT, False), LABELS)
    np.testing.assert_array_equal(picture([FILE, FILE], SENT, False), np.stack([LABELS, LABELS], -1))
    np.testing.assert_array_equal(picture(SENT, SENT, True), structured_image(7, 9))


def test_the_server_turns_images_by_their_exif_data():
    exif = Image.Exif()
    exif[274] = 6
    assert picture(FILE, encoded(structured_image(9, 7), "JPEG", exif=exif), False).shape == (7, 9)


def test_a_format_that_the_server_alone_knows():
    np.testing.assert_array_equal(picture(FILE, b"anything", False), LABELS)


def test_an_answer_of_another_size():
    with pytest.raises(ServingError) as caught:
        picture(FILE, encoded(structured_image(8, 9)), False)
    assert str(caught.value) == ("The server answered 7×9 pixels to an image of 8×9: something between here and the "
                                 "model mixes up answers, or damages them.")


def test_a_bomb_is_not_unpacked():
    head = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)
    bomb = FILE[:16] + head + struct.pack(">I", zlib.crc32(b"IHDR" + head)) + FILE[33:]
    with pytest.raises(ServingError, match="2147483647×2147483647 pixels to an image of 7×9"):
        picture(bomb, SENT, False)
    with pytest.raises(ServingError, match="not the PNG file that was asked for"):
        picture(bomb, b"anything", False)


@pytest.mark.parametrize("place", [50, 60, len(FILE) - 14])
def test_a_changed_bit_of_the_labels(place):
    damaged = bytearray(FILE)
    damaged[place] ^= 1
    with pytest.raises(ServingError, match="not the PNG file that was asked for: .+ Serve a model exported"):
        picture(bytes(damaged), SENT, False)


@pytest.mark.parametrize("answer, colour", [
    (b"", False), (b"no file", False), (FILE[:40], False), (FILE[:-20], False), ([], False), ([FILE, b""], False),
    (SENT, False), (FILE, True), ([FILE], True), ([SENT], False), (encoded(LABELS > 3), False)])
def test_answers_of_another_kind(answer, colour):
    with pytest.raises(ServingError, match="not the PNG file that was asked for: "):
        picture(answer, SENT, colour)
