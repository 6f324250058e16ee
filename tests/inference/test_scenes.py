"""GeoTIFFs read by windows, and their labels as GeoTIFF and GeoJSON in the same place."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.inference import predict, predict_files, scenes
from tests.inference.test_predict import photo, pointwise_model

rasterio = pytest.importorskip("rasterio")
from tests.data.geotiff import PLACE, write_tiff  # noqa: E402

LABELS = kseg.LabelSet(("water", "forest", "field"))


def numbers(height=90, width=130, bands=4):
    """12 bits in 16, slanted ramps; a corner of zeros, which stand for no data."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([(rows * (31 + band) + columns * (47 - 9 * band)) % 4095 + 1 for band in range(bands)], -1)
    image[:20, :30] = 0
    return image.astype(np.uint16)


def local_model(bands=4, classes=3):
    """A 5×5 convolution: windows differ from the whole near their rims."""
    keras.utils.set_random_seed(3)
    pixels = keras.Input((None, None, bands), name="pixels")
    scores = keras.layers.Conv2D(classes, 5, padding="same")(pixels / 255.0)
    return kseg.models.Segmenter(pixels, scores, name="local", label_set=LABELS, pixel_range=(0, 4095))


@pytest.fixture(scope="module")
def model():
    return local_model()


@pytest.fixture
def scene(tmp_path):
    return write_tiff(tmp_path / "scene.tif", numbers(), nodata=0, tiled=True, blockxsize=16, blockysize=32)


def expected(model, window=None):
    """Labels of the array, by the same windows, 255 where it has no data."""
    array = numbers().astype(np.float32)
    array[:20, :30] = np.nan
    return kseg.predict(model, array, window=window)


@pytest.mark.parametrize("window", [None, 32])
def test_a_scene_answers_as_its_array(model, scene, window):
    labels = kseg.predict(model, scene, window=window)
    np.testing.assert_array_equal(labels, expected(model, window))
    assert (labels[:20, :30] == 255).all() and set(np.unique(labels[20:])) <= {0, 1, 2}
    logits = kseg.predict(model, scene, "logits")
    pixels = model.pixel_range.scaled(numbers())
    np.testing.assert_allclose(logits, model(pixels[None], training=False).numpy()[0], atol=1e-4)


def test_a_large_scene_is_cut_though_nobody_asked(model, scene, monkeypatch):
    from kseg.inference import stored_image

    monkeypatch.setattr(stored_image, "_LARGE", 1000)
    monkeypatch.setattr(predict, "SCENE_WINDOW", (32, 32))
    np.testing.assert_array_equal(kseg.predict(model, scene), expected(model, 32))


def test_labels_and_polygons_lie_where_the_scene_lies(model, scene, tmp_path):
    written = predict_files(model, scene, tmp_path / "out", window=32, polygons=True)
    names = ["labels/scene.tif", "polygons/scene.geojson", "overlays/scene.png", "sheet.png"]
    assert written == [str(tmp_path / "out" / name) for name in names]
    with rasterio.open(written[0]) as dataset:
        assert (dataset.crs, dataset.transform) == (rasterio.CRS.from_string(PLACE["crs"]), PLACE["transform"])
        assert dataset.nodata == 255 and dataset.dtypes == ("uint8",) and dataset.compression.value == "DEFLATE"
        assert [dataset.colormap(1)[index][:3] for index in range(3)] == [tuple(row) for row in LABELS.palette.tolist()]
        labels = dataset.read(1)
    np.testing.assert_array_equal(labels, expected(model, 32))
    assert Image.open(written[2]).size == (130, 90)
    with open(written[1], encoding="utf-8") as file:
        found = json.load(file)
    assert found["type"] == "FeatureCollection"
    from rasterio import features, warp

    painted = np.full(labels.shape, 255, np.uint8)
    for feature in found["features"]:
        properties = feature["properties"]
        assert properties["class"] == LABELS.names[properties["class_id"]]
        longitude, latitude = np.array(feature["geometry"]["coordinates"][0]).T
        assert (abs(longitude - 9.01) < 0.02).all() and (abs(latitude - 48.745) < 0.02).all()
        shape = warp.transform_geom("EPSG:4326", PLACE["crs"], feature["geometry"])
        features.rasterize([shape], out=painted, transform=PLACE["transform"], default_value=properties["class_id"])
    np.testing.assert_array_equal(painted, labels)


def test_eight_bits_and_grey_need_no_range(tmp_path):
    model = pointwise_model()
    image = photo()
    rgb = write_tiff(tmp_path / "rgb.tif", image)
    np.testing.assert_array_equal(kseg.predict(model, rgb), kseg.predict(model, image))
    grey = write_tiff(tmp_path / "grey.tif", image[..., :1])
    np.testing.assert_array_equal(kseg.predict(model, grey), kseg.predict(model, np.repeat(image[..., :1], 3, -1)))
    one = pointwise_model(channels=1)
    luminance = np.asarray(Image.fromarray(image).convert("L"))
    np.testing.assert_array_equal(kseg.predict(one, rgb), kseg.predict(one, luminance))
    five = np.repeat(image, 2, -1)[..., :5]
    path = write_tiff(tmp_path / "five.tif", five, crs=None)
    np.testing.assert_array_equal(kseg.predict(pointwise_model(channels=5), path),
                                  kseg.predict(pointwise_model(channels=5), five))
    eight_in_16 = write_tiff(tmp_path / "stretched.tif", image.astype(np.uint16) * 257)
    np.testing.assert_array_equal(kseg.predict(model, eight_in_16), kseg.predict(model, image))


def test_wrong_input_is_said(model, scene, tmp_path):
    with pytest.raises(ValueError) as failure:
        kseg.predict(pointwise_model(channels=4), scene)
    assert str(failure.value) == (
        "`pixel_range` must say which stored numbers become pixels 0 and 255 where images have more than 8 bits; "
        f"{scene!r} holds float32 from 1 to 4095, got pixel_range=None. The model was trained on 8 bits: save the "
        "image with 8 bits, or say what its numbers are, for example model.pixel_range = (0, 4095).")
    with pytest.raises(ValueError, match="`channels` must be 4, the bands of '.*scene.tif', got channels=3"):
        predict_files(pointwise_model(), scene, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    Image.fromarray(numbers()[..., 0]).save(tmp_path / "grey.png")
    with pytest.raises(ValueError, match="`polygons` must be False for images without a place on earth, the first"):
        predict_files(local_model(bands=1), tmp_path / "grey.png", tmp_path / "out", polygons=True)
    with open(scene, "r+b") as file:
        file.truncate(9000)
    with pytest.raises(ValueError, match="`image` must be a complete image file, got image='.*scene.tif'. The decoder"):
        predict_files(model, scene, tmp_path / "out", sheet=False)
    assert not (tmp_path / "out" / "labels").exists()


def test_arrays_and_mapped_files_are_scaled_as_they_are_read(model, tmp_path):
    array = numbers()
    wanted = kseg.predict(model, array)
    np.save(tmp_path / "scene.npy", array)
    np.testing.assert_array_equal(kseg.predict(model, tmp_path / "scene.npy"), wanted)
    np.testing.assert_array_equal(kseg.predict(model, np.stack([array, array[::-1]]))[0], wanted)
    np.testing.assert_array_equal(kseg.predict(model, [array.astype(np.float32)])[0], wanted)
    grey = local_model(bands=1)
    Image.fromarray(array[..., 0]).save(tmp_path / "grey.png")
    for given in (tmp_path / "grey.png", Image.open(tmp_path / "grey.png"), array[..., 0]):
        np.testing.assert_array_equal(kseg.predict(grey, given), kseg.predict(grey, array[..., :1]))


def test_evaluation_scales_named_datasets_and_takes_pixels_as_loaded(model, tmp_path):
    for part in ("images", "labels"):
        (tmp_path / "val" / part).mkdir(parents=True)
    array = numbers()
    write_tiff(tmp_path / "val" / "images" / "0.tif", array)
    Image.fromarray(kseg.predict(model, array)).save(tmp_path / "val" / "labels" / "0.png")
    options = dict(channels=4, classes=3)
    assert kseg.evaluate(model, "folder", data_dir=str(tmp_path), data_options={"classes": 3}).mean_iou == 1
    dataset = kseg.data.load("folder", "validation", data_dir=str(tmp_path), pixel_range=(0, 4095), batch_size=1,
                             **options)
    assert kseg.evaluate(model, dataset).mean_iou == 1


def test_without_rasterio_nothing_is_a_scene(scene, monkeypatch):
    monkeypatch.setattr(scenes.importlib.util, "find_spec", lambda name: None)
    assert scenes.scene_in(scene, 4) is None and not scenes.is_georeferenced(scene, 4)


@pytest.mark.slow
def test_memory_is_bounded_by_the_windows(tmp_path):
    """10 classes on 3000 × 4000 pixels of 4 bands are 96 MB of numbers, 480 of scores; the process grows by less."""
    code = """
import resource, sys, warnings, numpy as np, rasterio
from kseg.inference import predict_files
from tests.inference.function_runner import FunctionRunner
from kseg.data import PixelRange
run = FunctionRunner(lambda pixels: np.repeat(pixels[..., :2], 5, -1), 10, 4)
run.pixel_range = PixelRange.of((0, 4095))
def write(path, height, width):
    with rasterio.open(path, "w", driver="GTiff", height=height, width=width, count=4, dtype="uint16", tiled=True,
                       compress="deflate", crs="EPSG:32632", transform=rasterio.Affine(1, 0, 0, 0, -1, 0)) as dataset:
        for top in range(0, height, 500):
            rows = np.zeros((4, 500, width), np.uint16)
            rows[1, :, width // 2:] = 3000
            dataset.write(rows, window=rasterio.windows.Window(0, top, width, 500))
    return path
options = dict(window=256, overlap=0.25, overlays=False, sheet=False)
predict_files(run, write(sys.argv[1] + "/small.tif", 500, 600), sys.argv[1] + "/out", **options)
large = write(sys.argv[1] + "/large.tif", 3000, 4000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
predict_files(run, large, sys.argv[1] + "/out", **options)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    with rasterio.open(tmp_path / "out" / "labels" / "large.tif") as dataset:
        labels = dataset.read(1)
    assert labels[:, :2000].max() == 0 and (labels[:, 2000:] == 5).all()
    assert int(done.stdout) < 200_000  # KiB
