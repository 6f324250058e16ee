"""kseg.evaluate against scores computed directly, at full resolution, over batches; the report it writes."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from rich.console import Console

import kseg
from kseg import data, metrics
from kseg.cli import main
from kseg.inference.report import page as report_page
from kseg.labels import LabelSet
from kseg.pages.environment import shown
from tests.inference.function_runner import FunctionRunner

LABELS = LabelSet(("dark", "red", "green & blue"))


def by_colour(pixels):
    return np.concatenate([np.full_like(pixels[..., :1], 90), pixels[..., :2]], -1) / 40


def scene(index, height=24, width=36):
    """Coloured blocks whose truth differs from their colour in a strip `index` pixels wide."""
    labels = np.repeat(np.repeat(np.array([[0, 1, 2], [2, 0, 1]]), height // 2, 0), width // 3, 1)
    image = np.zeros((height, width, 3), np.uint8)
    image[labels == 1, 0] = image[labels == 2, 1] = 180 + index
    labels[:, 20:20 + index] = 1
    labels[0] = 255
    return image, labels.astype(np.int32)


@pytest.fixture
def run():
    return FunctionRunner(by_colour, 3, 3, LABELS)


@pytest.fixture
def pairs():
    return [scene(index) for index in range(5)]


def test_scores_equal_those_of_the_predictions(run, pairs):
    result = kseg.evaluate(run, pairs)
    labels = np.stack([one for _, one in pairs])
    probabilities = np.stack([kseg.predict(run, image, "probabilities") for image, _ in pairs])
    predictions = probabilities.argmax(-1)
    matrix = metrics.confusion_matrix(labels, predictions, 3)
    np.testing.assert_array_equal(result.confusion, matrix)
    assert result.mean_iou == metrics.scores_from_confusion(matrix)["mean_iou"]
    assert result.expected_calibration_error == pytest.approx(
        metrics.expected_calibration_error(labels, probabilities))
    assert result.boundary_f1 == pytest.approx(np.mean(
        [metrics.image_boundary_f1(one, guess, 3) for one, guess in zip(labels, predictions)]))
    counts = sum(metrics.boundary_counts(one, guess, 3) for one, guess in zip(labels, predictions))
    assert result.mean_boundary_iou == pytest.approx(np.nanmean(metrics.boundary_iou(counts)))
    assert result.per_class_iou == pytest.approx(dict(zip(LABELS.names, metrics.iou_from_confusion(matrix))))
    assert [row["name"] for row in result.images] == [f"image {index}" for index in range(5)]
    assert [one.name for one in result.worst] == [f"image {index}" for index in (4, 3, 2, 1, 0)]


def test_batches_order_and_windows_do_not_matter(run, pairs):
    wanted = kseg.evaluate(run, pairs).scores
    arrays = np.stack([image for image, _ in pairs]), np.stack([labels for _, labels in pairs])
    dataset = tf.data.Dataset.from_tensor_slices(arrays)
    assert kseg.evaluate(run, dataset.batch(2)).scores == pytest.approx(wanted)
    assert kseg.evaluate(run, pairs[::-1]).scores == pytest.approx(wanted)
    assert kseg.evaluate(run, dataset, window=16, flip=True).scores == pytest.approx(wanted, abs=1e-6)


def test_logits_are_resized_to_the_label(run, pairs):
    half = [(image[::2, ::2], labels) for image, labels in pairs]
    result = kseg.evaluate(run, half)
    assert result.confusion.sum() == sum((labels != 255).sum() for _, labels in pairs)
    logits = np.stack([kseg.predict(run, image, "logits") for image, _ in half])
    predictions = tf.image.resize(logits, (24, 36)).numpy().argmax(-1)
    np.testing.assert_array_equal(result.confusion, metrics.confusion_matrix(
        np.stack([labels for _, labels in pairs]), predictions, 3))


def test_named_dataset_at_full_resolution(tmp_path):
    for index in range(3):
        image, labels = scene(index)
        for kind, array in (("images", image), ("labels", labels.astype(np.uint8))):
            (tmp_path / "validation" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / "validation" / kind / f"{index}.png")
    (tmp_path / "classes.txt").write_text("dark\nred\ngreen\n")
    run = FunctionRunner(by_colour, 3, 3)
    full = kseg.evaluate(run, "folder", data_dir=tmp_path, image_size=(12, 18), progress=True)
    assert full.confusion.sum() == 3 * 23 * 36 and full.label_set.names == ("dark", "red", "green")
    assert full.worst[0].name.endswith("2.png")
    small = kseg.evaluate(run, "folder", data_dir=tmp_path, image_size=(12, 18), full_resolution=False)
    validation = kseg.evaluate(run, data.load("folder", "validation", data_dir=tmp_path, image_size=(12, 18)))
    np.testing.assert_array_equal(small.confusion, validation.confusion)
    plain = kseg.evaluate(run, "folder", data_dir=tmp_path, boundaries=False, keep_worst=1)
    assert plain.boundary_f1 is None and len(plain.worst) == 1
    assert plain.mean_iou == kseg.evaluate(run, [scene(index) for index in range(3)]).mean_iou


def test_report_is_written_whole_and_once(run, pairs, tmp_path):
    result = kseg.evaluate(run, pairs, keep_worst=2)
    written = result.write(tmp_path / "report")
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "confusion.png", "reliability.png", "report.html", "report.json", "worst.png"]
    assert sorted(written) == sorted(str(path) for path in (tmp_path / "report").iterdir())
    values = json.loads((tmp_path / "report" / "report.json").read_text())
    assert values["scores"]["mean_iou"] == result.mean_iou and values["confusion"] == result.confusion.tolist()
    assert len(values["images"]) == 5 and values["per_class"][1]["name"] == "red"
    page = (tmp_path / "report" / "report.html").read_text()
    assert "green &amp; blue" in page and page.count("data:image/png;base64,") == 2 * len(
        {one.name for one in (*result.worst, *result.worst_of_class.values())})  # truth and prediction of each
    assert "http:" not in page and "https:" not in page
    assert values["images"][0]["per_class"]["red"]["iou"] == pytest.approx(metrics.iou_from_confusion(
        metrics.confusion_matrix(pairs[0][1], kseg.predict(run, pairs[0][0]), 3))[1])
    with pytest.raises(FileExistsError) as caught:
        result.write(tmp_path / "report")
    assert str(caught.value) == (f"`folder` must not hold a report already, got folder={str(tmp_path / 'report')!r}. "
                                 "Take another folder or pass overwrite=True.")
    without = kseg.evaluate(run, pairs, keep_worst=0).write(tmp_path / "report", overwrite=True)
    assert len(without) == 4 and not (tmp_path / "report" / "worst.png").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "report.html").write_text("a page of another kind")
    with pytest.raises(FileExistsError, match="`folder` must not hold a report already"):
        result.write(tmp_path / "mine")


def test_command_refuses_a_report_that_is_there_before_it_measures(tmp_path, capsys):
    file = str(tmp_path / "file")
    (tmp_path / "file").write_text("")
    assert main(["evaluate", "nowhere.keras", "--data", "shapes", "--output", file]) == 1
    assert capsys.readouterr().err == (
        f"kseg: `folder` must be a folder or new, got folder={file!r}. Give the path of a folder.\n")
    (tmp_path / "report.json").write_text("{}")
    assert main(["evaluate", "nowhere.keras", "--data", "shapes", "--output", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (f"kseg: `folder` must not hold a report already, got folder={str(tmp_path)!r}. "
                                       "Take another folder or pass overwrite=True.\n")


def test_table_names_classes_and_means(run, pairs):
    console = Console(width=120, record=True, quiet=False, file=open("/dev/null", "w"))
    console.print(kseg.evaluate(run, pairs).table())
    text = console.export_text()
    assert "green & blue" in text and "mean" in text and "boundary IoU" in text and "expected calibration" in text


def test_absent_classes_and_empty_images_are_null_in_json(run):
    result = kseg.evaluate(run, [(np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 255))])
    assert result.to_dict()["scores"]["mean_iou"] is None and result.worst == []
    assert result.worst_sheet() is None
    assert shown(float("nan")) == "–"
    json.dumps(result.to_dict(), allow_nan=False)


def test_bad_datasets(run, pairs):
    with pytest.raises(ValueError) as caught:
        kseg.evaluate(run, [])
    assert str(caught.value) == "`dataset` must hold at least one image, got dataset='list'. Check the split."
    with pytest.raises(TypeError) as caught:
        kseg.evaluate(run, [np.zeros((8, 8, 3))])
    assert str(caught.value) == ("`dataset` must give pairs (pixels, labels), got dataset='ndarray'. "
                                 "Zip the images with their labels.")
    with pytest.raises(ValueError, match=r"`dataset` must give pixels \[\(B,\) H, W, channels\] and labels"):
        kseg.evaluate(run, [(np.zeros((8, 8, 3)), np.zeros((8, 8, 3)))])
    with pytest.raises(ValueError, match="`image_size` must be given with full_resolution=False, got image_size=None"):
        kseg.evaluate(run, [scene(0)], full_resolution=False)
    with pytest.raises(ValueError, match="`dataset` must be a name where .* is given, got dataset='list'"):
        kseg.evaluate(run, [scene(0)], data_options={"classes": 3})
    with pytest.raises(ValueError, match="`dataset` must be a name where `image_size`, `data_dir` or `data_options`"):
        kseg.evaluate(run, pairs, image_size=(8, 8))
    with pytest.raises(ValueError, match="`labels` must hold ids between 0 and 2, or 255 for pixels to ignore, got "):
        kseg.evaluate(run, [(np.zeros((8, 8, 3)), np.full((8, 8), 7))])


def test_the_worst_image_of_each_class_is_kept(run, pairs):
    result = kseg.evaluate(run, pairs, keep_worst=1)
    assert list(result.worst_of_class) == list(LABELS.names) and len(result.worst) == 1
    for name, one in result.worst_of_class.items():
        scores = {row["name"]: row["per_class"][name]["iou"] for row in result.images if name in row["per_class"]}
        assert scores[one.name] == min(scores.values())
    assert kseg.evaluate(run, pairs, keep_worst=0).worst_of_class == {}


def test_names_in_the_page_stay_text(pairs):
    names = LabelSet(("<script>alert(1)</script>", "a & b", '"quoted"'))
    page = report_page.html_report(kseg.evaluate(FunctionRunner(by_colour, 3, 3, names), pairs))
    assert page.count("<script") == 1 and "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "a &amp; b" in page
    assert page.startswith("<!doctype html>") and page.count("data:image/png;base64,") == 2 * len(pairs)
