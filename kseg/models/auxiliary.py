"""The loss of auxiliary outputs: the loss a model was compiled with, on each of them."""

from collections.abc import Callable, Sequence

import keras

from kseg.types import Tensor


class _FunctionLoss(keras.losses.Loss):
    """A plain function or the name of one, weighted and averaged over the pixels as `compile` does."""

    def __init__(self, function):
        super().__init__(name="auxiliary")
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)


def auxiliary_loss(loss: str | Callable | keras.losses.Loss | list, labels: Tensor, outputs: Sequence[Tensor],
                   sample_weight: Tensor | None = None) -> Tensor:
    """Return the sum of `loss` over the auxiliary outputs, a scalar.

    Args:
        loss: what `compile` was given: a loss, a function, the name of one, or a list of one.
        labels: as the loss takes them.
        outputs: sequence of logits `[B, H, W, classes]`.
        sample_weight: as the loss takes it, or None.
    """
    loss = keras.losses.get(loss[0] if isinstance(loss, (list, tuple)) and len(loss) == 1 else loss)
    if not isinstance(loss, keras.losses.Loss):
        loss = _FunctionLoss(loss)
    return sum(keras.ops.mean(loss(labels, logits, sample_weight=sample_weight)) for logits in outputs)
