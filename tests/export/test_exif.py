"""EXIF orientation inside the graph, against Pillow."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from kseg.data.orientation import exif_orientation
from kseg.export import exif, image_bytes
from tests.conftest import structured_image

ORIENTATION = tf.function(exif.orientation, input_signature=[tf.TensorSpec([], tf.string)])
DECODE = tf.function(lambda content: image_bytes.decode(content, 3), input_signature=[tf.TensorSpec([], tf.string)])


def encoded(kind, orientation, endian="<", pixels=None, **options):
    data = Image.Exif()
    data.endian = endian
    data[271] = "a maker with a long name"
    if orientation is not None:
        data[274] = orientation
    data[305] = "x" * 50
    content = io.BytesIO()
    Image.fromarray(structured_image(24, 40) if pixels is None else pixels).save(content, kind, exif=data, **options)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_images_are_decoded_upright(kind, endian):
    for orientation in range(1, 9):
        content = encoded(kind, orientation, endian, icc_profile=b"a profile " * 300)
        assert int(ORIENTATION(content)) == orientation
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
        np.testing.assert_array_equal(DECODE(content), expected, err_msg=str(orientation))


def test_other_images_are_as_they_are_stored():
    for kind in ("JPEG", "PNG", "BMP", "GIF"):
        content = io.BytesIO()
        Image.fromarray(structured_image(24, 40)).save(content, kind)
        assert int(ORIENTATION(content.getvalue())) == 1
        assert DECODE(content.getvalue()).shape == (24, 40, 3)
    for orientation in (None, 0, 9, 300):
        assert int(ORIENTATION(encoded("JPEG", orientation))) == 1
    assert int(ORIENTATION(b"")) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_metadata_end_the_search(kind):
    """Any byte of the metadata may be any other, and the file may end anywhere: an orientation comes back, no error."""
    content = encoded(kind, 6, pixels=structured_image(8, 8))
    random = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(content)
        for place in random.integers(2, 150, 3):
            damaged[place] = random.integers(0, 256)
        for data in (bytes(damaged), content[:random.integers(0, 200)]):
            assert 1 <= int(ORIENTATION(data)) <= 8


@pytest.mark.filterwarnings("ignore:Tag data larger than file", "ignore:Truncated File Read")
@pytest.mark.parametrize("place, value", [(4, 1), (5, 255), (6, 93), (8, 1), (17, 0x83), (18, 0x20), (20, 255)])
def test_a_damaged_orientation_is_none_as_for_pillow(place, value):
    data = Image.Exif()
    data.endian = ">"
    data[274] = 6
    content = io.BytesIO()
    Image.fromarray(structured_image(8, 16)).save(content, "JPEG", exif=data)
    damaged = bytearray(content.getvalue())
    start = damaged.index(b"Exif\0\0MM\0*")
    assert int(ORIENTATION(bytes(damaged))) == 6
    assert damaged[start + place] != value
    damaged[start + place] = value
    assert int(ORIENTATION(bytes(damaged))) == (exif_orientation(bytes(damaged)) or 1) == 1
