"""Training from folders of binary and multi-label masks, from Python and from the command."""

import json
import os

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg import cli, models
from kseg.training import AdversarialTrainer, TrainingRecipe, resume, train
from kseg.training.adversarial.recipe import AdversarialRecipe
from tests.conftest import structured_image
from tests.training.tiny import tiny_builder

pytestmark = pytest.mark.filterwarnings("ignore:after epoch")  # tiny models may answer one class for an epoch
SHORT = {"data": "folder", "image_size": (24, 32), "batch_size": 2, "epochs": 2, "learning_rate": 0.02}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(models, "PSPNet", tiny_builder, raising=False)


def write(root, task):
    """Four images a split; the masks are where the red band, and of "multilabel" the green one, is above 128."""
    for split in ("train", "val"):
        for index in range(4):
            image = np.roll(structured_image(24, 32), 5 * index, axis=1)
            masks = {"": image[..., 0] > 128} if task == "binary" else {
                "red/": image[..., 0] > 128, "green/": image[..., 1] > 128}
            labels = {f"labels/{name}{index}.png": (mask * 255).astype(np.uint8) for name, mask in masks.items()}
            for path, array in {f"images/{index}.png": image, **labels}.items():
                path = os.path.join(root, split, path)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                Image.fromarray(array).save(path)
    return str(root)


@pytest.mark.slow
@pytest.mark.parametrize("task, names, loss", [
    ("binary", ["foreground"], {"cross_entropy": 1.0, "lovasz_hinge": 1.0}),
    ("multilabel", ["green", "red"], {"focal": 1.0, "dice": 0.5})])
def test_a_run_follows_its_task(tmp_path, task, names, loss):
    recipe = TrainingRecipe(data_dir=write(tmp_path / "set", task), task=task, loss=loss,
                            class_weights="inverse_log", augment={"flip": 0.5, "rotation": 10.0}, ema=0.5, **SHORT)
    result = train(recipe, tmp_path / "run", verbose=0)
    assert list(result.per_class_iou) == names
    assert (result.model.task, result.model.classes) == (task, len(names))
    assert result.mean_iou == pytest.approx(np.nanmean(list(result.per_class_iou.values())))
    assert result.mean_iou == pytest.approx(max(row["val_mean_iou"] for row in result.history), abs=1e-5)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["recipe"]["task"] == task and record["data"]["classes"] == names
    assert list(record["best"]["per_class_iou"]) == names
    panel = np.asarray(Image.open(tmp_path / "run" / "panel.png"))
    assert panel.ndim == 3 and panel.std() > 20
    evaluation = kseg.evaluate(tmp_path / "run" / "best.keras", "folder", data_dir=recipe.data_dir,
                               image_size=recipe.image_size, full_resolution=False)
    assert evaluation.mean_iou == pytest.approx(result.mean_iou, abs=1e-6)
    np.testing.assert_array_equal(evaluation.confusion, result.confusion)
    assert resume(tmp_path / "run", verbose=0).confusion.tolist() == result.confusion.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_the_command_trains_measures_predicts_and_exports(tmp_path, task, capsys):
    folder, run = write(tmp_path / "set", task), tmp_path / "run"
    data = ["--data", "folder", "--data-dir", folder]
    assert cli.main(["check-data", *data, "--task", task, "--quiet"]) == 0
    assert cli.main(["train", "--output", str(run), *data, "--task", task, "--image-size", "24", "32", "--epochs", "1",
                     "--batch-size", "2", "--verbose", "0"]) == 0
    assert cli.main(["evaluate", f"{run}/best.keras", *data, "--quiet", "--output", f"{run}/report"]) == 0
    assert "best threshold" in capsys.readouterr().out
    best = json.loads((run / "report" / "report.json").read_text())["thresholds"]
    threshold = [str(row["best"]) for row in best]
    assert cli.main(["predict", f"{run}/best.keras", f"{folder}/val/images", "--output", f"{run}/out", "--quiet",
                     "--threshold", *threshold]) == 0
    place = "0.png" if task == "binary" else "green/0.png"
    assert set(np.unique(np.asarray(Image.open(run / "out" / "labels" / place)))) <= {0, 1}
    assert cli.main(["export", f"{run}/best.keras", f"{run}/m.tflite", "--image-size", "24", "32", "--labels",
                     "--threshold", *threshold, *data, "--evaluate"]) == 0
    described = kseg.export.read_metadata(run / "m.tflite")
    assert described["task"] == task and np.atleast_1d(described["threshold"]).tolist() == [
        row["best"] for row in best]
    found = kseg.predict(run / "m.tflite", f"{folder}/val/images/0.png")
    if task == "multilabel":
        np.testing.assert_array_equal(found[..., 0], np.asarray(Image.open(run / "out" / "labels" / place)))
    assert cli.main(["predict", f"{run}/m.tflite", f"{folder}/val/images", "--output", f"{run}/b", "--quiet",
                     "--threshold", "0.5"]) == 1
    assert "`threshold` must be None for a file that was exported with output='labels'" in capsys.readouterr().err


@pytest.mark.parametrize("make, sentence", [
    (lambda: TrainingRecipe(task="binary", loss="lovasz_softmax"), "`loss` must be one of ('cross_entropy', 'dice', "
     "'focal', 'jaccard', 'lovasz_hinge', 'tversky') for task='binary', got loss='lovasz_softmax'. Did you mean "
     "'lovasz_hinge'?"),
    (lambda: TrainingRecipe(loss="lovasz_hinge"), "`loss` must be one of ('cross_entropy', 'dice', 'focal', 'jaccard', "
     "'lovasz_softmax', 'tversky') for task='multiclass', got loss='lovasz_hinge'. Did you mean 'lovasz_softmax'?"),
    (lambda: TrainingRecipe(model_options={"task": "binary"}), "`model_options` must not hold 'task', which a field of "
     "the recipe says, got model_options={'task': 'binary'}. Set task in the recipe instead."),
    (lambda: TrainingRecipe(data_options={"task": "binary"}), "`data_options` must not hold 'task', which the recipe's "
     "field `task` says, got data_options={'task': 'binary'}. Set task in the recipe instead."),
    (lambda: AdversarialRecipe(start_from="a.keras", task="binary"), "`task` must be one of ('multiclass',) for "
     "adversarial fine-tuning, got task='binary'. The discriminators are of label maps with one class per pixel."),
    (lambda: AdversarialTrainer(tiny_builder(1, task="binary")), "`task` must be one of ('multiclass',) for "
     "adversarial training, got task='binary'. The discriminators are of label maps with one class per pixel."),
])
def test_what_does_not_go_together(make, sentence):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == sentence


def test_a_binary_task_needs_two_classes(tmp_path):
    with pytest.raises(ValueError, match="`task` must fit the 5 classes of the dataset"):
        train(TrainingRecipe(task="binary"), tmp_path / "run", verbose=0)


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_a_class_without_a_pixel_is_told(task):
    images = np.stack([structured_image(24, 32)] * 4)
    classes = 1 if task == "binary" else 2
    labels = (images[..., :classes] > 128).astype("int32")
    labels[..., -1] = 0
    model = tiny_builder(classes, task=task)
    model.label_set = kseg.tasks.of(task).label_set(1 if task == "binary" else ["red", "green"])
    with pytest.warns(kseg.DataWarning, match=r"got classes=\['1 \((foreground|green)\)'\]"):
        model.fit(images, labels[..., 0] if task == "binary" else labels, verbose=0)
