"""A recipe: checks, JSON round trip, and the parts assembled from it."""

import json
import os

import keras
import numpy as np
import pytest
from PIL import Image

from kseg import losses, models
from kseg.data import shapes
from kseg.labels import LabelSet
from kseg.training import AdversarialRecipe, Poly, TrainingRecipe, from_recipe
from kseg.training.adversarial.recipe import recipe_from_dict
from kseg.training.parts import Data, Loss, Optimization
from kseg.training.splits import Splits
from tests.data.conftest import make_folder
from tests.training.tiny import tiny_builder


def test_json_round_trip():
    recipe = TrainingRecipe(image_size=[64, 96], loss={"dice": 0.5, "cross_entropy": 1.0}, multipliers={"head": 10.0},
                            data_options={"label_map": {255: 1, 0: 0}}, augment={"flip": 0.5, "scale": [0.5, 2.0]})
    assert TrainingRecipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize("options, error, sentence", [
    ({"model": "psp"}, ValueError, None),
    ({"optimizer": "adam"}, ValueError,
     "`optimizer` must be one of ('adamw', 'sgd'), got optimizer='adam'. Did you mean 'adamw'?"),
    ({"loss": {"dise": 1.0}}, ValueError,
     "`loss` must be one of ('cross_entropy', 'dice', 'focal', 'jaccard', 'lovasz_softmax', 'tversky'), "
     "got loss='dise'. Did you mean 'dice'?"),
    ({"loss": ["dice"]}, TypeError,
     "`loss` must be a name or a dict of name -> weight, got loss=['dice']. "
     "Write for example loss={'cross_entropy': 1.0, 'dice': 0.5}."),
    ({"ema": 1.5}, ValueError, "`ema` must be a number between 0 and 1, got ema=1.5. Pass a value from 0 to 1."),
    ({"loss": "dice", "ohem_fraction": 0.25}, ValueError,
     "`ohem_fraction` must be left out where no cross_entropy is in `loss`, got ohem_fraction=0.25. "
     "Add it: loss={'cross_entropy': 1.0, ...}."),
    ({"class_weights": {0: 5.0, 1: 1.0}}, TypeError, None),
    ({"model": "UNet", "model_options": {"padding": "valid"}}, ValueError,
     "`model_options` must not hold padding='valid', whose logits are smaller than the labels, got model_options="
     "{'padding': 'valid'}. Train it with model.fit on labels cropped by 92 pixels a side: "
     "data.map(lambda pixels, labels: (pixels, labels[:, 92:-92, 92:-92]))."),
    ({"epochs": 0}, ValueError,
     "`epochs` must be a positive integer, got epochs=0. Pass a whole number of at least 1."),
])
def test_illegal_values(options, error, sentence):
    with pytest.raises(error) as raised:
        TrainingRecipe(**options)
    assert sentence is None or str(raised.value) == sentence


def test_unknown_key_of_a_stored_recipe():
    with pytest.raises(ValueError) as error:
        TrainingRecipe.from_dict({"epoch": 3})
    assert str(error.value).endswith("got recipe='epoch'. Did you mean 'epochs'?")


def test_records_of_an_earlier_kseg_load():
    """A fine-tuning once recorded the fields that build a network too, which it did not read."""
    network = {"model": "PSPNet", "encoder_name": None, "encoder_weights": None, "model_options": {},
               "mixed_precision": None, "ema": None}
    wanted = AdversarialRecipe(start_from="m.keras", epochs=3)
    assert recipe_from_dict({**wanted.to_dict(), **network}) == wanted
    assert recipe_from_dict({**TrainingRecipe().to_dict(), "epochs": 3}) == TrainingRecipe(epochs=3)


def test_a_recipe_has_the_fields_of_its_parts_alone():
    plain, fine = TrainingRecipe().to_dict(), AdversarialRecipe(start_from="m.keras").to_dict()
    assert {"model", "ema", "mixed_precision"} <= plain.keys() - fine.keys()
    assert {"discriminator", "stride"} <= fine.keys() - plain.keys()
    assert set(Data().__dataclass_fields__) <= plain.keys() & fine.keys()
    for recipe in (TrainingRecipe, AdversarialRecipe):
        for name in recipe.field_names():
            assert f"        {name}: " in recipe.__doc__


def test_steps_are_rounded_up_to_epochs():
    assert TrainingRecipe(steps=450).whole_epochs(45) == 10
    assert TrainingRecipe(steps=451).whole_epochs(45) == 11
    assert TrainingRecipe(epochs=3).whole_epochs(45) == 3


def test_the_optimizer_of_a_recipe():
    recipe = TrainingRecipe(optimizer="sgd", learning_rate=0.1, warmup_steps=5, power=2.0, momentum=0.8, clipnorm=1.0,
                            weight_decay=0.01, decay_biases=False, multipliers={"head": 10.0})
    optimizer = from_recipe.optimizer(recipe, 50, ema=0.99)
    config = optimizer.get_config()
    assert config["learning_rate"]["config"] == Poly(0.1, 50, 2.0, 5).get_config()
    wanted = {"momentum": 0.8, "global_clipnorm": 1.0, "weight_decay": 0.01, "decay_biases": False,
              "multipliers": {"head": 10.0}, "use_ema": True, "ema_momentum": 0.99}
    assert {name: config[name] for name in wanted} == wanted
    constant = from_recipe.optimizer(Optimization(schedule="constant", learning_rate=0.1), 50)
    assert float(constant.learning_rate) == pytest.approx(0.1)


def test_the_loss_of_a_recipe():
    single = from_recipe.loss(Loss(ohem_fraction=0.25, class_weights=[1, 2, 3, 4, 5]), None)
    assert isinstance(single, losses.CrossEntropy)
    assert (single.ohem_fraction, single.class_weights) == (0.25, [1, 2, 3, 4, 5])
    summed = from_recipe.loss(Loss(loss={"cross_entropy": 1.0, "lovasz_softmax": 0.5}), None)
    assert [(type(term).__name__, weight) for term, weight in summed.terms] == [
        ("CrossEntropy", 1.0), ("LovaszSoftmax", 0.5)]


def test_class_weights_reach_every_loss():
    names = ("cross_entropy", "dice", "focal", "jaccard", "lovasz_softmax", "tversky")
    summed = from_recipe.loss(Loss(loss=dict.fromkeys(names, 1.0), class_weights=[1, 2, 3]), None)
    for loss, _ in summed.terms:
        assert (loss.alpha if loss.name == "focal" else loss.class_weights) == [1.0, 2.0, 3.0], loss.name


def test_class_weights_by_name_come_from_the_training_images(monkeypatch):
    from kseg import data
    monkeypatch.setattr(shapes, "COUNTS", {"train": 6, "validation": 2, "test": 2})
    recipe = TrainingRecipe(class_weights="median_frequency")
    loss = from_recipe.loss(recipe, Splits.open(recipe, 3))
    np.testing.assert_allclose(loss.class_weights, data.class_weights("shapes", "train", method="median_frequency"))


def _fitted(recipe):
    training = recipe.training()
    return training.fitted(Splits.open(recipe, training.channels), 10)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", None])
def test_the_model_of_a_recipe(monkeypatch, policy):
    monkeypatch.setattr(models, "PSPNet", tiny_builder, raising=False)
    fitted = _fitted(TrainingRecipe(mixed_precision=policy, freeze_encoder=True))
    model = fitted.segmenter
    assert keras.config.dtype_policy().name == "float32"
    assert model.get_layer("hidden").compute_dtype == (policy or "mixed_float32").removeprefix("mixed_")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
    assert not model.encoder.trainable_weights and model.label_set == shapes.label_set()
    assert fitted.score.classes == 5 and fitted.model is model
    again = _fitted(TrainingRecipe(mixed_precision=policy)).segmenter
    for one, other in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(one, other)  # one seed, one initial state


def test_bands_of_data_and_model_must_agree():
    with pytest.raises(ValueError) as error:
        _fitted(TrainingRecipe(model_options={"in_channels": 1}, data_options={"channels": 3}))
    assert str(error.value) == ("`channels` must be the model's in_channels, 1, got channels=3. "
                                "Set both to the bands of the images.")


@pytest.mark.parametrize("options, sentence", [
    ({"batch_size": 4}, "`data_options` must not hold 'batch_size', which the recipe's field `batch_size` says, got "
                        "data_options={'batch_size': 4}. Set batch_size in the recipe instead."),
    ({"name": "camvid"}, "`data_options` must not hold 'name', which the recipe's field `data` says, got "
                         "data_options={'name': 'camvid'}. Set data in the recipe instead."),
    ({"clases": 2}, "`data_options` must be one of ('classes', 'channels', 'label_map', 'image_pattern', "
                    "'label_pattern', 'cache', 'cache_size', 'on_error', 'shard', 'border_weights'), got "
                    "data_options='clases'. Did you mean 'classes'?"),
])
def test_options_of_the_data_that_a_recipe_does_not_take(options, sentence):
    with pytest.raises(ValueError) as error:
        TrainingRecipe(data_options=options)
    assert str(error.value) == sentence


@pytest.mark.parametrize("name", ["seed", "epoch", "shuffle", "drop_remainder", "patches", "augment", "split"])
def test_what_a_recipe_decides_itself_is_no_option_of_its_data(name):
    with pytest.raises(ValueError, match="^`data_options` must (not hold|be one of)"):
        TrainingRecipe(data_options={name: 1})


def test_border_weights_are_for_training_only(monkeypatch):
    monkeypatch.setattr(shapes, "COUNTS", {"train": 6, "validation": 2, "test": 2})
    recipe = TrainingRecipe(image_size=(32, 32), batch_size=2, data_options={"border_weights": {"cell_classes": [1]}})
    splits = Splits.open(recipe, 3)
    assert len(next(iter(splits.training_batches(lambda: 0)))) == 3
    assert len(next(iter(splits.validation_batches()))) == 2


def test_skipped_pairs_leave_the_number_of_batches_known(tmp_path):
    folder = make_folder(tmp_path / "set")
    recipe = TrainingRecipe(data="folder", data_dir=folder, image_size=(20, 30), batch_size=2, augment=False,
                            data_options={"classes": 3, "on_error": "skip"})
    sound = {at: [labels.numpy() for _, labels in Splits.open(recipe, 3).training_batches(lambda: at)] for at in (0, 1)}
    broken = os.path.join(folder, "train", "images", "002.png")
    ids = np.asarray(Image.open(broken.replace("images", "labels")))
    open(broken, "wb").close()
    batches = Splits.open(recipe, 3).training_batches(lambda: epoch)
    assert len(batches) == 3
    for epoch in (0, 1, 0):
        expected = [one for one in np.concatenate(sound[epoch]) if not np.array_equal(one, ids)]
        given = np.concatenate([labels.numpy() for _, labels in batches])
        np.testing.assert_array_equal(given[:4], expected[:4])
        assert len(batches) == 3


def test_training_data_depends_on_the_epoch_alone(monkeypatch):
    monkeypatch.setattr(shapes, "COUNTS", {"train": 6, "validation": 2, "test": 2})
    recipe = TrainingRecipe(image_size=(32, 32), batch_size=2, class_aware=0.5)
    passes = [[pixels.numpy() for pixels, _ in Splits.open(recipe, 3).training_batches(lambda: epoch)]
              for epoch in (0, 1, 1)]
    np.testing.assert_array_equal(passes[1], passes[2])
    assert not np.array_equal(passes[0], passes[1])


def test_class_weights_of_an_array_are_json():
    recipe = TrainingRecipe(class_weights=np.array([0.5, 2], np.float32))
    assert json.loads(json.dumps(recipe.to_dict()))["class_weights"] == [0.5, 2.0]


def test_a_label_set_and_numpy_integers_are_recorded():
    recipe = TrainingRecipe(data="folder", data_options={"classes": LabelSet(("cell", "wall"))}, epochs=np.int64(3))
    again = TrainingRecipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe and again.data_options["classes"] == LabelSet(("cell", "wall"))


def test_what_cannot_be_recorded_is_refused_before_training():
    with pytest.raises(TypeError, match="`data_options` must hold plain values, which run.json can record, got"):
        TrainingRecipe(data_options={"classes": np.zeros(2)})
