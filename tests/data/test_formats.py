"""Files of many bands and bits: TIFF, PNG of 16 bits, `.npy`; what is broken or implausible is refused."""

import io
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import decode, formats
from tests.conftest import structured_image

NUMBERS = (np.arange(20 * 30 * 4).reshape(20, 30, 4) * 27 % 65_521).astype(np.uint16)


def png(array):
    return cv2.imencode(".png", array[..., [2, 1, 0, 3][:array.shape[-1]]] if array.ndim == 3 else array)[1].tobytes()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_png_of_16_bits_has_its_bands_in_order():
    np.testing.assert_array_equal(decode.read_stored(png(NUMBERS[..., 0]), 1)[..., 0], NUMBERS[..., 0])
    np.testing.assert_array_equal(decode.read_stored(png(NUMBERS[..., :3]), 3), NUMBERS[..., :3])
    np.testing.assert_array_equal(decode.read_stored(png(NUMBERS), 4), NUMBERS)
    np.testing.assert_array_equal(decode.read_stored(png(NUMBERS), 3), NUMBERS[..., :3])  # without alpha
    luminance = NUMBERS[..., :3] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(decode.read_stored(png(NUMBERS), 1)[..., 0], luminance, rtol=1e-5)


@pytest.mark.parametrize("bands", [1, 2, 5])
def test_npy_of_any_bands(bands):
    array = np.repeat(NUMBERS, 2, -1)[..., :bands].astype(np.float64) / 3
    np.testing.assert_array_equal(decode.read_stored(npy(array), bands), array)
    np.testing.assert_array_equal(decode.read_stored(npy(NUMBERS[..., 0]), 1)[..., 0], NUMBERS[..., 0])


def test_pictures_of_8_bits_are_read_in_their_own_bands():
    file = io.BytesIO()
    rgba = structured_image(20, 30, 4)
    Image.fromarray(rgba).save(file, "PNG")
    pixels = decode.read_pixels(file.getvalue(), 4)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, rgba)
    with pytest.raises(ValueError, match="`channels` must be 4, the bands of '<bytes>', got channels=5. Pass"):
        decode.read_pixels(file.getvalue(), 5)


def test_luminance_of_8_bits_is_pillows():
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    np.testing.assert_array_equal(formats.in_bands(image, 1, "x")[..., 0], Image.fromarray(image).convert("L"))


@pytest.mark.parametrize("content", [
    npy(np.zeros((4, 4, 2)))[:-9], npy(np.zeros((4, 4, 2)))[:40], npy(np.array([{}], object)), npy(np.zeros(3)),
    npy(np.zeros((2, 2), complex)), npy(np.zeros((4, 4, 2))).replace(b"}", b" "),
    npy(np.zeros((4, 4, 2))).replace(b"'descr'", b"'des\0r'")])
def test_broken_npy_files_raise(content):
    with pytest.raises(ValueError, match="`image` must be a complete image file, got image='<bytes>'. The decod"):
        decode.read_stored(content, 2)


def test_the_size_of_what_pillow_does_not_open_is_known():
    assert decode.image_size(npy(np.zeros((4, 7, 5)))) == (4, 7)
    with pytest.raises(ValueError, match="`image` must be a complete image file"):
        decode.image_size(npy(np.zeros((4, 7, 5)))[:-3])


def test_implausible_headers_raise_before_anything_is_taken():
    content = npy(np.zeros((4, 4, 2), np.uint8)).replace(b"(4, 4, 2)", b"(44444, 99999, 2)"[:17])
    with pytest.raises(ValueError, match="must be an image of at most 2 GiB; '<bytes>' announces 8.28 GiB, got im"):
        decode.read_stored(content, 2)


class TestTiff:
    """By rasterio, the extra `geo`."""

    @pytest.fixture(autouse=True)
    def write(self):
        pytest.importorskip("rasterio")
        from tests.data.geotiff import write_tiff

        return write_tiff

    @pytest.mark.parametrize(("array", "channels", "options"), [
        (NUMBERS, 4, {}), (NUMBERS[..., :3], 3, {}), (NUMBERS[..., :1], 1, {}), (NUMBERS[..., :2], 2, {}),
        (np.repeat(NUMBERS, 50, -1), 200, {"compress": "deflate"}),
        (np.repeat(NUMBERS, 3, -1), 12, {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "lzw"}),
        (NUMBERS, 4, {"interleave": "pixel", "BIGTIFF": "YES"}), (NUMBERS.astype(np.float64) / 7, 4, {}),
        (NUMBERS.astype(np.int16), 4, {}), (NUMBERS.astype(np.uint32) * 9, 4, {}), (NUMBERS.astype(np.uint8), 4, {}),
        (NUMBERS[..., :2].astype(np.uint8), 2, {}), (np.repeat(NUMBERS, 2, -1).astype(np.uint8), 8, {})])
    def test_any_bands_of_any_numbers(self, write, tmp_path, array, channels, options):
        path = write(tmp_path / "image.tif", array, **options)
        np.testing.assert_array_equal(decode.read_stored(path, channels), array)

    def test_bands_of_8_bits_stay_so(self, write, tmp_path):
        path = write(tmp_path / "image.tif", np.repeat(NUMBERS, 2, -1).astype(np.uint8))
        assert decode.read_pixels(path, 8).dtype == np.uint8

    def test_grey_becomes_three_bands_and_other_bands_raise(self, write, tmp_path):
        path = write(tmp_path / "grey.tif", NUMBERS[..., :1])
        np.testing.assert_array_equal(decode.read_stored(path, 3), np.repeat(NUMBERS[..., :1], 3, -1))
        path = write(tmp_path / "four.tif", NUMBERS)
        with pytest.raises(ValueError) as failure:
            decode.read_stored(path, 3)
        assert str(failure.value) == (f"`channels` must be 4, the bands of {path!r}, got channels=3. Pass channels=4, "
                                      "and in_channels=4 to the model.")

    def test_no_data_is_nan_and_an_alpha_band_is_a_mask(self, write, tmp_path):
        from rasterio.enums import ColorInterp

        array = NUMBERS[..., :2].copy()
        array[2:5, 3:9] = 77
        stored = decode.read_stored(write(tmp_path / "image.tif", array, nodata=77), 2)
        assert stored.dtype == np.float32
        np.testing.assert_array_equal(np.isnan(stored), array == 77)
        np.testing.assert_array_equal(stored[array != 77], array[array != 77])
        import rasterio

        alpha = NUMBERS.copy()
        alpha[..., 3] = 65535
        alpha[:4, :, 3] = 0
        path = write(tmp_path / "alpha.tif", alpha)
        with rasterio.open(path, "r+") as dataset:
            dataset.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
        np.testing.assert_array_equal(decode.read_stored(path, 4), alpha)
        stored = decode.read_stored(path, 3)
        assert np.isnan(stored[:4]).all()
        np.testing.assert_array_equal(stored[4:], alpha[4:, :, :3])

    @pytest.mark.filterwarnings("ignore:Truncated File Read")  # Pillow's
    def test_broken_and_implausible_ones_raise(self, write, tmp_path):
        path = write(tmp_path / "image.tif", NUMBERS)
        whole = (tmp_path / "image.tif").read_bytes()
        for content in (whole[:-300], whole[:200]):
            (tmp_path / "image.tif").write_bytes(content)
            with pytest.raises(ValueError, match="`image` must be a complete image file, got image='.*image.tif'. The"):
                decode.read_stored(path, 4)
        import rasterio

        path = str(tmp_path / "huge.tif")
        with rasterio.open(path, "w", driver="GTiff", height=60_000, width=60_000, count=4, dtype="uint16", tiled=True,
                           blockxsize=8192, blockysize=8192, sparse_ok=True, compress="deflate", crs="EPSG:32632"):
            pass
        with pytest.raises(ValueError, match="must be an image of at most 2 GiB; '.*huge.tif' announces 26.8 GiB"):
            decode.read_stored(path, 4)

    def test_the_extra_is_named_where_rasterio_is_missing(self, write, tmp_path, monkeypatch):
        path = write(tmp_path / "image.tif", NUMBERS)
        grey = write(tmp_path / "grey.tif", NUMBERS[..., :1])
        monkeypatch.setitem(sys.modules, "rasterio", None)
        with pytest.raises(ImportError) as failure:
            decode.read_stored(path, 4)
        assert str(failure.value) == (f"`image` needs rasterio, got image={path!r}. Install it: pip install "
                                      '"kseg[geo]".')
        np.testing.assert_array_equal(decode.read_stored(grey, 1), NUMBERS[..., :1])  # Pillow's

    def test_names_of_places_that_are_no_text_are_refused_by_the_sentence(self, write, tmp_path):
        path = write(tmp_path / "a.tif", NUMBERS, crs='LOCAL_CS["somewhere",UNIT["metre",1]]')
        with open(path, "rb") as file:
            content = file.read().replace(b"somewhere", b"some\xd4here")
        with pytest.raises(ValueError, match="`image` must be a complete image file, got image='<bytes>'. The decod"):
            decode.read_stored(content, 4)

    def test_a_folder_of_them_is_loaded_checked_and_augmented(self, write, tmp_path):
        for part in ("images", "labels"):
            (tmp_path / "train" / part).mkdir(parents=True)
        for index in range(2):
            write(tmp_path / "train" / "images" / f"{index}.tif", NUMBERS + np.uint16(index))
            write(tmp_path / "train" / "labels" / f"{index}.tif", (NUMBERS[..., :1] > 30_000).astype(np.uint8))
        ranges = [(0, 65_535), (0, 40_000), (100, 200), (0, 65_535)]
        options = dict(data_dir=str(tmp_path), channels=4, pixel_range=ranges)
        assert kseg.data.check("folder", **options).ok
        pixels, labels = kseg.data.source("folder", **options).read(1)
        low, high = np.array(ranges, np.float64).T
        np.testing.assert_allclose(pixels, ((NUMBERS + 1.0 - low) * 255 / (high - low)).clip(0, 255), atol=1e-3)
        np.testing.assert_array_equal(labels, NUMBERS[..., 0] > 30_000)
        for recipe in ("default", "unet"):
            batch, _ = next(iter(kseg.data.load("folder", augment=recipe, batch_size=2, seed=0, **options)))
            assert batch.shape == (2, 20, 30, 4) and batch.dtype == np.float32


def damaged(content, count):
    """Yield copies of a file with a few other bytes, mostly in its head, some cut off."""
    random = np.random.default_rng(0)
    for _ in range(count):
        other = bytearray(content)
        for _ in range(random.integers(1, 6)):
            other[random.integers(0, min(len(other), 700))] = random.integers(0, 256)
        yield bytes(other[:random.integers(1, len(other))] if random.random() < 0.2 else other)


@pytest.mark.filterwarnings("ignore")  # Pillow's and NumPy's about what they find
@pytest.mark.parametrize("kind", ["npy", "png", "tiff"])
def test_damaged_files_raise_the_sentence_or_are_read(tmp_path, kind):
    if kind == "tiff":
        pytest.importorskip("rasterio")
        from tests.data.geotiff import write_tiff

        write_tiff(tmp_path / "whole.tif", NUMBERS)
        content = (tmp_path / "whole.tif").read_bytes()
    else:
        content = {"npy": npy, "png": png}[kind](NUMBERS)
    refused = 0
    for other in damaged(content, 150):
        try:
            assert decode.read_stored(other, 4).ndim == 3
        except ValueError as failure:
            assert str(failure).startswith(("`image` must", "`channels` must"))
            refused += 1
    assert refused > 30
