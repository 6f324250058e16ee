"""Adversarial fine-tuning: the trained network of an `AdversarialRecipe`, and the trainer that sets it to a game."""

import keras

from kseg import checks
from kseg.data import PixelRange
from kseg.metrics import MeanIoU
from kseg.models.load import load_model
from kseg.training import from_recipe
from kseg.training.adversarial.recipe import SETTINGS, AdversarialRecipe, segmenter_updates
from kseg.training.adversarial.trainer import AdversarialTrainer, as_segmenter
from kseg.training.fitted import Fitted
from kseg.training.splits import Splits


class FineTuning:
    """Fine-tunes the segmenter in a file by an `AdversarialTrainer`.

    Raises:
        FileNotFoundError: if the recipe's `start_from` is missing.
        ValueError, TypeError: if it is no `.keras` file, or holds another model than those of `kseg.models`.
    """

    def __init__(self, recipe: AdversarialRecipe) -> None:
        self.recipe = recipe
        checks.existing_file("start_from", recipe.start_from, "Give the best.keras of a finished run.")
        with from_recipe.drawn_from(recipe.seed):  # the seeds of dropout are no part of the file
            self.segmenter = as_segmenter(load_model(recipe.start_from, compile=False))

    @property
    def channels(self) -> int:
        """Bands of the images that the network takes."""
        return self.segmenter.in_channels

    @property
    def pixel_range(self) -> PixelRange | None:
        """The range of the network in the file, which holds unless the recipe says another."""
        return self.segmenter.pixel_range

    def fitted(self, splits: Splits, steps: int) -> Fitted:
        """Return what a run of `steps` train steps fits; the segmenter's schedule ends with its own last update.

        Raises:
            ValueError: if the model in the file is not of these classes.
        """
        recipe, segmenter, labels = self.recipe, self.segmenter, splits.label_set
        if segmenter.classes != len(labels):
            raise ValueError(checks.sentence(
                "start_from", f"must hold a segmenter of the dataset's {len(labels)} classes, not of "
                f"{segmenter.classes}", recipe.start_from, "Give the dataset it was trained on."))
        segmenter.label_set, segmenter.pixel_range = labels, splits.pixel_range
        from_recipe.prepare(recipe, segmenter)
        with from_recipe.drawn_from(recipe.seed + 1):
            trainer = AdversarialTrainer(segmenter, recipe.discriminator,
                                         **{name: getattr(recipe, name) for name in SETTINGS})
        score = MeanIoU(len(labels))
        updates = segmenter_updates(steps, recipe.update, recipe.alternate_every)
        trainer.compile(from_recipe.optimizer(recipe, updates),
                        keras.optimizers.Adam(recipe.discriminator_learning_rate),
                        loss=from_recipe.loss(recipe, splits), metrics=[score])

        def pretrain(batches, verbose):
            if recipe.pretrain_discriminator_steps:
                trainer.pretrain_discriminator(batches, steps=recipe.pretrain_discriminator_steps, verbose=verbose)

        return Fitted(trainer, segmenter, score, trainer.optimizers, before_fit=pretrain)
