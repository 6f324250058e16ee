"""GeoTIFFs for tests, written by rasterio; import it after `pytest.importorskip("rasterio")`."""

import numpy as np
import rasterio
from rasterio.transform import Affine

PLACE = {"crs": "EPSG:32632", "transform": Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_400_000.0)}


def write_tiff(path, array, **options):
    """Write `[H, W, bands]` to a TIFF, with a place on earth if `options` hold one; return the path as str."""
    options = {**PLACE, **options}
    with rasterio.open(path, "w", driver="GTiff", height=array.shape[0], width=array.shape[1], count=array.shape[2],
                       dtype=array.dtype.name, **options) as dataset:
        dataset.write(np.moveaxis(array, -1, 0))
    return str(path)
