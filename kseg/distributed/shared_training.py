"""A process's share of a training: its part of each batch, its gradient averaged with the others', its sums added up.

What several processes compute equals what one computes with the whole batch:

- the processes together see the batches of one (`kseg.data.load(batch_share=…)`);
- each loss is weighted by its share of the batch's labelled pixels before gradients are averaged, so that unevenly
  ignored pixels count as in one process. That is exact for means over pixels (cross-entropy, focal); Dice, Jaccard,
  Tversky, Lovász and hard-example mining are computed on each process's part of the batch, as a smaller batch would;
- the metrics of an epoch, and the confusion matrix of its validation, are summed over all before they are read;
- batch normalisation that is not frozen normalises by each process's part of the batch, and its moving averages become
  the mean over all at the end of an epoch. Dropout draws otherwise in each process.
"""

import zlib
from collections.abc import Sequence

import keras
import tensorflow as tf

from kseg import checks
from kseg.distributed.collectives import Collectives
from kseg.labels import IGNORE_CLASS
from kseg.models.walk import batch_normalization_of
from kseg.training.fitted import Fitted
from kseg.training.share import Share

_SEED_STEP = 1_000_003  # between the dropout seeds of two processes


class SharedTraining(Share):
    """The share of one of several processes; `after`: callbacks that come when an epoch is written."""

    def __init__(self, collectives: Collectives, after: Sequence[keras.callbacks.Callback] = ()) -> None:
        self.collectives = collectives
        self.of_batches = (collectives.index, collectives.count)
        self.workers = collectives.count
        self._after = after

    def join(self, fitted: Fitted, steps: int, validation_steps: int) -> Sequence[keras.callbacks.Callback]:
        if not validation_steps:
            raise ValueError(checks.sentence("workers", "must be at most the number of validation images",
                                             self.workers, "Start fewer."))
        fitted.model.jit_compile = False  # XLA would wait for processes in an order of its own
        _weight_losses(fitted.model, self.collectives)
        _average_gradients(fitted.model.optimizer, self.collectives)
        _part_seeds(fitted.model, self.collectives.index)
        return [_Together(fitted, self.collectives, steps, validation_steps)]

    def callbacks(self) -> Sequence[keras.callbacks.Callback]:
        return self._after


def _weight_losses(model, collectives):
    """Weight the loss of each train step by this process's share of the labelled pixels, times the processes.

    Set on the model itself: what is saved must not know of it.
    """
    compute_loss = model.compute_loss

    def weighted(x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = compute_loss(x, y, y_pred, sample_weight, training)
        if not training:
            return loss
        labelled = tf.math.count_nonzero(y != IGNORE_CLASS)
        of_all = collectives.sum(labelled, "labelled pixels")
        return loss * tf.cast(labelled * collectives.count / tf.maximum(of_all, 1), loss.dtype)

    model.compute_loss = weighted


def _average_gradients(optimizer, collectives):
    """Have `optimizer` apply the mean of all processes' gradients; scaled ones too, so that all skip a step or none."""
    apply = optimizer.apply

    def averaged(grads, trainable_variables=None):
        grads = list(grads)
        present = [index for index, gradient in enumerate(grads) if gradient is not None]
        sums = collectives.sum_together([tf.convert_to_tensor(grads[index]) for index in present], "gradients")
        for index, total in zip(present, sums):
            grads[index] = total / collectives.count
        return apply(grads, trainable_variables)

    optimizer.apply = averaged


def _part_seeds(model, index):
    """Move the seeds of dropout apart; those of the first process, which are saved, stay as one process has them."""
    for variable in model.non_trainable_variables:
        if variable.path.endswith("seed_generator_state"):
            variable.assign(variable + keras.ops.convert_to_tensor([index * _SEED_STEP, 0], variable.dtype))


class _Together(keras.callbacks.Callback):
    """Adds up over the processes what an epoch and a validation measured, and holds their weights equal."""

    def __init__(self, fitted, collectives, steps, validation_steps):
        super().__init__()
        self.fitted, self.collectives = fitted, collectives
        self.steps, self.validation_steps = steps, validation_steps

    def on_epoch_begin(self, epoch, logs=None):
        self._steps_done, self._results = 0, {}

    def on_test_begin(self, logs=None):
        self._tests_done = 0

    def on_train_batch_end(self, batch, logs=None):
        self._steps_done += 1
        if self._steps_done == self.steps:
            self._average_statistics()
            self._results.update(self._added_up())

    def on_test_batch_end(self, batch, logs=None):
        self._tests_done += 1
        if self._tests_done == self.validation_steps:
            self._results.update({f"val_{name}": value for name, value in self._added_up().items()})

    def on_epoch_end(self, epoch, logs=None):
        """Put what all measured in the place of what this process measured: later callbacks are handed the same dict.

        Raises:
            RuntimeError: if the processes' weights have come apart, which nothing should bring about.
        """
        logs.update({name: self._results[name] for name in logs})
        digest = 0
        for variable in self._shared_variables():
            digest = zlib.crc32(variable.numpy().tobytes(), digest)
        digests = self.collectives.everyones(digest, "digests")
        if len(set(digests)) > 1:
            raise RuntimeError(f"the workers' weights differ after epoch {epoch + 1}: {digests}")

    def _shared_variables(self):
        return [one for one in self.fitted.variables if not one.path.endswith("seed_generator_state")]

    def _average_statistics(self):
        """Give every process the mean of what each measured by itself: batch normalisation's moving averages."""
        statistics = [one for layer in batch_normalization_of(self.fitted.model) if layer.trainable
                      for one in layer.non_trainable_variables if "float" in one.dtype]  # a mean of equals may round
        if not statistics:
            return
        sums = self.collectives.sum_together([one.value for one in statistics], "statistics")
        for variable, total in zip(statistics, sums):
            variable.assign(total / self.collectives.count)

    def _added_up(self):
        """Add up the metrics' variables over all processes; return the results, name -> float."""
        for number, variable in enumerate(self.model.metrics_variables):
            variable.assign(self.collectives.sum(tf.convert_to_tensor(variable.value), f"metric {number}"))
        return {name: float(value) for name, value in self.model.get_metrics_result().items()}
