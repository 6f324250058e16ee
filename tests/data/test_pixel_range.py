"""Stored numbers to pixels 0–255: known values, full resolution, arguments, percentiles."""

import io
import logging

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.data import decode, pixel_range
from kseg.data.pixel_range import PixelRange
from tests.conftest import structured_image

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def encoded(array, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_12_bits_in_16_keep_their_4096_steps(kind, channels):
    pixels = decode.read_pixels(encoded(RAMP, kind), channels, pixel_range=PixelRange.of((0, 4095)))
    assert pixels.dtype == np.float32 and pixels.shape == (64, 64, channels)
    np.testing.assert_allclose(pixels, np.repeat(RAMP[..., None] * (255 / 4095), channels, -1), atol=1e-4)
    assert len(np.unique(pixels)) == 4096 and pixels.min() == 0 and pixels.max() == 255


def test_floats_and_numbers_of_32_bits_are_scaled_and_clipped():
    for array, bounds in ((RAMP.astype(np.float32) / 4095 - 0.25, (-0.25, 0.75)),
                          (RAMP.astype(np.int32) * 100 - 50_000, (-50_000, 359_500))):
        pixels = decode.read_pixels(encoded(array, "TIFF"), 1, pixel_range=PixelRange.of(bounds))
        np.testing.assert_allclose(pixels[..., 0], RAMP * (255 / 4095), atol=1e-3)
    pixels = decode.read_pixels(encoded(RAMP), 1, pixel_range=PixelRange.of((1000, 2000)))
    assert (pixels[RAMP <= 1000] == 0).all() and (pixels[RAMP >= 2000] == 255).all() and pixels[23, 28, 0] == 127.5


def test_8_bits_are_scaled_by_a_range_too_and_stay_uint8_without():
    image = structured_image(20, 30)
    np.testing.assert_allclose(decode.read_pixels(encoded(image), pixel_range=PixelRange.of((0, 510))), image / 2)
    assert decode.read_pixels(encoded(image)).dtype == np.uint8


def test_each_band_has_its_own_range():
    found = PixelRange.of([(0, 100), (-5, 5)], 2)
    np.testing.assert_allclose(found.scaled(np.array([[[50, 0], [100, 5], [101, -6]]])),
                               [[[127.5, 127.5], [255, 255], [255, 0]]])
    assert PixelRange.of(found.to_list(), 2) == found


def test_no_data_is_0_and_restored_is_the_inverse():
    found = PixelRange.of([(0, 4095), (-1000, 3000)])
    stored = np.stack([RAMP, RAMP.astype(np.float32) - 1000], -1).astype(np.float32)
    np.testing.assert_allclose(found.restored(found.scaled(stored))[RAMP < 4000], stored[RAMP < 4000], atol=1e-2)
    stored[3, 4] = np.nan
    assert (found.scaled(stored)[3, 4] == 0).all() and np.isnan(stored[3, 4]).all()


@pytest.mark.parametrize(("value", "said"), [
    ((4095, 0), "`pixel_range` must be (low, high), the stored numbers that become 0 and 255, or one such pair per "
     "band, got pixel_range=(4095, 0). Write for example pixel_range=(0, 4095) for 12 bits."),
    ("percentile", "`pixel_range` must be (low, high), the stored numbers that become 0 and 255, or one such pair per "
     "band, got pixel_range='percentile'. Write for example pixel_range=(0, 4095) for 12 bits."),
    ([(0, 1), (0, 1)], "`pixel_range` must be one pair (low, high), or one for each of 4 bands, got "
     "pixel_range=[(0, 1), (0, 1)]. Give a pair for every band, in their order."),
    ((0, float("nan")), "`pixel_range` must be (low, high)"), (7, "`pixel_range` must be (low, high)"),
    ([], "`pixel_range` must be (low, high)"), ((True, 2), "`pixel_range` must be (low, high)"),
])
def test_bad_ranges_raise(value, said):
    with pytest.raises(ValueError) as failure:
        PixelRange.of(value, 4)
    assert str(failure.value).startswith(said)


def test_datasets_of_8_bits_take_no_range():
    with pytest.raises(ValueError, match="`pixel_range` must be None for 'shapes', whose pixels are 0–255, got"):
        kseg.data.load("shapes", pixel_range=(0, 4095))


def test_percentiles_are_those_of_all_numbers_and_leave_no_data_out():
    random = np.random.default_rng(0)
    images = [random.normal(100 * index, 5, (30, 40, 2)) for index in (1, 2)]
    found = pixel_range.percentile_range(images, 2)
    every = np.concatenate([image.astype(np.float32).reshape(-1, 2) for image in images]).astype(np.float64)
    np.testing.assert_allclose(found.bounds, np.percentile(every, (0.1, 99.9), axis=0).T, rtol=1e-6)
    with_holes = [np.where(random.random((30, 40, 1)) < 0.3, np.nan, image) for image in images]
    assert np.isfinite(pixel_range.percentile_range(with_holes, 2).bounds).all()
    with pytest.raises(ValueError, match="`pixel_range` must be numbers where the training images hold none"):
        pixel_range.percentile_range([np.full((3, 3, 1), np.nan)], 1)
    assert pixel_range.percentile_range([np.full((3, 3, 1), 7.0)], 1).bounds == ((7.0, 8.0),)


@pytest.fixture
def deep_folder(tmp_path):
    """Pairs of 12-bit grey in 16 and labels; the validation images are darker, and must not be measured."""
    for split, factor in (("train", 1), ("val", 2)):
        for part in ("images", "labels"):
            (tmp_path / split / part).mkdir(parents=True)
        for index in range(3):
            Image.fromarray(RAMP // factor).save(tmp_path / split / "images" / f"{index}.png")
            Image.fromarray((RAMP > 2000).astype(np.uint8)).save(tmp_path / split / "labels" / f"{index}.png")
    return str(tmp_path)


def test_percentiles_of_a_source_are_the_training_splits_and_logged(deep_folder, caplog):
    with caplog.at_level(logging.INFO, "kseg"):
        both = [kseg.data.source("folder", split, data_dir=deep_folder, channels=1, pixel_range="percentiles")
                for split in ("train", "validation")]
    low, high = np.percentile(np.repeat(np.arange(4096), 3), (0.1, 99.9))
    for source in both:
        np.testing.assert_allclose(source.pixel_range.bounds, [(low, high)])
    assert "pixel_range of folder, percentiles of its training images: [[4.0, 4091.0]]" in caplog.text
    np.testing.assert_allclose(both[1].read(0)[0][..., 0], ((RAMP // 2 - low) / (high - low) * 255).clip(0, 255),
                               atol=1e-3)


@pytest.mark.parametrize("augment", [False, True])
def test_loading_keeps_the_resolution_through_every_cache(deep_folder, tmp_path, augment):
    options = dict(data_dir=deep_folder, channels=1, pixel_range=(0, 4095), batch_size=3, seed=3, epoch=0,
                   augment=augment)
    batches = [next(iter(kseg.data.load("folder", cache=cache, **options)))
               for cache in (False, "memory", str(tmp_path / "kept"), str(tmp_path / "kept"))]
    for pixels, labels in batches:
        assert pixels.dtype == np.float32 and pixels.shape == (3, 64, 64, 1) and labels.dtype == np.int32
        np.testing.assert_array_equal(pixels, batches[0][0])
        np.testing.assert_array_equal(labels, batches[0][1])
    assert len(np.unique(batches[0][0])) > 1000 and batches[0][0].numpy().max() <= 255
    with pytest.raises(ValueError, match="holds uint16 from 0 to 4095, got pixel_range=None"):
        kseg.data.load("folder", data_dir=deep_folder, channels=1)
    other = {**options, "pixel_range": (0, 8190), "augment": False}
    pixels, _ = next(iter(kseg.data.load("folder", cache=str(tmp_path / "kept"), **other)))
    assert pixels.numpy().max() == 127.5  # not what is kept of another range


def test_records_keep_what_was_scaled(deep_folder, tmp_path):
    folder = str(tmp_path / "records")
    options = dict(data_dir=deep_folder, channels=1, pixel_range=(0, 4095))
    kseg.data.write_records("folder", folder, **options)
    before, after = kseg.data.source("folder", **options), kseg.data.source("records", data_dir=folder)
    assert after.pixel_range == before.pixel_range
    for one, other in zip(before.read(1), after.read(1)):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert kseg.data.source("records", data_dir=folder, pixel_range=(0, 4095)).pixel_range == before.pixel_range
    with pytest.raises(ValueError, match=r"must be None or \[\[0.0, 4095.0\]\], by which the records were scaled"):
        kseg.data.source("records", data_dir=folder, pixel_range=(0, 65535))


def test_broken_pairs_are_skipped_among_scaled_ones(deep_folder, tmp_path):
    (tmp_path / "train" / "images" / "1.png").write_bytes(b"no image")
    batches = list(kseg.data.load("folder", data_dir=deep_folder, channels=1, pixel_range=(0, 4095), batch_size=1,
                                  on_error="skip", cache=False))
    assert len(batches) == 2
    assert [found["kind"] for found in kseg.data.check(
        "folder", data_dir=deep_folder, channels=1, pixel_range=(0, 4095), other_splits=False).errors] == [
            "unreadable image"]


def test_arrays_in_memory_keep_their_resolution():
    numbers = np.stack([RAMP, RAMP[::-1]])[..., None]
    labels = (numbers[..., 0] > 2000).astype(np.uint8)
    for bounds, expected in (((0, 4095), numbers * (255 / 4095)), ("percentiles", None)):
        options = dict(batch_size=2, shuffle=False, pixel_range=bounds)
        pixels, ids = next(iter(kseg.data.from_arrays(numbers, labels, **options)))
        assert pixels.dtype == np.float32 and len(np.unique(pixels)) > 4000
        np.testing.assert_array_equal(ids, labels)
        if expected is not None:
            np.testing.assert_allclose(pixels, expected, atol=1e-3)
    floats = np.linspace(0, 255, 2 * 8 * 8, dtype=np.float32).reshape(2, 8, 8, 1)
    pixels, _ = next(iter(kseg.data.from_arrays(floats, np.zeros((2, 8, 8), np.uint8), batch_size=2, shuffle=False,
                                                classes=2, pixel_range=(0, 255))))
    np.testing.assert_array_equal(pixels, floats)


def test_an_array_is_a_range_and_a_sheet_is_drawn_of_it(tmp_path):
    for part in ("images", "labels"):
        (tmp_path / "train" / part).mkdir(parents=True)
    numbers = np.linspace(0, 4095, 24 * 32).reshape(24, 32).astype(np.uint16)
    Image.fromarray(numbers).save(tmp_path / "train" / "images" / "a.png")
    Image.fromarray((numbers > 2000).astype(np.uint8)).save(tmp_path / "train" / "labels" / "a.png")
    options = {"data_dir": str(tmp_path), "channels": 1, "pixel_range": np.array([[0, 4095]])}
    pixels, _ = kseg.data.source("folder", **options).read(0)
    np.testing.assert_allclose(pixels[..., 0], numbers / 4095 * 255, atol=1e-3)
    sheet = kseg.data.show("folder", augment=False, image_size=(24, 32), **options)
    assert sheet.dtype == np.uint8 and sheet.ndim == 3
