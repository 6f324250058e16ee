import numpy as np
import pytest

from kseg.export.parity import compare, limits_for, mean_iou
from kseg.export.parity_report import ParityReport


def _report(**changes):
    values = {"path": "m.tflite", "kind": "tflite", "images": [[4, 8, 9]], "max_abs_difference": 1e-5,
              "mean_abs_difference": 1e-6, "largest_logit": 2.0, "label_agreement": 1.0, "size_bytes": 1000,
              "operators": {"CONV_2D": 3}, "limits": limits_for(None, None, 0.01)}
    return ParityReport(**{**values, **changes})


def test_compare_counts_by_hand():
    logits = np.zeros((1, 2, 2, 3), np.float32)
    logits[0, :, :, 1] = [[1, 1], [1, -4]]
    other = logits.copy()
    other[0, 0, 0, 2] = 3.0
    found = compare(lambda _: logits, lambda _: other, [np.zeros((1, 2, 2, 3), np.uint8)])
    assert found == {"images": [[1, 2, 2]], "max_abs_difference": 3.0, "mean_abs_difference": 3.0 / 12,
                     "largest_logit": 4.0, "label_agreement": 0.75}


def test_compare_takes_labels():
    logits = np.eye(3, dtype=np.float32)[np.array([[[0, 1], [2, 2]]])]
    found = compare(lambda _: logits, lambda _: np.array([[[0, 1], [2, 1]]], np.uint8), [np.zeros((2, 2, 2, 3))])
    assert found["label_agreement"] == 0.75
    assert found["max_abs_difference"] is None


def test_mean_iou_leaves_ignored_pixels_and_absent_classes_out():
    truth = np.array([[[0, 0, 1, 255]]])
    guess = np.array([[[0, 1, 1, 1]]])
    dataset = [(np.zeros((1, 1, 4, 3)), truth)]
    assert mean_iou(lambda _: guess, dataset, classes=5) == pytest.approx((1 / 2 + 1 / 2) / 2)


def test_a_report_that_holds():
    assert _report().check().failures == []


def test_a_failing_report_says_what_fails():
    report = _report(label_agreement=0.9, max_abs_difference=0.5)
    with pytest.raises(ValueError) as caught:
        report.check()
    assert str(caught.value) == (
        "`model` must answer after export as it does in Keras, got model='label agreement 0.90000 is below 0.999; "
        "largest logit difference 0.5 is above 0.002'. Nothing was written. Export without quantisation, calibrate "
        "with more images of the kind the model will see, or lower minimum_agreement or raise maximum_miou_drop if the "
        "loss is acceptable.")


def test_a_fall_of_mean_iou_fails():
    assert _report(miou_original=0.8, miou_exported=0.785).failures == ["mean IoU changes by -0.0150, more than -0.01"]
    assert _report(miou_original=0.8, miou_exported=0.795).failures == []


def test_not_a_number_fails():
    assert _report(max_abs_difference=float("nan")).failures


def test_json_round_trip(tmp_path):
    report = _report(gpu_unfriendly_operators=("ARG_MAX",), miou_original=0.5, miou_exported=0.6,
                     latency={"TFLite": {"median_ms": 1.0, "least_ms": 0.5, "most_ms": 2.0, "runs": 3}})
    report.save(tmp_path / "r.json")
    assert ParityReport.load(tmp_path / "r.json") == report


def test_the_table_reads():
    from rich.console import Console

    report = _report(layer_errors=[{"tensor": "a/conv", "operator": "CONV_2D", "error": 0.25}])
    console = Console(width=100, record=True, file=open("/dev/null", "w"))
    console.print(report)
    text = console.export_text()
    for piece in ("label agreement", "100.000 %", "CONV_2D 3", "0.250 CONV_2D a/conv", "answers as the original"):
        assert piece in text and piece in str(report)


def test_limits():
    limits = limits_for("int8", None, 0.02)
    assert limits == {"label_agreement": 0.9, "relative_difference": None, "miou_drop": 0.02}
    with pytest.raises(ValueError, match="`minimum_agreement` must be a number between 0 and 1"):
        limits_for(None, 2, 0.01)
