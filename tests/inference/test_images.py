"""Photographs are opened as viewers show them."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

import kseg
from kseg.inference import predict_files
from kseg.inference.images import open_image
from kseg.labels import LabelSet
from tests.conftest import structured_image
from tests.inference.function_runner import FunctionRunner


def photograph(path, kind, orientation, pixels=None, **options):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(structured_image(24, 40) if pixels is None else pixels).save(path, kind, exif=exif, **options)
    return str(path)


def shown(path, mode="RGB"):
    """What a viewer shows, by Pillow."""
    return np.asarray(ImageOps.exif_transpose(Image.open(path)).convert(mode))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_files_are_opened_upright(tmp_path, kind, orientation, monkeypatch):
    path = photograph(tmp_path / f"a.{kind.lower()}", kind, orientation)
    np.testing.assert_array_equal(open_image(path, 3), shown(path))
    np.testing.assert_array_equal(open_image(path, 1)[..., 0], shown(path, "L"))
    monkeypatch.setattr("kseg.data.limits.LARGE", 100)  # pictures above it are taken strip by strip
    monkeypatch.setattr("kseg.inference.images._STRIP", 200)
    np.testing.assert_array_equal(open_image(path, 3), shown(path))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_label_map_overlay_and_sheet_are_those_of_the_upright_image(tmp_path, orientation):
    """Class 1 where red is strongest: the label map of a lying photograph lies as a viewer shows it."""
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:8, :30, 0] = 200
    path = photograph(tmp_path / "a.png", "PNG", orientation, pixels)
    run = FunctionRunner(lambda values: np.concatenate([np.full_like(values[..., :1], 90), values[..., :1]], -1), 2, 3,
                         LabelSet(("dark", "red"), np.array([[0, 0, 0], [255, 0, 0]])))
    expected = (shown(path)[..., 0] > 90).astype(np.uint8)
    np.testing.assert_array_equal(kseg.predict(run, path), expected)
    np.testing.assert_array_equal(kseg.predict(run, path, window=16), expected)
    np.testing.assert_array_equal(kseg.inference.predict_tiled(run, path, window=20, margin=2), expected)
    written = predict_files(run, path, tmp_path / "out", opacity=1)
    np.testing.assert_array_equal(np.asarray(Image.open(written[0])), expected)
    np.testing.assert_array_equal(np.asarray(Image.open(written[1]))[..., 0], expected * 255)


def test_a_pil_image_is_taken_as_it_lies_with_a_warning(tmp_path):
    path = photograph(tmp_path / "a.png", "PNG", 6)
    with pytest.warns(UserWarning) as warned:
        np.testing.assert_array_equal(open_image(Image.open(path), 3), structured_image(24, 40))
    assert str(warned[0].message) == (
        "`images` are taken as they lie in memory, and this PIL image is to be shown turned, got images='EXIF "
        "orientation 6'. Pass its path, or PIL.ImageOps.exif_transpose(image), to have it segmented upright.")
    np.testing.assert_array_equal(open_image(ImageOps.exif_transpose(Image.open(path)), 3), shown(path))


def test_damaged_exif_data_are_no_reason_to_refuse_a_photograph(tmp_path):
    content = io.BytesIO()
    Image.fromarray(structured_image(24, 40)).save(content, "PNG", exif=b"Exif\0\0no TIFF data")
    (tmp_path / "a.png").write_bytes(content.getvalue())
    np.testing.assert_array_equal(open_image(str(tmp_path / "a.png"), 3), structured_image(24, 40))
