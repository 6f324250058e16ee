"""Training on 4 bands of 16 bits, from the command line: the model keeps the range that was measured, and predicts."""

import json

import keras
import numpy as np
import pytest

import kseg
from kseg import cli, models
from kseg.training import TrainingRecipe, train
from tests.training.tiny import tiny_builder

rasterio = pytest.importorskip("rasterio")
from tests.data.geotiff import write_tiff  # noqa: E402


def field(seed, size=32):
    """12 bits in 16; the class is whether the fourth band, infrared, is above 2000. Return (image, labels)."""
    random = np.random.default_rng(seed)
    labels = np.kron(random.integers(0, 2, (size // 8, size // 8)), np.ones((8, 8), int)).astype(np.uint8)
    image = random.integers(500, 1500, (size, size, 4)).astype(np.uint16)
    image[..., 3] += labels.astype(np.uint16) * 2000
    return image, labels


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "PSPNet", tiny_builder, raising=False)
    for split, first in (("train", 0), ("val", 100)):
        for part in ("images", "labels"):
            (tmp_path / "set" / split / part).mkdir(parents=True)
        for index in range(8):
            image, labels = field(first + index)
            write_tiff(tmp_path / "set" / split / "images" / f"{index}.tif", image)
            write_tiff(tmp_path / "set" / split / "labels" / f"{index}.tif", labels[..., None])
    return tmp_path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:after epoch")
def test_train_then_predict_a_scene_from_the_command_line(folder, capsys):
    run = str(folder / "run")
    words = ("--data folder --data-option pixel_range=percentiles --in-channels 4 --image-size 32 32 --batch-size 4 "
             "--epochs 12 --learning-rate 0.02 --verbose 0")
    cli.main(["train", "--data-dir", str(folder / "set"), "--output", run, *words.split()])
    with open(folder / "run" / "run.json", encoding="utf-8") as file:
        report = json.load(file)
    assert report["recipe"]["data_options"] == {"pixel_range": "percentiles"}
    model = kseg.load_model(folder / "run" / "best.keras")
    assert model.pixel_range.to_list() == report["data"]["pixel_range"] and len(model.pixel_range.bounds) == 4
    every = np.concatenate([field(index)[0].reshape(-1, 4) for index in range(8)]).astype(np.float64)
    np.testing.assert_allclose(model.pixel_range.bounds, np.percentile(every, (0.1, 99.9), axis=0).T, rtol=1e-6)
    assert report["best"]["mean_iou"] > 0.8
    scene, truth = field(500, 96)
    write_tiff(folder / "scene.tif", scene)
    cli.main(["predict", f"{run}/best.keras", str(folder / "scene.tif"), "--output", str(folder / "out"), "--window",
              "32", "32", "--polygons", "--quiet"])
    with rasterio.open(folder / "out" / "labels" / "scene.tif") as dataset:
        labels = dataset.read(1)
        assert dataset.crs == rasterio.CRS.from_epsg(32632)
    assert (labels == truth).mean() > 0.9
    assert (folder / "out" / "polygons" / "scene.geojson").exists()
    scores = kseg.evaluate(model, "folder", data_dir=str(folder / "set"), boundaries=False)
    assert abs(scores.mean_iou - report["best"]["mean_iou"]) < 1e-3
    capsys.readouterr()


@pytest.mark.slow
def test_a_recipe_with_a_range_is_recorded_and_read_back(folder):
    recipe = TrainingRecipe(data="folder", data_options={"pixel_range": kseg.data.PixelRange.of((0, 4095))})
    stored = json.loads(json.dumps(recipe.to_dict()))
    assert stored["data_options"] == {"pixel_range": [[0, 4095]]}
    again = TrainingRecipe.from_dict(stored)
    again = TrainingRecipe.from_dict({**stored, "data_dir": str(folder / "set"), "image_size": [32, 32], "epochs": 1,
                                      "model_options": {"in_channels": 4}, "batch_size": 4})
    model = train(again, folder / "run", verbose=0).model
    assert model.pixel_range == kseg.data.PixelRange(((0.0, 4095.0),))
    keras.backend.clear_session()


def test_without_a_range_the_run_says_what_is_missing(folder):
    recipe = TrainingRecipe(data="folder", data_dir=str(folder / "set"), image_size=(32, 32),
                            model_options={"in_channels": 4})
    with pytest.raises(ValueError, match="holds uint16 from 5.. to 3..., got pixel_range=None. Pass for example"):
        train(recipe, folder / "run", verbose=0)
