"""What an adversarial fine-tuning run is made of: a training recipe that starts from a trained file; plain values."""

import dataclasses

from kseg import checks
from kseg.training.recipe import TrainingRecipe

DISCRIMINATORS = ("LargeFOV", "LargeFOV-light", "SmallFOV", "SmallFOV-light", "Stanford")
LABEL_ENCODINGS = ("basic", "product", "scaling")
UPDATES = ("alternate", "simultaneous")


@dataclasses.dataclass(frozen=True)
class AdversarialRecipe(TrainingRecipe):
    """A `TrainingRecipe` whose network comes from a file and is fine-tuned by an `AdversarialTrainer`.

    `kseg.training.train` runs it. The fields that build a network (`model`, `encoder_name`, `encoder_weights`,
    `mixed_precision`) are not read, the number of bands comes from the file; a moving average (`ema`) is not offered.

    Args:
        start_from: str, the `.keras` file of the trained segmenter.
        discriminator, label_encoding, adversarial_weight, update, alternate_every, scaling_threshold, stride: as
            `kseg.training.AdversarialTrainer`.
        discriminator_learning_rate: float, of Adam, constant. Default 1e-4 (kseg's choice; the paper's is not known).
        pretrain_discriminator_steps: int, steps of the discriminator alone before the fine-tuning. Default 100.
        Others: as `TrainingRecipe`.
    Raises:
        ValueError, TypeError: for an illegal value.
    """

    start_from: str = None
    discriminator: str = "LargeFOV"
    label_encoding: str = "basic"
    adversarial_weight: float = 1.0
    update: str = "alternate"
    alternate_every: int = 500
    scaling_threshold: float = 0.9
    stride: int = 8
    discriminator_learning_rate: float = 1e-4
    pretrain_discriminator_steps: int = 100

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.start_from, str):
            raise TypeError(checks.sentence("start_from", "must be the path of a .keras file", self.start_from,
                                            "Train a segmenter first, then give its best.keras."))
        check_settings(self)
        checks.one_of("discriminator", self.discriminator, DISCRIMINATORS)
        checks.number_between("discriminator_learning_rate", self.discriminator_learning_rate, 0, 1e6)
        checks.positive_integer("pretrain_discriminator_steps", self.pretrain_discriminator_steps,
                                "Pass 0 for none.", minimum=0)
        if self.ema is not None:
            raise ValueError(checks.sentence("ema", "must be None for adversarial fine-tuning", self.ema,
                                             "Leave it out; the best model by validation is kept anyway."))


def recipe_from_dict(values):
    """Return the recipe that `to_dict` of either kind described."""
    return (AdversarialRecipe if values.get("start_from") else TrainingRecipe).from_dict(values)


def check_settings(settings):
    """Check the attributes that recipe and trainer share."""
    checks.one_of("label_encoding", settings.label_encoding, LABEL_ENCODINGS)
    checks.one_of("update", settings.update, UPDATES)
    checks.number_between("adversarial_weight", settings.adversarial_weight, 0, 1e6)
    checks.number_between("scaling_threshold", settings.scaling_threshold, 0, 1)
    checks.positive_integer("alternate_every", settings.alternate_every)
    checks.positive_integer("stride", settings.stride, "Pass 1 to show the discriminator every pixel.")


def segmenter_updates(steps, update, alternate_every):
    """Return how many of `steps` train steps move the segmenter."""
    if update == "simultaneous":
        return steps
    turns, rest = divmod(steps, 2 * alternate_every)
    return turns * alternate_every + min(rest, alternate_every)
