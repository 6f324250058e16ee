"""Keras's companions, each an optional package, on a model of kseg: logs, tuners, pictures of the graph."""

import sys

import keras
import numpy as np
import pytest

from kseg import models
from tests.conftest import structured_image
from tests.models.tiny_backbone import tiny_backbone

CLASSES = 4


def small(width=1):
    return models.FCN32s(CLASSES, encoder_name=tiny_backbone(width=width))


def pair():
    pixels = np.stack([structured_image(32, 48), 255 - structured_image(32, 48)])
    return pixels, (pixels[..., 0] // 64).astype("int32")


def fitted(callbacks, epochs=1):
    model, (pixels, labels) = small(), pair()
    model.fit(pixels, labels, validation_data=(pixels, labels), epochs=epochs, verbose=0, callbacks=callbacks)
    return model


def test_tensorboard_gets_loss_and_mean_iou_of_both_sets(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    model = fitted([keras.callbacks.TensorBoard(tmp_path, histogram_freq=1)], epochs=2)
    for name, prefix in (("train", ""), ("validation", "val_")):
        events = EventAccumulator(str(tmp_path / name)).Reload()
        for score in ("loss", "mean_iou"):
            written = [float(make_ndarray(event.tensor_proto)) for event in events.Tensors(f"epoch_{score}")]
            assert written == pytest.approx(model.history.history[prefix + score])
    tags = EventAccumulator(str(tmp_path / "train")).Reload().Tags()["tensors"]
    assert any(tag.endswith("/histogram") for tag in tags)


def test_tensorboard_without_its_package_is_refused_before_the_first_step(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for callbacks in (keras.callbacks.TensorBoard(tmp_path), [keras.callbacks.TensorBoard(tmp_path)]):
        with pytest.raises(ImportError) as caught:
            fitted(callbacks)
        assert str(caught.value) == (
            "`callbacks` needs the package tensorboard, got callbacks='TensorBoard'. "
            'Install it: pip install "kseg[tensorboard]".')


def test_weights_and_biases_gets_the_scores(monkeypatch, tmp_path):
    wandb = pytest.importorskip("wandb")
    from wandb.integration.keras import WandbMetricsLogger

    for name, value in (("WANDB_MODE", "offline"), ("WANDB_SILENT", "true")):
        monkeypatch.setenv(name, value)
    with wandb.init(project="kseg", dir=tmp_path) as run:
        model = fitted([WandbMetricsLogger()])
        assert run.summary["epoch/val_mean_iou"] == pytest.approx(model.history.history["val_mean_iou"][-1])


@pytest.mark.filterwarnings("ignore::UserWarning")  # of type hints inside mlflow
def test_mlflow_gets_the_scores_and_the_model(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("kseg", str(tmp_path / "artifacts")))
    with mlflow.start_run() as run:
        model = fitted([mlflow.tensorflow.MlflowCallback()])
        stored = mlflow.tensorflow.log_model(model, name="model")
    metrics = mlflow.get_run(run.info.run_id).data.metrics
    assert metrics["val_mean_iou"] == pytest.approx(model.history.history["val_mean_iou"][-1])
    again = mlflow.tensorflow.load_model(stored.model_uri)
    np.testing.assert_array_equal(np.asarray(again(pair()[0])), np.asarray(model(pair()[0])))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # the tuner keeps weights alone
def test_keras_tuner_searches_by_validation_mean_iou(tmp_path):
    keras_tuner = pytest.importorskip("keras_tuner")
    tuner = keras_tuner.RandomSearch(
        lambda hp: small(width=hp.Choice("width", [1, 2])),
        objective=keras_tuner.Objective("val_mean_iou", "max"), max_trials=2, directory=tmp_path)
    pixels, labels = pair()
    tuner.search(pixels, labels, validation_data=(pixels, labels), epochs=1, verbose=0)
    trials = tuner.oracle.get_best_trials(2)
    assert sorted(trial.hyperparameters["width"] for trial in trials) == [1, 2] and trials[0].score >= trials[1].score
    best = tuner.get_best_models(1)[0]
    assert best.evaluate(pixels, labels, verbose=0, return_dict=True)["mean_iou"] == pytest.approx(trials[0].score)


def test_the_graph_is_drawn_and_listed(tmp_path):
    pydot = pytest.importorskip("pydot")
    model = small()
    graph = keras.utils.model_to_dot(model, show_shapes=True)
    assert len([node for node in graph.get_nodes() if node.get_name() not in ("node", "edge")]) == len(model.layers)
    lines = []
    model.summary(print_fn=lines.append)
    assert "logits" in "\n".join(lines)
    try:
        pydot.Dot().create()
    except OSError:
        pytest.skip("Graphviz, a program of its own, is not installed")
    keras.utils.plot_model(model, tmp_path / "graph.png", show_shapes=True)
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")
