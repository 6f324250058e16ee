"""A recipe: checks, its fields, JSON round trip."""

import json

import numpy as np
import pytest

from kseg.labels import LabelSet
from kseg.training import AdversarialRecipe, TrainingRecipe
from kseg.training.adversarial.recipe import recipe_from_dict
from kseg.training.parts import Data


def test_json_round_trip():
    recipe = TrainingRecipe(image_size=[64, 96], loss={"dice": 0.5, "cross_entropy": 1.0}, multipliers={"head": 10.0},
                            data_options={"label_map": {255: 1, 0: 0}}, augment={"flip": 0.5, "scale": [0.5, 2.0]})
    assert TrainingRecipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize("options, error, sentence", [
    ({"model": "psp"}, ValueError, None),
    ({"optimizer": "adam"}, ValueError,
     "`optimizer` must be one of ('adamw', 'sgd'), got optimizer='adam'. Did you mean 'adamw'?"),
    ({"loss": {"dise": 1.0}}, ValueError,
     "`loss` must be one of ('cross_entropy', 'dice', 'focal', 'jaccard', 'lovasz_softmax', 'lovasz_hinge', "
     "'tversky'), got loss='dise'. Did you mean 'dice'?"),
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


@pytest.mark.parametrize("options, sentence", [
    ({"batch_size": 4}, "`data_options` must not hold 'batch_size', which the recipe's field `batch_size` says, got "
                        "data_options={'batch_size': 4}. Set batch_size in the recipe instead."),
    ({"name": "camvid"}, "`data_options` must not hold 'name', which the recipe's field `data` says, got "
                         "data_options={'name': 'camvid'}. Set data in the recipe instead."),
    ({"clases": 2}, "`data_options` must be one of ('classes', 'channels', 'label_map', 'nearest_colour', "
                    "'image_pattern', 'label_pattern', 'split_fractions', 'split_groups', 'split_seed', 'split_lists', "
                    "'exif', 'annotations', 'overlap', 'pixel_range', 'cache', 'cache_size', 'on_error', 'shard', "
                    "'border_weights'), got data_options='clases'. Did you mean 'classes'?"),
])
def test_options_of_the_data_that_a_recipe_does_not_take(options, sentence):
    with pytest.raises(ValueError) as error:
        TrainingRecipe(data_options=options)
    assert str(error.value) == sentence


@pytest.mark.parametrize("name", ["seed", "epoch", "shuffle", "drop_remainder", "patches", "augment", "split"])
def test_what_a_recipe_decides_itself_is_no_option_of_its_data(name):
    with pytest.raises(ValueError, match="^`data_options` must (not hold|be one of)"):
        TrainingRecipe(data_options={name: 1})


def test_class_weights_of_an_array_are_json():
    recipe = TrainingRecipe(class_weights=np.array([0.5, 2], np.float32))
    assert json.loads(json.dumps(recipe.to_dict()))["class_weights"] == [0.5, 2.0]


def test_a_label_set_and_numpy_integers_are_recorded():
    recipe = TrainingRecipe(data="folder", data_options={"classes": LabelSet(("cell", "wall"))}, epochs=np.int64(3))
    again = TrainingRecipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe and again.data_options["classes"] == LabelSet(("cell", "wall"))


def test_a_map_of_colours_is_recorded_and_comes_back():
    label_map = {(102, 102, 51): 2, (0, 60, 0): 2, 7: 1, "other": 255}
    recipe = TrainingRecipe(data="folder", data_options={
        "label_map": label_map, "nearest_colour": 30, "split_fractions": [0.8, 0.2], "split_groups": r"(\d+)_"})
    stored = json.loads(json.dumps(recipe.to_dict()))
    assert stored["data_options"]["label_map"] == {"102,102,51": 2, "0,60,0": 2, "7": 1, "other": 255}
    again = TrainingRecipe.from_dict(stored)
    assert again == recipe and again.data_options["label_map"] == label_map
    typed = TrainingRecipe(data_options={"label_map": {"#666633": 2, "(0, 60, 0)": 2, "7": 1, "other": 255}})
    assert typed.data_options["label_map"] == label_map
    with pytest.raises(TypeError, match="^`label_map` must be a dict from stored values, colours"):
        TrainingRecipe(data_options={"label_map": {"red": 1}})


def test_what_cannot_be_recorded_is_refused_before_training():
    with pytest.raises(TypeError, match="`data_options` must hold plain values, which run.json can record, got"):
        TrainingRecipe(data_options={"classes": np.zeros(2)})


def test_recipes_are_compared_as_they_are_recorded():
    recipe = TrainingRecipe(model_options={"rates": (6, 12, 18)})
    stored = json.loads(json.dumps(recipe.to_dict()))
    assert recipe_from_dict(stored).same_as(recipe) and not recipe.same_as(TrainingRecipe())
    del stored["synchronize_batch_normalization"]  # as of a kseg that had no such field
    assert recipe_from_dict(stored).same_as(recipe)
    assert not AdversarialRecipe(start_from="a.keras").same_as(recipe)
