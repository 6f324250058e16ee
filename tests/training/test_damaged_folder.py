"""Damaged files of a run are called so, by every reader."""

import argparse
import json

import keras
import numpy as np
import pytest

from kseg.cli import recipe_options
from kseg.training import TrainingRecipe, resume, state
from kseg.training.run_page.write import write_run_page

REPORT = {"recipe": TrainingRecipe(data="nowhere").to_dict(), "status": "interrupted"}


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"recipe": 3}', "[" * 100_000, '{"recipe": {"epochs"'])
def test_a_run_json_that_is_none(text, tmp_path):
    (tmp_path / "run.json").write_text(text)
    for reader in (resume, write_run_page):
        with pytest.raises(ValueError, match="^`output_dir` must hold an undamaged run.json, got output_dir="):
            reader(tmp_path)
    if text not in ("{}",):  # a recipe of defaults
        with pytest.raises(ValueError, match="^`recipe` must be a file of a recipe in JSON, got recipe="):
            recipe_options.recipe(argparse.Namespace(recipe=str(tmp_path / "run.json"), in_stages=False))


@pytest.mark.parametrize("change", [{"data": {"train_images": 3}}, {"length": 7}, {"parameters": []}, {"best": "x"},
                                    {"data": {"classes": ["a"], "palette": 3}}], ids=str)
def test_a_page_of_a_damaged_report(change, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({**REPORT, **change}))
    with pytest.raises(ValueError, match="^`output_dir` must hold an undamaged run.json, got output_dir="):
        write_run_page(tmp_path)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("field, value", [
    ("epochs", "ten"), ("epochs", True), ("data_options", [1]), ("image_size", [3]), ("loss", 7), ("model", None),
    ("learning_rate", [1]), ("multipliers", {"encoder": "much"}), ("ema", {}), ("class_weights", 3)])
def test_fields_of_another_type(field, value):
    with pytest.raises(TypeError, match=f"^`{field}` must be of type .*, got {field}="):
        TrainingRecipe.from_dict({**REPORT["recipe"], field: value})


def test_a_state_that_is_none(tmp_path):
    variables = [keras.Variable(np.zeros((2, 3), "float32"))]
    path = tmp_path / "state.npz"
    state.save(path, variables, state.Progress().facts())
    content = path.read_bytes()
    for damaged in (b"", content[:-30], content[:200], content.replace(b"history", b"histary")):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="^`output_dir` must hold an undamaged state.npz, got output_dir="):
            state.restore(path, variables)
            state.Progress.read(path)
    np.savez(path, facts=np.frombuffer(b"[1]", np.uint8))
    with pytest.raises(ValueError, match="undamaged state.npz"):
        state.Progress.read(path)
