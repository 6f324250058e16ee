"""A warning when a discriminator has nothing to teach: it always wins, or cannot tell the label maps apart."""

import warnings

import keras

from kseg import checks

_ADVICE = {
    "wins": "It always wins, and its gradient fades: lower the discriminator's learning rate, pre-train it less, take "
            "a smaller one (SmallFOV-light), or label_encoding='scaling', which hides that annotations are one-hot.",
    "guesses": "It cannot tell annotations from predictions: raise the discriminator's learning rate, pre-train it "
               "longer, take a larger one (LargeFOV), or lower adversarial_weight.",
}


class SaturationGuard(keras.callbacks.Callback):
    """Warns when the discriminator's accuracy stays close to 1 or to 0.5; `AdversarialTrainer.fit` adds one.

    A warning is given once each time the accuracy gets stuck, after `patience` epochs in a row.

    Args:
        patience: int, epochs. Default 2.
        high: float, an epoch's accuracy above which the discriminator always wins. Default 0.98.
        low: float, an epoch's accuracy below which it guesses. Default 0.55.
    """

    def __init__(self, patience: int = 2, high: float = 0.98, low: float = 0.55) -> None:
        super().__init__()
        self.patience = checks.positive_integer("patience", patience)
        self.high = checks.number_between("high", high, 0.5, 1)
        self.low = checks.number_between("low", low, 0, self.high)
        self._state, self._epochs = None, 0

    def on_epoch_end(self, epoch, logs=None):
        accuracy = float((logs or {}).get("discriminator_accuracy", self.low))
        state = "wins" if accuracy > self.high else "guesses" if accuracy < self.low else None
        self._epochs = self._epochs + 1 if state == self._state else 1
        self._state = state
        if state is not None and self._epochs == self.patience:
            warnings.warn(checks.sentence(
                "discriminator_accuracy", f"must stay between {self.low} and {self.high} for the adversarial term to "
                f"teach anything (epochs {epoch + 2 - self.patience} to {epoch + 1})", round(accuracy, 4),
                _ADVICE[state]), stacklevel=2)
