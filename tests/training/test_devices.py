"""Training on two devices equals training on one, on TensorFlow and on JAX; and which devices are refused."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from kseg import load_model
from kseg.cli import main
from kseg.training import AdversarialRecipe, TrainingRecipe, train
from kseg.training.devices import Devices


@pytest.fixture(scope="module", params=["tensorflow", "jax"])
def runs(request, tmp_path_factory):
    """Return the folder of the runs of `on_two_devices`, and what they gave."""
    folder = tmp_path_factory.mktemp(request.param)
    environment = {**os.environ, "KERAS_BACKEND": request.param, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-m", "tests.training.on_two_devices", str(folder)], capture_output=True,
                          text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    results = json.loads((folder / "results.json").read_text())
    return folder, results


def _weights(folder):
    return load_model(folder / "last.keras", compile=False).get_weights()


def _equal(folder, results, one, other, atol, but=()):
    for first, second in zip(_weights(folder / one), _weights(folder / other), strict=True):
        np.testing.assert_allclose(second, first, rtol=0, atol=atol)
    assert results[one]["confusion"] == results[other]["confusion"]
    for first, second in zip(results[one]["history"], results[other]["history"], strict=True):
        for name in set(first).difference(but):
            np.testing.assert_allclose(second[name], first[name], rtol=1e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["statistics", "adamw"])
def test_two_devices_train_as_one(runs, name):
    """Weights, synchronised statistics, losses, counts; in `val_loss` the last batch, one image, weighs as two."""
    folder, results = runs
    if f"{name} all" not in results:
        pytest.skip("TensorFlow's optimiser alone adds up the gradients of replicas")
    _equal(folder, results, f"{name} None", f"{name} all", 1e-6, but=["val_loss"])
    assert results[f"{name} all"]["record"] == "all"


@pytest.mark.slow
def test_resumed_on_two_devices_equals_uninterrupted(runs):
    """With a moving average of the weights, float16, an auxiliary head and each device's own statistics."""
    folder, results = runs
    _equal(folder, results, "whole", "killed", 1e-6)
    assert results["killed"]["record"] == results["whole"]["record"] == 2


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_devices(runs):
    _, results = runs
    begun, resumed = results["whole"]["history"], results["on one"]["history"]
    assert results["on one"]["record"] == 1
    assert begun[0] == pytest.approx(resumed[0]) and len(resumed) == 2
    assert all(np.isfinite(row["aux_loss"]) for row in resumed)


@pytest.mark.slow
def test_the_score_of_a_run_is_that_of_the_saved_model(runs):
    """Else the devices' statistics differ, and those of the first alone are saved."""
    again, noted = runs[1]["rescored"]
    assert again == pytest.approx(noted, abs=1e-6)


@pytest.mark.parametrize("asked, error, sentence", [
    (5, ValueError, "`devices` must be 'all' or a number up to 2, the devices present (gpu:0, gpu:1), got devices=5. "
                    "Pass 'all' for those that are present, or 1 for one."),
    (0, ValueError, "`devices` must be 'all' or a positive integer, got devices=0. "
                    "Pass 'all' for those that are present, or 1 for one."),
    ("none", ValueError, "`devices` must be 'all' or a positive integer, got devices='none'. "
                         "Pass 'all' for those that are present, or 1 for one."),
    (True, TypeError, "`devices` must be 'all' or a positive integer, got devices=True. "
                      "Pass 'all' for those that are present, or 1 for one."),
])
def test_devices_that_are_not_there(monkeypatch, asked, error, sentence):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0", "gpu:1"])
    with pytest.raises(error) as caught:
        Devices.chosen(asked)
    assert str(caught.value) == sentence


def test_devices_that_are_there(monkeypatch):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0", "gpu:1", "gpu:2"])
    assert Devices.chosen("all").names == ("gpu:0", "gpu:1", "gpu:2")
    assert Devices.chosen(2).names == ("gpu:0", "gpu:1")
    assert not Devices.chosen(1).several and not Devices.chosen(None).several
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["cpu:0"])
    assert not Devices.chosen("all").several


def test_pytorch_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError) as caught:
        Devices.chosen("all")
    assert str(caught.value) == ("`KERAS_BACKEND` must be 'tensorflow' or 'jax' for several devices, "
                                 "got KERAS_BACKEND='torch'. Leave `devices` out to train on one.")


def test_a_batch_has_an_equal_part_for_each_device():
    Devices(2, ("gpu:0", "gpu:1")).check_batch(6)
    Devices().check_batch(5)
    with pytest.raises(ValueError) as caught:
        Devices(2, ("gpu:0", "gpu:1")).check_batch(5)
    assert str(caught.value) == (
        "`batch_size` (or the number of training images, if that is less) must be a multiple of the 2 devices, "
        "got batch_size=5. Change it, or train on another number of devices.")


def test_adversarial_training_is_of_one_device(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0", "gpu:1"])
    with pytest.raises(ValueError) as caught:
        train(AdversarialRecipe(start_from=str(tmp_path / "best.keras")), tmp_path / "run", devices="all")
    assert str(caught.value) == "`devices` must be 1 for adversarial training, got devices='all'. Leave it out."
    assert not (tmp_path / "run").exists()


def test_nothing_is_written_for_devices_that_are_not_there(tmp_path, capsys):
    assert main(["train", "--data", "shapes", "--output", str(tmp_path / "run"), "--devices", "none"]) != 0
    assert "`devices` must be" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="the devices present"):
        train(TrainingRecipe(), tmp_path / "run", devices=5000)
