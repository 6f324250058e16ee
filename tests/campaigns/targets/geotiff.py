"""GeoTIFF of several bands: as training reads it, and by windows as prediction does."""

import pathlib
import tempfile

import numpy as np
import pytest

from kseg.data import decode
from kseg.data.pixel_range import PixelRange
from kseg.inference.images import open_image
from tests.conftest import structured_image

_BANDS = 4
_RANGE = PixelRange.of((0, 65535))


def seeds(folder):
    pytest.importorskip("rasterio")
    from tests.data.geotiff import write_tiff

    numbers = structured_image(37, 53, _BANDS).astype(np.uint16) * 250
    for kind, options in ((np.uint16, {}), (np.uint16, {"compress": "deflate", "predictor": 2}), (np.int16, {}),
                          (np.float32, {"compress": "lzw"}), (np.uint16, {"tiled": True, "blockxsize": 16,
                                                                          "blockysize": 16, "nodata": 0})):
        path = write_tiff(f"{folder}/seed.tif", (numbers // 4).astype(kind), **options)
        yield pathlib.Path(path).read_bytes()


def read(content, folder):
    """Return (pixels as training reads them or None, as prediction does or None); neither is a refusal."""
    found, refusal = [], None
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".tif") as file:  # a name of its own: GDAL keeps what it opened
        file.write(content)
        file.flush()
        for reader in (lambda: decode.read_pixels(content, _BANDS, pixel_range=_RANGE),
                       lambda: open_image(file.name, _BANDS, "image", pixel_range=_RANGE)[0:37, 0:53]):
            try:
                found.append(reader())
            except ValueError as failure:
                if not str(failure).startswith("`"):
                    raise
                found.append(None)
                refusal = failure
    if all(pixels is None for pixels in found):
        raise refusal
    return found


def check(answer, content):
    for pixels in answer:
        if pixels is not None:
            assert pixels.ndim == 3 and pixels.shape[-1] == _BANDS and pixels.dtype == np.float32, pixels.shape
            assert np.isfinite(pixels).all() and pixels.min(initial=0) >= 0 and pixels.max(initial=0) <= 255
    if all(pixels is not None for pixels in answer):
        np.testing.assert_array_equal(answer[0][0:37, 0:53], answer[1])
