"""GeoTIFF read by windows, and label maps written as GeoTIFF and GeoJSON in its place on earth (extra `geo`)."""

import contextlib
import importlib.util
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from kseg import checks, files
from kseg.data import decode, formats
from kseg.data.formats import tiff
from kseg.labels import IGNORE_CLASS, LabelSet

EXTENSIONS = (".tif", ".tiff")
_BLOCK = 512  # pixels, side of the tiles of what is written


class Scene:
    """A TIFF as `[H, W, channels]` of numbers, of which only the windows asked for are read.

    Args:
        path: str.
        channels: int, bands that come out (see `kseg.data.formats.in_bands`).
    Attributes:
        shape, dtype: of the numbers.
        georeferenced: whether the file says where on earth it lies.
    Raises:
        ValueError: if the file is broken or has other bands.
    """

    def __init__(self, path: str, channels: int):
        self.path, self.channels = path, channels
        with self._opened() as dataset:
            self._bands = tiff.bands_of(dataset, channels)
            self.shape = (*dataset.shape, channels)
            self.dtype = np.dtype(dataset.dtypes[self._bands[0] - 1])
            self.georeferenced = dataset.crs is not None
            self._marked = tiff.marks_no_data(dataset, self._bands)
            formats.in_bands(np.zeros((1, 1, len(self._bands)), np.uint8), channels, path)

    def __getitem__(self, window: Any) -> np.ndarray:
        """Return numbers `[h, w, channels]` of slices of rows and columns; with steps, the nearest to each place."""
        (window, size), steps = self._window(window), [part.step or 1 for part in window]
        with self._opened() as dataset:
            numbers = tiff.numbers_of(dataset, self._bands, window, self.path, None if steps == [1, 1] else size)
        return formats.in_bands(numbers, self.channels, self.path)

    def no_data(self, rows: slice, columns: slice) -> np.ndarray | None:
        """Return which pixels of a window have data in no band, bool `[h, w]`; None if all have."""
        if not self._marked and self.dtype.kind != "f":
            return None
        window, _ = self._window((rows, columns))
        with self._opened() as dataset:
            numbers = tiff.numbers_of(dataset, self._bands, window, self.path)
        return np.isnan(numbers).all(-1) if numbers.dtype.kind == "f" else None

    def place(self) -> dict[str, Any]:
        """Return where on earth it lies, as arguments of rasterio: `crs` and `transform`."""
        with self._opened() as dataset:
            return {"crs": dataset.crs, "transform": dataset.transform}

    def _window(self, window):
        """Return the rasterio window of two slices, and the (height, width) that comes out."""
        from rasterio.windows import Window

        spans = [range(*part.indices(side)) for part, side in zip(window, self.shape)]
        top, left = (span.start for span in spans)
        ends = [min(span.start + len(span) * span.step, side) for span, side in zip(spans, self.shape)]
        return Window(left, top, ends[1] - left, ends[0] - top), tuple(map(len, spans))

    @contextlib.contextmanager
    def _opened(self):
        import rasterio

        try:
            with tiff.opened(lambda **options: rasterio.open(self.path, **options)) as dataset:
                yield dataset
        except formats.BrokenFile as failure:
            raise ValueError(decode.unreadable("image", self.path, failure)) from failure


def scene_in(path: str, channels: int) -> Scene | None:
    """Return the `Scene` of a TIFF that has a place on earth, or that Pillow has no mode for.

    None for pictures, for other files, and where rasterio is not installed.
    """
    if not path.lower().endswith(EXTENSIONS) or "://" in path or importlib.util.find_spec("rasterio") is None:
        return None
    import rasterio
    from rasterio.enums import ColorInterp

    try:
        with tiff.opened(lambda **options: rasterio.open(path, **options)) as dataset:
            plain = dataset.crs is None and dataset.count <= 4 and set(dataset.dtypes) == {"uint8"}
            few_bits = "NBITS" in dataset.tags(1, ns="IMAGE_STRUCTURE")
            if plain or few_bits or dataset.colorinterp[0] in (ColorInterp.palette, ColorInterp.cyan):
                return None
    except formats.BrokenFile:
        return None  # Pillow reads it, or says what is wrong
    return Scene(path, channels)


def is_georeferenced(path: str, channels: int) -> bool:
    """Return whether labels of the file at `path` are written as GeoTIFF: a scene that says where on earth it lies."""
    scene = scene_in(path, channels)
    return scene is not None and scene.georeferenced


class LabelRaster:
    """An array of labels that goes to a file as it is filled: what `kseg.predict` takes as `out`."""

    dtype = np.dtype(np.uint8)

    def __init__(self, dataset: Any):
        self._dataset, self.shape = dataset, dataset.shape

    def __setitem__(self, place: tuple[slice, slice], labels: np.ndarray) -> None:
        from rasterio.windows import Window

        (top, _, _), (left, _, _) = (part.indices(side) for part, side in zip(place, self.shape))
        self._dataset.write(labels, 1, window=Window(left, top, labels.shape[1], labels.shape[0]))


class WrittenLabels:
    """The labels in a GeoTIFF of labels, read by windows, `[h, w]` each."""

    def __init__(self, path: str):
        self._scene = Scene(path, 1)
        self.shape = self._scene.shape[:2]

    def __getitem__(self, window: tuple[slice, slice]) -> np.ndarray:
        labels = self._scene[window][..., 0]
        return np.nan_to_num(labels, nan=IGNORE_CLASS).astype(np.uint8)


@contextlib.contextmanager
def label_raster(path: str | os.PathLike, scene: Scene, label_set: LabelSet) -> Iterator[LabelRaster]:
    """Yield the labels of a scene to be filled, a GeoTIFF in its place on earth that appears whole or not at all.

    It is tiled, compressed (deflate), painted with the palette, and 255 is no data.

    Raises:
        ValueError: if there are more classes than 8 bits tell apart.
    """
    import rasterio

    if len(label_set) > IGNORE_CLASS:
        raise ValueError(checks.sentence("label_set", "must name at most 255 classes for a GeoTIFF of labels",
                                         len(label_set), "Predict it with kseg.predict(..., out=array)."))
    colours = {index: tuple(int(part) for part in colour) for index, colour in enumerate(label_set.lookup_table())}
    with files.draft(path) as temporary:
        with rasterio.open(temporary, "w", driver="GTiff", height=scene.shape[0], width=scene.shape[1], count=1,
                           dtype="uint8", nodata=IGNORE_CLASS, compress="deflate", tiled=True, blockxsize=_BLOCK,
                           blockysize=_BLOCK, bigtiff="if_safer", **scene.place()) as dataset:
            dataset.write_colormap(1, colours)
            yield LabelRaster(dataset)


def write_polygons(path: str | os.PathLike, labels: str, label_set: LabelSet) -> None:
    """Write the connected areas of a GeoTIFF of labels as GeoJSON, longitude and latitude (RFC 7946).

    Each area is a feature with `class_id` and `class`; areas of 255 are left out.

    Args:
        path: str or path of the file, written whole or not at all.
        labels: str, path of the GeoTIFF.
        label_set: `LabelSet`, for the names.
    """
    import rasterio
    from rasterio import features, warp

    with rasterio.open(labels) as dataset, files.draft(path) as temporary, open(temporary, "w",
                                                                                 encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for area, value in features.shapes(rasterio.band(dataset, 1), transform=dataset.transform):
            if int(value) == IGNORE_CLASS:
                continue
            geometry = warp.transform_geom(dataset.crs, "EPSG:4326", area, precision=9)
            properties = {"class_id": int(value), "class": label_set.names[int(value)]}
            file.write(separator + json.dumps({"type": "Feature", "properties": properties, "geometry": geometry}))
            separator = ",\n"
        file.write("\n]}\n")
