"""FCN in stages: each starts from the best weights of the one before; a second call goes on."""

import json

import keras
import numpy as np
import pytest

from kseg import cli, models
from kseg.data import shapes
from kseg.training import TrainingRecipe, staged, train_fcn_in_stages
from kseg.training.callbacks.record import Record
from tests.models.tiny_backbone import tiny_backbone

pytestmark = pytest.mark.filterwarnings("ignore:after epoch")  # tiny models may answer one class for an epoch
RECIPE = TrainingRecipe(model="FCN8s", image_size=(32, 32), batch_size=4, epochs=2, learning_rate=0.01, seed=1,
                        model_options={"at_once": False, "upsampling": "learned"})

TWO = {"stages": ("FCN32s", "FCN16s"), "rate_factors": (1.0, 0.1)}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    for stage in ("FCN32s", "FCN16s", "FCN8s"):
        builder = getattr(models, stage)
        monkeypatch.setattr(models, stage, lambda classes, builder=builder, **options: builder(
            classes, tiny_backbone(), **options), raising=False)
    monkeypatch.setattr(shapes, "COUNTS", {"train": 12, "validation": 4, "test": 4})


@pytest.mark.slow
def test_stages_follow_each_other(tmp_path, monkeypatch):
    folder = tmp_path / "fcn"
    with monkeypatch.context() as patch:  # stopped in the second epoch of the second stage
        patch.setattr(Record, "on_train_batch_end", _stop_in_second_epoch_of_fcn16s)
        with pytest.raises(KeyboardInterrupt):
            train_fcn_in_stages(RECIPE, folder, **TWO, verbose=0)
    assert sorted(json.loads((folder / "stages.json").read_text())["mean_iou"]) == ["FCN32s"]
    page = (folder / "report.html").read_text()
    assert "finished" in page and "interrupted" in page and 'href="FCN16s/report.html"' in page
    finished = (folder / "FCN32s" / "best.keras").stat().st_mtime_ns
    begun = json.loads((folder / "stages.json").read_text())
    del begun["recipe"]["synchronize_batch_normalization"]  # begun before kseg knew this field
    (folder / "stages.json").write_text(json.dumps(begun))
    result = train_fcn_in_stages(RECIPE, folder, **TWO, verbose=0)
    assert (folder / "FCN32s" / "best.keras").stat().st_mtime_ns == finished

    assert list(result.mean_iou) == ["FCN32s", "FCN16s"]
    assert json.loads((folder / "stages.json").read_text())["mean_iou"] == result.mean_iou
    assert [len(stage.history) for stage in result.stages.values()] == [2, 2]
    assert result.final.model.name == "fcn16s"
    rates = [json.loads((folder / stage / "run.json").read_text())["recipe"]["learning_rate"]
             for stage in result.stages]
    np.testing.assert_allclose(rates, [0.01, 0.001])
    (folder / "report.html").unlink()  # a call that was killed before it had written the page
    train_fcn_in_stages(RECIPE, folder, **TWO, verbose=0)
    assert (folder / "report.html").read_text().count("finished") >= 2
    with pytest.raises(ValueError) as caught:
        train_fcn_in_stages(TrainingRecipe(model="FCN8s"), folder, verbose=0)
    assert str(caught.value) == (f"`output_dir` must hold stages of the same recipe, got output_dir='{folder}'. "
                                 "Choose another folder, or pass the recipe that began them.")


@pytest.mark.slow
def test_stages_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(staged, "STAGES", ("FCN32s", "FCN16s"))
    others = train_fcn_in_stages.__defaults__[2:]
    monkeypatch.setattr(train_fcn_in_stages, "__defaults__", (staged.STAGES, (1.0, 0.1), *others))
    words = ["train", "--in-stages", "--image-size", "32", "32", "--batch-size", "4", "--epochs", "1", "--verbose", "0",
             "--option", "upsampling=learned", "--output", str(tmp_path / "fcn")]
    for _ in range(2):  # the second call loads what the first trained
        assert cli.main(words) == 0
        out = capsys.readouterr().out
        assert "FCN32s │" in out and "FCN16s │" in out and "triangle" in out
    assert sorted(json.loads((tmp_path / "fcn" / "stages.json").read_text())["mean_iou"]) == ["FCN16s", "FCN32s"]


def _stop_in_second_epoch_of_fcn16s(self, batch, logs=None):
    if self.progress.epoch == 1 and self.model.name == "fcn16s":
        raise KeyboardInterrupt


def test_a_stage_starts_from_the_weights_of_the_one_before(tmp_path):
    coarse = models.FCN32s(3, compile=False)
    for weight in coarse.weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    coarse.save(tmp_path / "coarse.keras")
    fine = models.FCN16s(3, start_from=str(tmp_path / "coarse.keras"), compile=False)
    for name in ("encoder", "score_c5"):
        for ours, theirs in zip(fine.get_layer(name).weights, coarse.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert not np.any(fine.get_layer("score_c4").kernel)  # the new skip starts at zero


def test_error_sentences(tmp_path):
    path = str(tmp_path / "coarse.keras")
    models.FCN32s(3, compile=False).save(path)
    with pytest.raises(ValueError) as caught:
        models.FCN16s(4, start_from=path)
    assert str(caught.value) == (f"`start_from` must be a model of 4 classes, not of 3, got start_from='{path}'. "
                                 "Train all stages on the same classes.")
    with pytest.raises(ValueError) as caught:
        models.FCN16s(3, start_from=path, fc_filters=4)
    assert str(caught.value).startswith("`start_from` must have the same 'score_c5' as the new model, got ")
    with pytest.raises(ValueError) as caught:
        train_fcn_in_stages(RECIPE, tmp_path, stages=("FCN8s", "FCN32s"))
    assert str(caught.value) == (
        "`stages` must be some of ('FCN32s', 'FCN16s', 'FCN8s') in this order, got stages=('FCN8s', 'FCN32s'). "
        "Leave it out for all three.")
    with pytest.raises(ValueError) as caught:
        train_fcn_in_stages(RECIPE, tmp_path, rate_factors=(1.0,))
    assert str(caught.value) == ("`rate_factors` must hold one number for each of 3 stages, got rate_factors=(1.0,). "
                                 "The papers use (1, 0.01, 0.0001) for three stages.")
    plain = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(3, 1)])
    plain.save(path)
    with pytest.raises(ValueError) as caught:
        models.FCN16s(3, start_from=path)
    assert str(caught.value) == (f"`start_from` must be an FCN, got start_from='{path}'. Give an FCN-32s or FCN-16s.")
