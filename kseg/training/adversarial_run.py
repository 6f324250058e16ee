"""From an `AdversarialRecipe` to its compiled trainer."""

import dataclasses

import keras

from kseg import checks, layers
from kseg.metrics import MeanIoU
from kseg.training import assemble
from kseg.training.adversarial import AdversarialTrainer
from kseg.training.adversarial_recipe import segmenter_updates
from kseg.training.freezing import freeze_batch_normalization, freeze_encoder


def compiled_trainer(recipe, labels, steps):
    """Return (the recipe's `AdversarialTrainer`, compiled, its random numbers drawn from the seed; its `MeanIoU`).

    Args:
        recipe: `AdversarialRecipe`.
        labels: `LabelSet` of the dataset.
        steps: int, train steps of the whole run; the segmenter's schedule ends with its last update.
    Raises:
        FileNotFoundError, ValueError: if the file is missing, or its model is not of these classes.
    """
    keras.utils.set_random_seed(recipe.seed)
    segmenter = _segmenter(recipe.start_from, labels)
    if recipe.freeze_encoder:
        freeze_encoder(segmenter)
    if recipe.freeze_batch_normalization:
        freeze_batch_normalization(segmenter)
    trainer = AdversarialTrainer(segmenter, recipe.discriminator, **{name: getattr(recipe, name) for name in (
        "label_encoding", "adversarial_weight", "update", "alternate_every", "scaling_threshold", "stride")})
    score = MeanIoU(len(labels))
    updates = segmenter_updates(steps, recipe.update, recipe.alternate_every)
    plain = dataclasses.replace(recipe, mixed_precision=None)  # the trainer scales losses as the loaded model needs
    trainer.compile(assemble.optimizer(plain, updates), keras.optimizers.Adam(recipe.discriminator_learning_rate),
                    loss=assemble.loss(recipe), metrics=[score])
    return trainer, score


def load_segmenter(path):
    """Return the model in the file `path`, not compiled.

    Raises:
        FileNotFoundError: if no file is there.
    """
    checks.existing_file("start_from", path, "Give the best.keras of a finished run.")
    for name in layers.__all__:
        getattr(layers, name)  # importing a layer's module registers it for loading
    return keras.saving.load_model(path, compile=False)


def _segmenter(path, labels):
    segmenter = load_segmenter(path)
    classes = getattr(segmenter, "classes", None)
    if classes != len(labels):
        raise ValueError(checks.sentence(
            "start_from", f"must hold a segmenter of the dataset's {len(labels)} classes, not of {classes}", path,
            "Give the dataset it was trained on."))
    segmenter.label_set = labels
    return segmenter
