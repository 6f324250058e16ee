"""Binary and multi-label models: labels by threshold, probabilities, averages, windows, files, evaluation."""

import json

import numpy as np
import pytest
from PIL import Image

import kseg
from kseg import metrics, pictures, tasks
from kseg.inference import DenseCRF, label_files, predict_files, predict_tiled
from kseg.labels import LabelSet
from tests.inference.function_runner import FunctionRunner

CLASSES = {"binary": 1, "multilabel": 3}
LABELS = LabelSet(("red", "green/lime", "blue"), np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]]))
both = pytest.mark.parametrize("task", ["binary", "multilabel"])


def runner(task):
    """Logits are the bands: 0 at grey level 120, 1 more for every 20 levels."""
    classes = CLASSES[task]
    return FunctionRunner(lambda pixels: (pixels[..., :classes] - 120) / 20, classes, 3,
                          LABELS if task == "multilabel" else None, task=task)


def image(height=20, width=28):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 12, columns * 9, (rows * 7 + columns * 5) % 256], -1).astype(np.uint8)


def sigmoid(values):
    return 1 / (1 + np.exp(-values.astype("float64")))


@both
@pytest.mark.parametrize("threshold", [None, 0.25, 0.9])
def test_labels_are_what_exceeds_the_threshold(task, threshold):
    run, pixels = runner(task), image()
    wanted = pixels[..., :CLASSES[task]] > 120 + 20 * np.log((threshold or 0.5) / (1 - (threshold or 0.5)))
    wanted = wanted[..., 0] if task == "binary" else wanted
    for options in ({}, {"window": 12}, {"window": 12, "blend": "uniform", "overlap": 0.2}):
        labels = kseg.predict(run, pixels, threshold=threshold, **options)
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, wanted)
    np.testing.assert_array_equal(predict_tiled(run, pixels, window=12, margin=2, threshold=threshold), wanted)
    batch = kseg.predict(run, np.stack([pixels, pixels[::-1]]), threshold=threshold)
    np.testing.assert_array_equal(batch, [wanted, wanted[::-1]])


@both
def test_probabilities_and_logits_keep_the_axis_of_classes(task):
    run, pixels = runner(task), image()
    probabilities = kseg.predict(run, pixels, "probabilities")
    assert probabilities.shape == (20, 28, CLASSES[task]) and probabilities.dtype == np.float32
    logits = (pixels[..., :CLASSES[task]].astype("float32") - 120) / 20
    np.testing.assert_allclose(probabilities, sigmoid(logits), atol=1e-6)
    np.testing.assert_allclose(kseg.predict(run, pixels, "logits"), logits, atol=1e-6)


@both
def test_flips_average_probabilities(task):
    pixels, classes = image(), CLASSES[task]

    def lopsided(batch):  # the left half answers more than the right
        return (batch[..., :classes] - 120) / 20 + np.linspace(2, -2, batch.shape[2])[:, None]

    run = FunctionRunner(lopsided, classes, 3, task=task)
    wanted = (sigmoid(lopsided(pixels[None].astype("float32")))
              + sigmoid(lopsided(pixels[None, :, ::-1].astype("float32")))[:, :, ::-1])[0] / 2
    found = kseg.predict(run, pixels, "probabilities", flip=True)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    labels = kseg.predict(run, pixels, flip=True, threshold=0.3)
    np.testing.assert_array_equal(labels.reshape(found.shape), found > 0.3)
    np.testing.assert_allclose(sigmoid(kseg.predict(run, pixels, "logits", flip=True)), wanted, atol=1e-6)


def test_each_class_may_have_its_own_threshold():
    labels = kseg.predict(runner("multilabel"), image(), threshold=[0.1, 0.5, 0.9])
    levels = 120 + 20 * np.log(np.array([0.1, 0.5, 0.9]) / np.array([0.9, 0.5, 0.1]))
    np.testing.assert_array_equal(labels, image() > levels)


def test_a_model_brings_its_own_threshold():
    from tests.training.tiny import tiny_builder

    model = tiny_builder(1, task="binary")
    probabilities = kseg.predict(model, image(), "probabilities")[..., 0]
    model.threshold = float(np.median(probabilities))
    np.testing.assert_array_equal(kseg.predict(model, image()), probabilities > np.float32(model.threshold))
    assert 0.3 < kseg.predict(model, image()).mean() < 0.7


@pytest.mark.parametrize("task, threshold, sentence", [
    ("multiclass", 0.5, "`threshold` must be None for task='multiclass', got threshold=0.5. The class with the largest "
     "logit wins there."),
    ("multilabel", [0.5, 0.5], "`threshold` must be a number, or 3, one per class, got threshold=[0.5, 0.5]. Pass a "
     "probability between 0 and 1, or one per class.")])
def test_wrong_thresholds(task, threshold, sentence):
    run = FunctionRunner(lambda pixels: pixels, 3, 3, task=task)
    with pytest.raises(ValueError) as caught:
        kseg.predict(run, image(), threshold=threshold)
    assert str(caught.value) == sentence


def test_files_of_a_multilabel_model_are_one_per_class(tmp_path):
    Image.fromarray(image()).save(tmp_path / "a.png")
    written = predict_files(runner("multilabel"), tmp_path / "a.png", tmp_path / "out")
    names = [path.removeprefix(f"{tmp_path}/out/") for path in written]
    assert names == ["labels/red/a.png", "labels/green-lime/a.png", "labels/blue/a.png", "overlays/a.png", "sheet.png"]
    wanted = kseg.predict(runner("multilabel"), image())
    for index, name in enumerate(names[:3]):
        stored = Image.open(tmp_path / "out" / name)
        np.testing.assert_array_equal(np.asarray(stored), wanted[..., index])
        assert stored.getpalette()[:6] == [0, 0, 0, *LABELS.palette[index]]
    with pytest.raises(FileExistsError, match="labels/red/a.png"):
        predict_files(runner("multilabel"), tmp_path / "a.png", tmp_path / "out", sheet=False)
    written = predict_files(runner("binary"), tmp_path / "a.png", tmp_path / "one", threshold=0.8)
    np.testing.assert_array_equal(np.asarray(Image.open(written[0])),
                                  kseg.predict(runner("binary"), image(), threshold=0.8))


def test_overlays_mix_the_colours_of_a_pixel():
    labels = np.array([[[1, 0, 0], [1, 1, 0], [0, 0, 0], [255, 255, 255], [255, 0, 1]]])
    colours, covered = pictures.painted(labels, LABELS)
    assert colours.tolist() == [[[200, 0, 0], [100, 100, 0], [0, 0, 0], list(LABELS.ignore_color), [0, 0, 200]]]
    assert covered.tolist() == [[True, True, False, False, True]]
    mixed = pictures.overlay(np.full((1, 5, 3), 100, np.uint8), labels, LABELS, 0.5)
    assert mixed.tolist() == [[[150, 50, 50], [100, 100, 50], [100] * 3, [100] * 3, [50, 50, 150]]]


def truth(task, count=3):
    """Images and labels that the runner gets partly wrong; some of every class is ignored."""
    for index in range(count):
        pixels = np.roll(image(), 3 * index, 0)
        labels = (pixels > 135).astype(np.int32)
        labels[index, :, 0] = labels[:, 4, 1] = labels[3:5, 3:9] = 255
        yield pixels, labels[..., 0] if task == "binary" else labels


@both
def test_evaluation_equals_counts_of_the_predictions(task, tmp_path):
    run, pairs = runner(task), list(truth(task))
    result = kseg.evaluate(run, pairs, threshold=0.6)
    labels = np.stack([labels for _, labels in pairs])
    found = np.stack([kseg.predict(run, pixels, threshold=0.6) for pixels, _ in pairs])
    probabilities = np.stack([kseg.predict(run, pixels, "probabilities") for pixels, _ in pairs])
    matrix = metrics.confusion_matrix(labels, found, CLASSES[task], task=task)
    np.testing.assert_array_equal(result.confusion, matrix)
    names = LABELS.names if task == "multilabel" else ("foreground",)
    iou = [(found[..., index] & (labels[..., index] == 1)).sum()
           / (((found[..., index] == 1) | (labels[..., index] == 1)) & (labels[..., index] != 255)).sum()
           for index in range(3)] if task == "multilabel" else [
        ((found == 1) & (labels == 1)).sum() / (((found == 1) | (labels == 1)) & (labels != 255)).sum()]
    assert result.per_class_iou == pytest.approx(dict(zip(names, iou)))
    assert result.mean_iou == pytest.approx(np.mean(iou))
    curve = metrics.ThresholdCurve(CLASSES[task])
    curve.update(labels, probabilities)
    best = tuple(threshold for threshold, _ in curve.best())
    assert result.best_threshold == (best if task == "multilabel" else best[0])
    two = np.stack([1 - probabilities, probabilities], -1)
    assert result.expected_calibration_error == pytest.approx(metrics.expected_calibration_error(
        labels if task == "multilabel" else labels[..., None], two))
    again = kseg.evaluate(run, pairs, threshold=result.best_threshold)  # at the best threshold nothing is wrong
    assert again.mean_iou == 1 and again.boundary_f1 == 1 and again.mean_boundary_iou == 1
    written = result.write(tmp_path / "report")
    assert [path.rsplit("/", 1)[1] for path in written] == [
        *(["confusion.png"] if task == "binary" else []), "reliability.png", "worst.png", "thresholds.png",
        "report.html", "report.json"]
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["task"] == task and [row["used"] for row in report["thresholds"]] == [0.6] * CLASSES[task]
    assert result.table().columns[0]._cells == list(names)


def test_a_boundary_is_measured_class_by_class():
    pairs = list(truth("multilabel"))
    result = kseg.evaluate(runner("multilabel"), pairs)
    found = [kseg.predict(runner("multilabel"), pixels) for pixels, _ in pairs]
    for index in range(3):
        counts = sum(metrics.boundary_counts(labels[..., index], guess[..., index], 2)
                     for (_, labels), guess in zip(pairs, found))
        assert result.per_class[index]["boundary_iou"] == pytest.approx(metrics.boundary_iou(counts)[1])


def test_labels_of_the_wrong_rank_are_refused():
    pixels, labels = next(truth("binary"))
    with pytest.raises(ValueError, match=r"must give pixels .* and labels \[\(B,\) h, w, classes"):
        kseg.evaluate(runner("multilabel"), [(pixels, labels)])


def test_multiclass_has_no_threshold():
    run = FunctionRunner(lambda pixels: pixels, 3, 3)
    result = kseg.evaluate(run, [(image(), image().argmax(-1))])
    assert result.best_threshold is None and result.thresholds == [] and result.to_dict()["task"] == "multiclass"


def test_the_dense_crf_of_a_binary_model_is_that_of_two_classes():
    foreground = sigmoid((image()[..., 0] - 120) / 20).astype("float32")
    two = DenseCRF(iterations=3)(image(), np.stack([1 - foreground, foreground], -1))
    one = DenseCRF(iterations=3)(image(), foreground[..., None])
    assert one.shape == (20, 28, 1)
    np.testing.assert_array_equal(one[..., 0], two[..., 1])
    with pytest.raises(ValueError, match="The classes of a multilabel model are refined one by one"):
        DenseCRF()(image(), np.stack([foreground] * 3, -1))


def test_label_map_of_tensors_and_arrays():
    import tensorflow as tf

    logits = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype("float32")
    for task, classes in CLASSES.items():
        given = logits[..., :classes]
        wanted = tasks.of(task).decide(given, tasks.logit(0.7))
        np.testing.assert_array_equal(kseg.inference.label_map(given, task, 0.7), wanted)
        np.testing.assert_array_equal(kseg.inference.label_map(tf.constant(given), task, 0.7), wanted)


def test_volumes_and_geotiffs_hold_one_class_per_pixel():
    with pytest.raises(ValueError) as caught:
        label_files.kind_for("scan.nii.gz", 1, tasks.of("multilabel"))
    assert str(caught.value) == (
        "`inputs` must be pictures for a model of task='multilabel', not volumes and GeoTIFFs, got "
        "inputs='scan.nii.gz'. Segment it with kseg.predict, which returns [H, W, classes].")
    assert label_files.kind_for("scan.nii.gz", 1, tasks.of("binary")) is label_files.VOLUME
