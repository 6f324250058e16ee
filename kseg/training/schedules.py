"""Learning-rate schedules: the poly policy of DeepLab and PSPNet, with a linear warm-up.

`rate(step) = learning_rate * min(1, (step + 1) / warmup_steps) * (1 - step / steps) ** power`
Reference: Chen et al., DeepLab, PAMI 2018, arXiv:1606.00915, section 4.1 (power 0.9); Zhao et al., PSPNet, CVPR 2017,
arXiv:1612.01105, section 5.1.
"""

import keras
from keras import ops

from kseg import checks


@keras.saving.register_keras_serializable(package="kseg")
class Poly(keras.optimizers.schedules.LearningRateSchedule):
    """The poly schedule: `learning_rate * (1 - step / steps) ** power`, after a linear warm-up.

    Args:
        learning_rate: float, the rate at its highest.
        steps: int, optimiser steps until the rate is `end_learning_rate`; it stays there.
        power: float. Default 0.9 (DeepLab section 4.1).
        warmup_steps: int, steps over which a factor rises linearly to 1, multiplied to the rate. Default 0.
        end_learning_rate: float, the rate is never below it once the warm-up is over. Default 0.
        name: str.
    Returns (when called with a step): float32 scalar, the rate of that step.
    Raises:
        ValueError: if the warm-up is not shorter than `steps`, or a number is outside its range.
    """

    def __init__(self, learning_rate: float, steps: int, power: float = 0.9, warmup_steps: int = 0,
                 end_learning_rate: float = 0.0, name: str = "poly") -> None:
        super().__init__()
        self.learning_rate = checks.number_between("learning_rate", learning_rate, 0, 1e6)
        self.steps = checks.positive_integer("steps", steps, "Count epochs times the steps of an epoch.")
        self.power = checks.number_between("power", power, 0, 100)
        self.warmup_steps = checks.positive_integer("warmup_steps", warmup_steps, "Pass 0 for no warm-up.", minimum=0)
        self.end_learning_rate = checks.number_between("end_learning_rate", end_learning_rate, 0, learning_rate)
        if self.warmup_steps >= self.steps:
            raise ValueError(checks.sentence(
                "warmup_steps", f"must be less than the {self.steps} steps of the schedule", warmup_steps,
                "Shorten the warm-up or train longer."))
        self.name = name

    def __call__(self, step):
        step = ops.cast(step, "float32")
        left = ops.maximum(1.0 - step / float(self.steps), 0.0)
        rate = ops.maximum(self.learning_rate * ops.power(left, self.power), self.end_learning_rate)
        if self.warmup_steps:
            rate = rate * ops.minimum((step + 1.0) / float(self.warmup_steps), 1.0)
        return rate

    def get_config(self):
        return {"learning_rate": self.learning_rate, "steps": self.steps, "power": self.power,
                "warmup_steps": self.warmup_steps, "end_learning_rate": self.end_learning_rate, "name": self.name}
