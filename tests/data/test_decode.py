"""Files to arrays: every kind of mask, and every kind of broken file."""

import concurrent.futures
import io
import os
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from kseg.data import colours, decode, label_ids, limits
from kseg.inference.images import open_image
from kseg.serving.encoding import from_png, to_bytes
from tests.conftest import structured_image

IDS = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
TABLE = label_ids.identity_table(3)


def write(path, array):
    Image.fromarray(array).save(path)
    return str(path)


def png_of_depth(array, depth, colour_type=0):
    """A PNG written by hand, because Pillow writes no grey of 2 or 4 bits."""
    rows = b"".join(b"\0" + np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - depth:].ravel()).tobytes()
                    for row in array)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], depth, colour_type, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_grey_masks_of_every_depth_keep_their_ids(tmp_path, depth):
    ids = np.minimum(IDS, 2 ** depth - 1)
    path = tmp_path / "mask.png"
    path.write_bytes(png_of_depth(ids, depth))
    np.testing.assert_array_equal(decode.read_labels(str(path), TABLE, 3), ids)


def test_indexed_masks_give_indices_not_colours(tmp_path):
    picture = Image.fromarray(IDS).convert("P")
    picture.putdata(IDS.ravel().tolist())
    picture.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    picture.save(tmp_path / "mask.png", bits=2)
    np.testing.assert_array_equal(decode.read_labels(str(tmp_path / "mask.png"), TABLE, 3), IDS)


def test_rgb_masks_are_read_by_the_palette_and_foreign_colours_raise(tmp_path):
    palette = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)
    path = write(tmp_path / "mask.png", palette[IDS])
    named = colours.of_palette([(*colour, index) for index, colour in enumerate(palette.tolist())])
    np.testing.assert_array_equal(decode.read_labels(path, TABLE, 3, named), IDS)
    other = write(tmp_path / "other.png", palette[IDS] + np.uint8(1))
    with pytest.raises(ValueError) as failure:
        decode.read_labels(other, TABLE, 3, named)
    assert str(failure.value) == (
        f"`labels` must use the named colours only; {other!r} has 3 others at 6 of 6 pixels, got labels=[[1, 1, 1], "
        "[1, 129, 1], [129, 1, 1]]. Name them (`name r g b` lines of classes.txt, or label_map={(r, g, b): id}), map "
        'all others by label_map={"other": 255}, or take antialiased rims to the nearest colour by nearest_colour=60.')
    with pytest.raises(ValueError) as failure:
        decode.read_labels(path, TABLE, 3)
    assert str(failure.value) == (
        "`labels` must store class ids, or colours together with a palette; this file stores RGB colours, got "
        f"labels={path!r}. Pass `classes` as a LabelSet with the palette, or list `name r g b` in the folder's "
        "classes.txt.")


def test_grey_stored_as_rgb_and_opaque_alpha_are_read(tmp_path):
    grey = write(tmp_path / "grey.png", np.repeat(IDS[..., None], 3, -1))
    np.testing.assert_array_equal(decode.read_labels(grey, TABLE, 3), IDS)
    opaque = write(tmp_path / "opaque.png", np.stack([IDS, np.full_like(IDS, 255)], -1))
    np.testing.assert_array_equal(decode.read_labels(opaque, TABLE, 3), IDS)


def test_transparent_masks_raise(tmp_path):
    path = write(tmp_path / "mask.png", np.stack([IDS, IDS], -1))
    with pytest.raises(ValueError) as failure:
        decode.read_labels(path, TABLE, 3)
    assert str(failure.value) == (
        f"`labels` must have no transparent pixels, got labels={path!r}. Save the mask without its alpha channel: ids "
        "under transparency are ambiguous.")


def test_16_bit_masks_keep_small_ids_and_raise_on_large_ones(tmp_path):
    path = write(tmp_path / "mask.png", IDS.astype(np.uint16))
    np.testing.assert_array_equal(decode.read_labels(path, TABLE, 3), IDS)
    path = write(tmp_path / "large.png", (IDS.astype(np.uint16) * 1000))
    with pytest.raises(ValueError) as failure:
        decode.read_labels(path, TABLE, 3)
    assert str(failure.value) == (
        f"`labels` must hold class ids 0..2 or 255 (ignore); {path!r} has other ids, got labels=[1000, 2000]. These "
        "look like 16-bit instance or scaled ids: store class ids below 255 in 8 bits.")


def test_jpeg_masks_raise(tmp_path):
    path = write(tmp_path / "mask.jpg", np.zeros((8, 8), np.uint8))
    with pytest.raises(ValueError) as failure:
        decode.read_labels(path, TABLE, 3)
    assert str(failure.value) == (f"`labels` must be stored without loss; JPEG blurs class ids, got labels={path!r}. "
                                  "Write masks again from their source as PNG.")


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_have_the_channels_asked_for(tmp_path, channels):
    for name, array in (("grey.png", IDS), ("rgb.png", np.repeat(IDS[..., None], 3, -1)),
                        ("alpha.png", np.repeat(IDS[..., None], 4, -1)), ("deep.png", IDS.astype(np.uint16) * 257)):
        pixels = decode.read_pixels(write(tmp_path / name, array), channels)
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, np.repeat(IDS[..., None], channels, -1))


def test_16_bit_pixels_are_scaled(tmp_path):
    path = write(tmp_path / "deep.png", np.array([[0, 65535, 257 * 100]], np.uint16))
    np.testing.assert_array_equal(decode.read_pixels(path, 1)[..., 0], [[0, 255, 100]])


def test_content_decides_the_format_and_names_may_hold_anything(tmp_path):
    folder = tmp_path / "mit Leerzeichen · 街路"
    folder.mkdir()
    data = io.BytesIO()
    Image.fromarray(IDS).save(data, "PNG")
    (folder / "straße 1.jpg").write_bytes(data.getvalue())
    np.testing.assert_array_equal(decode.read_pixels(str(folder / "straße 1.jpg"), 1)[..., 0], IDS)
    np.testing.assert_array_equal(decode.read_labels(str(folder / "straße 1.jpg"), TABLE, 3), IDS)


def test_truncated_jpeg_raises(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="`image` must be a complete image file, got image='.*a.jpg'. The decoder "
                                         "says: image file is truncated .*. Copy it again or remove the pair."):
        decode.read_pixels(str(path))


def test_empty_missing_and_foreign_files_raise(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"")
    with pytest.raises(ValueError) as failure:
        decode.read_pixels(str(path))
    assert str(failure.value) == ("`image` must be an image file; this one has no bytes, got image="
                                  f"{str(path)!r}. Copy it again or remove the pair.")
    path.write_bytes(b"this is no picture")
    with pytest.raises(ValueError) as failure:
        decode.read_pixels(str(path))
    assert str(failure.value) == (f"`image` must be a complete image file, got image={str(path)!r}. The decoder says: "
                                  "cannot identify image file. Copy it again or remove the pair.")
    with pytest.raises(FileNotFoundError) as failure:
        decode.read_pixels(str(tmp_path / "none.jpg"))
    assert str(failure.value) == (f"`image` must be the path of a file, got image={str(tmp_path / 'none.jpg')!r}. "
                                  "Check the spelling of the path.")


def test_png_bomb_raises_before_it_is_decoded(tmp_path):
    data = png_of_depth(np.zeros((1, 8), np.uint8), 8)
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    bomb = data[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + data[33:]
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb)
    for read in (decode.read_pixels, lambda name: decode.read_labels(name, TABLE, 3)):
        with pytest.raises(ValueError, match="must be a complete image file, .* decompression bomb"):
            read(str(path))


@pytest.mark.parametrize("kept", [0, 5, 15])
def test_a_png_whose_parts_are_whole_but_hold_too_few_rows_raises(tmp_path, kept):
    data = png_of_depth(np.kron(IDS, np.ones((8, 8), np.uint8))[:kept], 8) if kept else png_of_depth(IDS[:0], 8)
    whole = png_of_depth(np.kron(IDS, np.ones((8, 8), np.uint8)), 8)
    path = tmp_path / "mask.png"
    path.write_bytes(whole[:33] + data[33:])  # the header says 16 rows
    with pytest.raises(ValueError, match="must be a complete image file, got labels='.*mask.png'"):
        decode.read_labels(str(path), TABLE, 3)


def test_masks_are_read_as_they_are_stored_whatever_their_orientation(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(IDS).save(tmp_path / "mask.png", exif=exif)
    np.testing.assert_array_equal(decode.read_labels(str(tmp_path / "mask.png"), TABLE, 3), IDS)


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_a_changed_byte_in_a_png_raises(tmp_path, mode):
    """Pillow alone would return other ids."""
    path = tmp_path / "mask.png"
    array = np.kron(IDS, np.ones((16, 16), np.uint8))
    Image.fromarray(np.repeat(array[..., None], 3, -1) if mode == "RGB" else array).convert(mode).save(path)
    np.testing.assert_array_equal(decode.read_labels(str(path), TABLE, 3), array)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 12] ^= 0x10
    path.write_bytes(data)
    for read in (decode.read_pixels, lambda name: decode.read_labels(name, TABLE, 3)):
        with pytest.raises(ValueError, match="must be a complete image file, got .*mask.png"):
            read(str(path))


def test_plain_masks_are_read_alike_with_and_without_tensorflow(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow")
    path = write(tmp_path / "mask.png", np.kron(IDS, np.ones((16, 16), np.uint8)))
    with_it = decode.read_labels(path, TABLE, 3)
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # importing it would raise
    np.testing.assert_array_equal(decode.read_labels(path, TABLE, 3), with_it)


def test_symbolic_link_that_loops_raises(tmp_path):
    path = tmp_path / "loop.png"
    os.symlink(path, path)
    with pytest.raises(ValueError, match="`image` must be a complete image file, .*symbolic links"):
        decode.read_pixels(str(path))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"orientation": 6}, {"mode": "L"},
                                     {"mode": "CMYK"}])
def test_every_jpeg_equals_pillows_decoding(tmp_path, options):
    """Plain ones go through OpenCV, which would turn them by their EXIF orientation."""
    options = dict(options)
    picture = Image.fromarray(structured_image(45, 64)).convert(options.pop("mode", "RGB"))
    exif = Image.Exif()
    exif[274] = options.pop("orientation", 1)
    path = tmp_path / "image.jpg"
    picture.save(path, quality=90, exif=exif, **options)
    np.testing.assert_array_equal(decode.read_pixels(str(path)), np.asarray(Image.open(path).convert("RGB")))
    np.testing.assert_array_equal(decode.read_pixels(str(path), 1)[..., 0], np.asarray(Image.open(path).convert("L")))


def test_pillow_may_have_no_limit_of_size(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    image = structured_image(20, 30)
    Image.fromarray(image).save(tmp_path / "image.jpg", quality=95)
    assert np.abs(decode.read_pixels(str(tmp_path / "image.jpg")).astype(int) - image).mean() < 9
    np.testing.assert_array_equal(decode.read_labels(write(tmp_path / "mask.png", IDS), TABLE, 3), IDS)


def test_threads_that_read_leave_each_other_and_the_limit_alone(tmp_path, monkeypatch):
    limit, interval = Image.MAX_IMAGE_PIXELS, sys.getswitchinterval()
    path, image = tmp_path / "image.jpg", structured_image(20, 30)
    Image.fromarray(image).save(path)
    content, expected = to_bytes(image), decode.read_pixels(str(path))

    def read(turn):
        if turn % 2:
            return np.array_equal(from_png(content), image)
        return np.array_equal(open_image(path, 3), expected)

    sys.setswitchinterval(1e-6)
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert all(pool.map(read, range(200)))
        assert Image.MAX_IMAGE_PIXELS == limit
    finally:
        sys.setswitchinterval(interval)
        Image.MAX_IMAGE_PIXELS = limit


def test_any_size_lifts_the_limit_and_restores_it(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    content = to_bytes(structured_image(20, 30))
    with pytest.raises(ValueError, match="decompression bomb"):
        decode.read_pixels(content)
    with limits.any_size():
        assert decode.read_pixels(content).shape == (20, 30, 3)
    assert from_png(content).shape == (20, 30, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_16_bits_that_hold_8_are_reduced_as_a_servable_does():
    """Numbers times 257, as converters write them; a servable decodes by TensorFlow."""
    tensorflow = pytest.importorskip("tensorflow")
    ramp = np.linspace(0, 255, 600).astype(np.uint8).reshape(20, 30)
    files = [io.BytesIO() for _ in range(2)]
    for file, kind in zip(files, ("PNG", "TIFF")):
        Image.fromarray(ramp * np.uint16(257)).save(file, kind)
    served = tensorflow.io.decode_image(files[0].getvalue(), channels=1).numpy()
    for file in files:
        np.testing.assert_array_equal(decode.read_pixels(file.getvalue(), 1), served)
    np.testing.assert_array_equal(served[..., 0], ramp)


@pytest.mark.parametrize(("most", "advised"), [(255, 255), (256, 511), (4000, 4095), (65535, 65535)])
def test_other_numbers_of_16_bits_are_never_shifted_silently(most, advised):
    ramp = np.linspace(0, most, 600).astype(np.uint16).reshape(20, 30)
    for kind in ("PNG", "TIFF"):
        file = io.BytesIO()
        Image.fromarray(ramp).save(file, kind)
        with pytest.raises(ValueError) as failure:
            decode.read_pixels(file.getvalue(), 1)
        assert str(failure.value) == (
            "`pixel_range` must say which stored numbers become pixels 0 and 255 where images have more than 8 bits; "
            f"'<bytes>' holds uint16 from 0 to {most}, got pixel_range=None. Pass for example pixel_range=(0, {advised}"
            '), or pixel_range="percentiles" to measure the training set.')


@pytest.mark.parametrize("array", [np.full((4, 4), 0.5, np.float32), np.full((4, 4), 70000, np.int32),
                                   np.full((4, 4), 200, np.int32)])
def test_more_than_16_bits_and_floating_point_raise(tmp_path, array):
    path = write(tmp_path / "image.tif", array)
    with pytest.raises(ValueError) as failure:
        decode.read_pixels(path)
    assert str(failure.value).startswith(
        "`pixel_range` must say which stored numbers become pixels 0 and 255 where images have more than 8 bits; "
        f"{path!r} holds {array.dtype} from {array.flat[0]:g} to {array.flat[0]:g}, got pixel_range=None. Pass for ")


def test_strict_reading_refuses_a_jpeg_with_garbage_in_its_middle(tmp_path):
    path = tmp_path / "image.jpg"
    Image.fromarray(structured_image(64, 96)).save(path)
    whole = path.read_bytes()
    np.testing.assert_array_equal(decode.read_pixels(whole, strict=True), decode.read_pixels(whole))
    path.write_bytes(whole[:len(whole) // 2] + whole)
    with pytest.raises(ValueError, match="must be a complete image file, got image='.*image.jpg'.*broken data stream"):
        decode.read_pixels(str(path), strict=True)


def test_gif_masks_are_read_by_their_grey_whatever_its_index(tmp_path):
    for ids in (IDS, np.where(IDS == 1, 2, 0).astype(np.uint8), np.full((4, 4), 2, np.uint8)):
        path = write(tmp_path / "mask.gif", ids)  # Pillow leaves grey out that does not occur, and numbers the rest
        np.testing.assert_array_equal(decode.read_labels(path, TABLE, 3), ids)
    colours_of = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    path = write(tmp_path / "mask.gif", colours_of[IDS])
    named = colours.of_palette([(*colour, index) for index, colour in enumerate(colours_of.tolist())])
    np.testing.assert_array_equal(decode.read_labels(path, TABLE, 3, named), IDS)
    with pytest.raises(ValueError, match="this file stores RGB colours"):
        decode.read_labels(path, TABLE, 3)
