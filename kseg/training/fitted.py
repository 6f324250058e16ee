"""What every kind of training gives a run: one thing to fit, whatever the recipe asks for."""

import dataclasses
import typing
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from kseg.metrics import MeanIoU
from kseg.models.segmenter import Segmenter


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What a run fits, and what it keeps of it."""

    model: keras.Model  # compiled, what `fit` is called on; its optimisers are built
    segmenter: Segmenter  # what is saved: `model` itself, or the part of it that stays
    score: MeanIoU  # compiled; by it the best epoch is chosen
    optimizers: Sequence[keras.optimizers.Optimizer]  # every one of `model`
    # Called once, before the first epoch, with the training batches and Keras's `verbose`:
    before_fit: Callable[[tf.data.Dataset, typing.Any], None] = lambda batches, verbose: None
    callbacks: Sequence[keras.callbacks.Callback] = ()  # they see the end of an epoch before its state is saved

    @property
    def variables(self) -> list[keras.Variable]:
        """All that training changes, in a fixed order: weights, statistics, dropout seeds, then the optimisers'."""
        return [*self.model.variables, *(one for optimizer in self.optimizers for one in optimizer.variables)]
