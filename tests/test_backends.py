"""Keras's other backends: the same answers as on TensorFlow, and the same training."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

import kseg
from kseg import models
from tests import on_backend
from tests.test_model_contract import batch, build, sure_logits

LOSSES = {"multiclass": ("CrossEntropy", "Focal", "Dice", "Jaccard", "Tversky", "LovaszSoftmax"),
          "multilabel": ("BinaryCrossEntropy", "BinaryFocal", "LovaszHinge")}
METRICS = ("MeanIoU", "PixelAccuracy", "MeanClassAccuracy", "FrequencyWeightedIoU")


@pytest.fixture(params=["jax", "torch"])
def on(request):
    """Return a function that runs a job of `on_backend` on the backend."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")

    def run(*job, check=True):
        environment = {**os.environ, "KERAS_BACKEND": request.param, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run([sys.executable, "-m", "tests.on_backend", *map(str, job)], capture_output=True,
                              text=True, env=environment)
        assert not check or done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done

    run.backend = request.param
    return run


def _check_near(model, pixels, there):
    """Hold the logits of another backend against those of `model`; of a SegNet where its own are sure."""
    here = np.asarray(model(pixels))
    scale, sure = np.abs(here).max(), np.full(here.shape, True)
    if model.name.startswith("segnet"):
        sure = sure_logits(model, pixels, here, 3e-5 * scale)
        assert sure.mean() > 0.5
    np.testing.assert_allclose(there[sure], here[sure], rtol=0, atol=1e-4 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("name", [
    name if name == "UNet" else pytest.param(name, marks=pytest.mark.many_minutes) for name in models.BUILDERS])
def test_a_model_trained_there_answers_here(on, tmp_path, name):
    """TensorFlow's file loads there and answers alike; one step of training reaches every weight; and back."""
    model = build(name)
    model.save(tmp_path / f"{name}.keras")
    on("contract", tmp_path, name)
    answers = np.load(tmp_path / f"{name}.npz")
    _check_near(model, batch(97, 129, 2), answers["before"])
    trained = kseg.load_model(tmp_path / f"{name}_trained.keras")
    _check_near(trained, batch(97, 129, 2), answers["after"])
    assert ("aux_loss" in answers) == trained.has_aux


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_losses_and_metrics(on, tmp_path, task):
    """Values and gradients, with ignored pixels, are TensorFlow's, which have NumPy references of their own."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:12, :16]
    labels = np.stack([(rows // 4 + columns // 6) % 4, (rows * columns // 30) % 4]).astype("int32")
    labels[:, 0] = 255
    logits = (2 * np.eye(4)[np.minimum(labels, 3)] + random.normal(0, 1, (2, 12, 16, 4))).astype("float32")
    losses, metrics = LOSSES[task], METRICS
    if task == "multilabel":
        labels, metrics = np.where(labels[..., None] == 255, 255, labels[..., None] == np.arange(4)).astype("int32"), ()
    np.savez(tmp_path / "given.npz", labels=labels, logits=logits, losses=losses, metrics=metrics)
    on_backend.scores(tmp_path)
    on("scores", tmp_path)
    here, there = np.load(tmp_path / "tensorflow.npz"), np.load(tmp_path / f"{on.backend}.npz")
    assert set(here) == set(there) and len(list(here)) == 2 * len(losses) + len(metrics)
    for name in here:
        np.testing.assert_allclose(there[name], here[name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_more_pixels_than_32_bits_hold(on, tmp_path):
    on("counts", tmp_path)
    assert (tmp_path / "counted").exists()


def test_what_needs_tensorflow_says_so(on, tmp_path):
    on("refused", tmp_path)
    said = (tmp_path / "said.txt").read_text().splitlines()
    assert len(said) == 3 and all(f"got KERAS_BACKEND={on.backend!r}" in line for line in said)


@pytest.mark.slow
@pytest.mark.many_minutes
def test_half_precision(on, tmp_path):
    on("half", tmp_path)
    assert (tmp_path / "half").exists()


@pytest.mark.slow
@pytest.mark.many_minutes
def test_resumed_equals_uninterrupted(on, tmp_path):
    """`kseg train`, killed after its second epoch of three: the weights are those of a run that was left alone."""
    options = ("--data", "shapes", "--model", "SegNetBasic", "--option", "filters=4", "--image-size", "32", "32",
               "--batch-size", "50", "--epochs", "3", "--verbose", "0")
    on("train", tmp_path, *options, "--output", tmp_path / "whole")
    assert on("killed", tmp_path, *options, "--output", tmp_path / "killed", check=False).returncode == 9
    on("train", tmp_path, "--resume", tmp_path / "killed", "--verbose", "0")
    whole, killed = (kseg.load_model(tmp_path / run / "last.keras")
                     for run in ("whole", "killed"))
    for one, other in zip(whole.get_weights(), killed.get_weights()):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
