"""Plain training: a network of `kseg.models`, built as the recipe says."""

import keras

from kseg import models
from kseg.metrics import MeanIoU
from kseg.models.segmenter import Segmenter
from kseg.training import from_recipe
from kseg.training.fitted import Fitted
from kseg.training.recipe import TrainingRecipe
from kseg.training.splits import Splits


class PlainTraining:
    """Trains the network that a `TrainingRecipe` names; a stage of FCN's staged training is trained so too."""

    def __init__(self, recipe: TrainingRecipe) -> None:
        self.recipe = recipe

    pixel_range = None  # of a network that is trained already

    @property
    def channels(self) -> int:
        """Bands of the images that the network takes."""
        return self.recipe.model_options.get("in_channels", 3)

    def fitted(self, splits: Splits, steps: int) -> Fitted:
        """Return what a run of `steps` train steps fits, its random numbers drawn from the recipe's seed."""
        recipe = self.recipe
        with from_recipe.drawn_from(recipe.seed):
            model = _built(recipe, splits)
        model.pixel_range = splits.pixel_range
        from_recipe.prepare(recipe, model)
        score = MeanIoU(model.classes, task=model.task)
        model.compile(optimizer=from_recipe.optimizer(recipe, steps, ema=recipe.ema),
                      loss=from_recipe.loss(recipe, splits, recipe.task), metrics=[score])
        model.optimizer.build(model.trainable_variables)
        averages = [keras.callbacks.SwapEMAWeights()] if recipe.ema is not None else []
        return Fitted(model, model, score, [model.optimizer], callbacks=averages)


def _built(recipe: TrainingRecipe, splits: Splits) -> Segmenter:
    options = dict(recipe.model_options)
    for name in ("encoder_name", "encoder_weights"):
        if getattr(recipe, name) is not None:
            options[name] = getattr(recipe, name)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(recipe.mixed_precision or before)
    try:
        model = getattr(models, recipe.model)(splits.task.classes_of(splits.label_set), compile=False,
                                              task=recipe.task, **options)
    finally:
        keras.config.set_dtype_policy(before)
    model.label_set = splits.label_set
    return model
