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
    """What a run fits, and what it keeps of it.

    Args:
        model: compiled `keras.Model`, what `fit` is called on; its optimisers are built.
        segmenter: `Segmenter` that is saved: `model` itself, or the part of it that stays.
        score: the compiled `MeanIoU`, by which the best epoch is chosen.
        optimizers: every optimiser of `model`.
        before_fit: called once, before the first epoch, with the training batches and Keras's `verbose`.
        callbacks: of this kind of training; they see the end of an epoch before its state is saved.
    """

    model: keras.Model
    segmenter: Segmenter
    score: MeanIoU
    optimizers: Sequence[keras.optimizers.Optimizer]
    before_fit: Callable[[tf.data.Dataset, typing.Any], None] = lambda batches, verbose: None
    callbacks: Sequence[keras.callbacks.Callback] = ()

    @property
    def variables(self) -> list[keras.Variable]:
        """All that training changes, in a fixed order: weights, statistics, dropout seeds, then the optimisers'."""
        return [*self.model.variables, *(one for optimizer in self.optimizers for one in optimizer.variables)]
