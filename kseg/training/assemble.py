"""From a recipe to its parts: label set, datasets, compiled model."""

import contextlib
import dataclasses
import math

import keras
import tensorflow as tf

from kseg import checks, data, losses, models
from kseg.data import augment as augmentation
from kseg.metrics import MeanIoU
from kseg.training.freezing import freeze_batch_normalization, freeze_encoder
from kseg.training.optimizers import SGD, AdamW
from kseg.training.schedules import Poly

_SOURCE_OPTIONS = ("classes", "channels", "label_map", "image_pattern", "label_pattern")
_DATA_OPTIONS = (*_SOURCE_OPTIONS, "cache", "cache_size", "on_error", "shard", "border_weights")
_FIELDS = {"name": "data", **{name: name for name in (
    "data_dir", "image_size", "batch_size", "augment", "patches", "seed")}}  # argument of `load` -> field of a recipe


def source_options(recipe):
    """Return those of the recipe's `data_options` that `kseg.data.source` takes too."""
    return {name: value for name, value in recipe.data_options.items() if name in _SOURCE_OPTIONS}


def label_set(recipe):
    """Return the `LabelSet` of the recipe's dataset."""
    return data.label_set(recipe.data, recipe.data_dir, **source_options(recipe))


def training_data(recipe, epoch):
    """Return the batches of one epoch; `epoch` is a function that says which, asked at the start of each pass.

    Their number is known: where unreadable pairs are skipped, the epoch's first examples come again to fill it.
    """
    plan = augmentation.recipe(recipe.augment)
    if recipe.class_aware is not None:
        plan = dataclasses.replace(plan or augmentation.Recipe(), class_aware=recipe.class_aware)
    options = _data_options(recipe)
    batches = data.load(recipe.data, "train", data_dir=recipe.data_dir, image_size=recipe.image_size,
                        batch_size=recipe.batch_size, augment=plan or False, seed=recipe.seed, epoch=epoch,
                        patches=recipe.patches, **options)
    if options.get("on_error") != "skip" or batches.cardinality() >= 0:
        return batches
    pairs = len(data.source(recipe.data, "train", data_dir=recipe.data_dir, **source_options(recipe)))
    steps = max(pairs * recipe.patches // recipe.batch_size, 1)
    return batches.repeat().take(steps).apply(tf.data.experimental.assert_cardinality(steps))


def validation_data(recipe, batch_size=None, shuffle=False):
    """Return the validation split at the recipe's size, never augmented; with `shuffle` always in the same order.

    It has no border weights, so that the loss on it is comparable.
    """
    options = {name: value for name, value in _data_options(recipe).items() if name != "border_weights"}
    return data.load(recipe.data, "validation", data_dir=recipe.data_dir, image_size=recipe.image_size,
                     batch_size=batch_size or recipe.batch_size, shuffle=shuffle, drop_remainder=False, seed=0, epoch=0,
                     **options)


def counted(batches):
    """Return the batches with their number known, which Keras asks for: one pass where unreadable pairs are skipped."""
    if batches.cardinality() >= 0:
        return batches
    return batches.apply(tf.data.experimental.assert_cardinality(sum(1 for _ in batches)))


def epochs_and_steps(recipe, steps_per_epoch):
    """Return (epochs, optimiser steps in all)."""
    epochs = recipe.epochs if recipe.steps is None else math.ceil(recipe.steps / steps_per_epoch)
    return epochs, epochs * steps_per_epoch


def compiled_model(recipe, labels, steps):
    """Return (the recipe's model, compiled, with random numbers drawn from its seed; its `MeanIoU`).

    Args:
        recipe: `TrainingRecipe`.
        labels: `LabelSet`; the model has its classes and carries it.
        steps: int, optimiser steps of the whole run, for the schedule.
    """
    keras.utils.set_random_seed(recipe.seed)
    options = dict(recipe.model_options)
    for name in ("encoder_name", "encoder_weights"):
        if getattr(recipe, name) is not None:
            options[name] = getattr(recipe, name)
    with _policy(recipe.mixed_precision):
        model = getattr(models, recipe.model)(len(labels), compile=False, **options)
    model.label_set = labels
    if recipe.freeze_encoder:
        freeze_encoder(model)
    if recipe.freeze_batch_normalization:
        freeze_batch_normalization(model)
    score = MeanIoU(len(labels))
    model.compile(optimizer=optimizer(recipe, steps), loss=loss(recipe), metrics=[score])
    return model, score


def optimizer(recipe, steps):
    """Return the recipe's optimiser for a run of `steps` steps."""
    rate = recipe.learning_rate
    if recipe.schedule == "poly":
        rate = Poly(rate, steps, power=recipe.power, warmup_steps=recipe.warmup_steps)
    shared = {"weight_decay": recipe.weight_decay, "multipliers": recipe.multipliers,
              "decay_biases": recipe.decay_biases, "global_clipnorm": recipe.clipnorm,
              "use_ema": recipe.ema is not None, "ema_momentum": 0.99 if recipe.ema is None else recipe.ema}
    return SGD(rate, momentum=recipe.momentum, **shared) if recipe.optimizer == "sgd" else AdamW(rate, **shared)


def loss(recipe):
    """Return the recipe's loss, a sum if it names several."""
    weights = _class_weights(recipe)
    terms = [(_one_loss(name, recipe, weights), weight) for name, weight in recipe.loss.items()]
    return terms[0][0] if len(terms) == 1 and terms[0][1] == 1 else losses.WeightedSum(terms)


def _one_loss(name, recipe, weights):
    if name == "cross_entropy":
        return losses.CrossEntropy(class_weights=weights, label_smoothing=recipe.label_smoothing,
                                   ohem_fraction=recipe.ohem_fraction, ohem_threshold=recipe.ohem_threshold)
    if name == "focal":
        return losses.Focal(alpha=weights)
    return {"dice": losses.Dice, "jaccard": losses.Jaccard, "lovasz_softmax": losses.LovaszSoftmax,
            "tversky": losses.Tversky}[name](class_weights=weights)


def _class_weights(recipe):
    if recipe.class_weights is None or not isinstance(recipe.class_weights, str):
        return recipe.class_weights
    return data.class_weights(recipe.data, "train", method=recipe.class_weights, data_dir=recipe.data_dir,
                              on_error=recipe.data_options.get("on_error", "raise"), **source_options(recipe))


def _data_options(recipe):
    """Return the options of the dataset, checked; its bands are the model's unless they say otherwise."""
    for name in recipe.data_options:
        if name in _FIELDS:
            raise ValueError(checks.sentence(
                "data_options", f"must not hold {name!r}, which the recipe's field `{_FIELDS[name]}` says",
                recipe.data_options, f"Set {_FIELDS[name]} in the recipe instead."))
        checks.one_of("data_options", name, _DATA_OPTIONS)
    channels = recipe.model_options.get("in_channels", 3)
    options = {"channels": channels, **recipe.data_options}
    if options["channels"] != channels:
        raise ValueError(checks.sentence("channels", f"must be the model's in_channels, {channels}",
                                         options["channels"], "Set both to the bands of the images."))
    return options


@contextlib.contextmanager
def _policy(name):
    """Build layers under a dtype policy; None keeps the one in force."""
    before = keras.config.dtype_policy()
    if name is not None:
        keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
