"""From the loss and optimisation parts of a recipe to the Keras objects they name; for every kind of training."""

import contextlib
import random
from collections.abc import Iterator, Sequence

import keras

from kseg import checks, losses, tasks
from kseg.training.freezing import freeze_batch_normalization, freeze_encoder
from kseg.training.optimizers import SGD, AdamW
from kseg.training.parts import Loss, Optimization
from kseg.training.schedules import Poly
from kseg.training.splits import Splits
from kseg.training.synchronizing import synchronize_batch_normalization


@contextlib.contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Have Keras draw initial weights and the seeds of dropout from `seed`.

    Keras takes them from Python's `random`, which afterwards goes on as it was; the global seeds of TensorFlow and
    NumPy are the user's and stay untouched.
    """
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def optimizer(recipe: Optimization, steps: int, ema: float | None = None) -> keras.optimizers.Optimizer:
    """Return the recipe's optimiser for a run of `steps` updates; `ema`: momentum of an average of the weights."""
    rate = recipe.learning_rate
    if recipe.schedule == "poly":
        rate = Poly(rate, steps, power=recipe.power, warmup_steps=recipe.warmup_steps)
    shared = {"weight_decay": recipe.weight_decay, "multipliers": recipe.multipliers,
              "decay_biases": recipe.decay_biases, "global_clipnorm": recipe.clipnorm,
              "use_ema": ema is not None, "ema_momentum": 0.99 if ema is None else ema}
    return SGD(rate, momentum=recipe.momentum, **shared) if recipe.optimizer == "sgd" else AdamW(rate, **shared)


def loss(recipe: Loss, splits: Splits, task: str = "multiclass") -> keras.losses.Loss:
    """Return the recipe's loss for a task, a weighted sum if it names several; `splits` count classes if asked to."""
    weights = recipe.class_weights
    if isinstance(weights, str):
        weights = splits.class_weights(weights)
    kind = tasks.of(task)
    terms = [(_softmax_term(name, recipe, weights) if kind.exclusive else _sigmoid_term(name, recipe, weights, kind),
              weight) for name, weight in recipe.loss.items()]
    return terms[0][0] if len(terms) == 1 and terms[0][1] == 1 else losses.WeightedSum(terms)


def prepare(recipe: Optimization, model: keras.Model) -> None:
    """Hold the parts of `model` that the recipe names, and synchronise its batch normalisation if it says so."""
    if recipe.freeze_encoder:
        freeze_encoder(model)
    if recipe.freeze_batch_normalization:
        freeze_batch_normalization(model)
    if recipe.synchronize_batch_normalization:
        synchronize_batch_normalization(model)


def _softmax_term(name: str, recipe: Loss, weights: Sequence[float] | None) -> keras.losses.Loss:
    if name == "cross_entropy":
        return losses.CrossEntropy(class_weights=weights, label_smoothing=recipe.label_smoothing,
                                   ohem_fraction=recipe.ohem_fraction, ohem_threshold=recipe.ohem_threshold)
    if name == "focal":
        return losses.Focal(alpha=weights)
    return {"dice": losses.Dice, "jaccard": losses.Jaccard, "lovasz_softmax": losses.LovaszSoftmax,
            "tversky": losses.Tversky}[name](class_weights=weights)


def _sigmoid_term(name: str, recipe: Loss, weights: Sequence[float] | None, task: tasks.Task) -> keras.losses.Loss:
    """Return the loss of this name for logits that are decided one by one.

    Of a task with a background `weights` are those of background and foreground: of the labels 0 and 1 of its class.
    """
    positive = alpha = None
    if weights is not None and task.background:
        (background, foreground), weights = _checked_pair(weights), None
        positive, alpha = foreground / background, foreground / (background + foreground)
    if name == "cross_entropy":
        return losses.BinaryCrossEntropy(positive_weights=positive, class_weights=weights,
                                         label_smoothing=recipe.label_smoothing, ohem_fraction=recipe.ohem_fraction,
                                         ohem_threshold=recipe.ohem_threshold)
    if name == "focal":
        return losses.BinaryFocal(alpha=alpha, class_weights=weights)
    if name == "lovasz_hinge":
        return losses.LovaszHinge(class_weights=weights)
    return {"dice": losses.Dice, "jaccard": losses.Jaccard, "tversky": losses.Tversky}[name](
        class_weights=weights, task=task.name)


def _checked_pair(weights: Sequence[float]) -> tuple[float, float]:
    """Return the weights of background and foreground as floats.

    Raises:
        ValueError: if there are not two, both above 0.
    """
    if len(weights) != 2 or min(weights) <= 0:
        raise ValueError(checks.sentence(
            "class_weights", "must be two numbers above 0 for task='binary', of background and foreground",
            [float(weight) for weight in weights], "Write for example [0.5, 4.0]."))
    return float(weights[0]), float(weights[1])
