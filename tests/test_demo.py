"""The demo: what it prints without TensorFlow's notices, and, slowly, what it writes."""

import dataclasses
import os
import sys
import types

import pytest

from kseg.cli import demo as command
from kseg.cli import tables


def test_the_models_stand_side_by_side(capsys):
    first = types.SimpleNamespace(per_class_iou={"disk": 0.5, "square": float("nan")}, mean_iou=0.5)
    second = types.SimpleNamespace(per_class_iou={"disk": 0.25, "square": 0.75}, mean_iou=0.5)
    tables.iou_of_models_table({"U-Net": first, "PSPNet": second}, "IoU")
    out = capsys.readouterr().out
    rows = {line.split()[1]: line.split()[3:6:2] for line in out.splitlines() if line.startswith("│")}
    assert rows == {"disk": ["0.500", "0.250"], "square": ["–", "0.750"], "mean": ["0.500", "0.500"]}


def test_notices_of_libraries_are_kept_back_and_warnings_are_not(capfd):
    with command.quiet():
        os.write(2, b"no cuda\n")
        sys.stderr.write("labels are odd\n")
    assert capfd.readouterr().err == "labels are odd\n"


def test_notices_are_shown_after_an_error(capfd):
    with pytest.raises(ImportError), command.quiet():
        os.write(2, b"no libc\n")
        raise ImportError
    assert capfd.readouterr().err == "no libc\n"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:after epoch")
def test_the_demo_writes_everything(tmp_path):
    from kseg.demo import PYRAMID_RECIPE, RECIPE, demo

    short = {"image_size": (32, 32), "batch_size": 100, "epochs": 1, "warmup_steps": 1}
    result = demo(tmp_path / "demo", dataclasses.replace(RECIPE, **short),
                  dataclasses.replace(PYRAMID_RECIPE, **short), verbose=0)
    assert {"run", "pspnet", "serving", "shapes.tflite", "sheet.png"} <= set(os.listdir(tmp_path / "demo"))
    assert not any(report.failures for report in result.reports)
    with pytest.raises(FileExistsError):
        demo(tmp_path / "demo")
