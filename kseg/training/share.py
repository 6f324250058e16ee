"""What one process has of a training: all of it here; `kseg.distributed` hands in the shares of several."""

from collections.abc import Sequence

import keras

from kseg.training.fitted import Fitted


class Share:
    """The whole of a training, by one process."""

    of_batches: tuple[int, int] | None = None  # (index, count) of `Splits.training_batches`
    workers = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes the run's folder: one of several does."""
        return self.of_batches is None or self.of_batches[0] == 0

    def join(self, fitted: Fitted, steps: int, validation_steps: int) -> Sequence[keras.callbacks.Callback]:
        """Have `fitted` trained with the other processes, and return callbacks that come before all others.

        Args:
            fitted: with the variables from which training goes on.
            steps, validation_steps: batches of this process in an epoch and in a validation.
        """
        return ()

    def callbacks(self) -> Sequence[keras.callbacks.Callback]:
        """Return callbacks that come after all others, when an epoch is written."""
        return ()
