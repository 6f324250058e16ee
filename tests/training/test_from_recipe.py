"""The optimiser and the loss that the parts of a recipe name."""

import numpy as np
import pytest

from kseg import data, losses
from kseg.data import shapes
from kseg.training import Poly, TrainingRecipe, from_recipe
from kseg.training.parts import Loss, Optimization
from kseg.training.splits import Splits


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


def test_losses_of_logits_decided_one_by_one():
    names = ("cross_entropy", "dice", "focal", "jaccard", "lovasz_hinge", "tversky")
    recipe = TrainingRecipe(task="multilabel", loss=dict.fromkeys(names, 1.0), class_weights=[1, 2, 3],
                            label_smoothing=0.1)
    terms = [loss for loss, _ in from_recipe.loss(recipe, None, "multilabel").terms]
    assert [type(loss).__name__ for loss in terms] == ["BinaryCrossEntropy", "Dice", "BinaryFocal", "Jaccard",
                                                       "LovaszHinge", "Tversky"]
    for loss in terms:
        assert loss.class_weights == [1.0, 2.0, 3.0] and not loss.task.exclusive
    assert terms[0].label_smoothing == 0.1


def test_weights_of_background_and_foreground():
    recipe = TrainingRecipe(task="binary", loss={"cross_entropy": 1.0, "focal": 1.0, "dice": 1.0},
                            class_weights=[0.5, 2.0])
    cross_entropy, focal, dice = (loss for loss, _ in from_recipe.loss(recipe, None, "binary").terms)
    assert (cross_entropy.positive_weights, cross_entropy.class_weights) == ([4.0], None)
    assert (focal.alpha, focal.class_weights, dice.class_weights) == (0.8, None, None)
    with pytest.raises(ValueError, match="`class_weights` must be two numbers above 0 for task='binary'"):
        from_recipe.loss(TrainingRecipe(task="binary", class_weights=[1.0]), None, "binary")


def test_class_weights_by_name_come_from_the_training_images(monkeypatch):
    monkeypatch.setattr(shapes, "COUNTS", {"train": 6, "validation": 2, "test": 2})
    recipe = TrainingRecipe(class_weights="median_frequency")
    loss = from_recipe.loss(recipe, Splits.open(recipe, 3))
    np.testing.assert_allclose(loss.class_weights, data.class_weights("shapes", "train", method="median_frequency"))
