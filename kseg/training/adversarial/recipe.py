"""What an adversarial fine-tuning run is made of: a trained file and a discriminator in the place of a builder."""

import dataclasses
import typing
from collections.abc import Mapping

from kseg import checks
from kseg.training.parts import Data, Loss, Network, Optimization, option
from kseg.training.recipe import Recipe, TrainingRecipe, documented

DISCRIMINATORS = ("LargeFOV", "LargeFOV-light", "SmallFOV", "SmallFOV-light", "Stanford")
LABEL_ENCODINGS = ("basic", "product", "scaling")
UPDATES = ("alternate", "simultaneous")
SETTINGS = ("label_encoding", "adversarial_weight", "update", "alternate_every", "scaling_threshold", "stride")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adversarial:
    """Which trained network is fine-tuned, and against which discriminator."""

    start_from: str = option(None, "the .keras file of the trained segmenter to fine-tune against a discriminator")
    discriminator: str = option("LargeFOV", "the network that judges label maps", DISCRIMINATORS)
    label_encoding: str = option(
        "basic", "what it is shown: maps, maps times the image, or softened annotations", LABEL_ENCODINGS)
    adversarial_weight: float = option(1.0, "weight of the adversarial term")
    update: str = option("alternate", "networks take turns, or both move in every step", UPDATES)
    alternate_every: int = option(500, "steps of a turn")
    scaling_threshold: float = option(0.9, "least share of the true class in softened annotations")
    stride: int = option(8, "pixels of the image per pixel of the maps shown")
    discriminator_learning_rate: float = option(1e-4, "of Adam, constant (kseg's choice; the paper's is not known)")
    pretrain_discriminator_steps: int = option(100, "steps of the discriminator alone before the fine-tuning")

    def __post_init__(self) -> None:
        if not isinstance(self.start_from, str):
            raise TypeError(checks.sentence("start_from", "must be the path of a .keras file", self.start_from,
                                            "Train a segmenter first, then give its best.keras."))
        check_settings(self)
        checks.one_of("discriminator", self.discriminator, DISCRIMINATORS)
        checks.number_between("discriminator_learning_rate", self.discriminator_learning_rate, 0, 1e6)
        checks.positive_integer("pretrain_discriminator_steps", self.pretrain_discriminator_steps,
                                "Pass 0 for none.", minimum=0)


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class AdversarialRecipe(Recipe, Adversarial):
    """Everything that decides a run of adversarial fine-tuning by an `AdversarialTrainer`.

    The network comes from a file as it is, with its bands and its precision.

    Args: keywords, each with a default but for `start_from`.
    Raises:
        ValueError, TypeError: for an illegal value.
    """

    PARTS: typing.ClassVar[tuple[type, ...]] = (Adversarial, Data, Optimization, Loss)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.one_of("task", self.task, ("multiclass",), context=" for adversarial fine-tuning",
                      advice="The discriminators are of label maps with one class per pixel.")

    @classmethod
    def from_dict(cls, values: Mapping[str, typing.Any]) -> "AdversarialRecipe":
        """Return the recipe that `to_dict` described.

        Fields that build a network are left out: older records of a fine-tuning hold them, and so does the record of
        the plain training that a fine-tuning may take over.
        """
        built = {field.name for field in dataclasses.fields(Network)}
        return super().from_dict({name: value for name, value in values.items() if name not in built})


def recipe_from_dict(values: Mapping[str, typing.Any]) -> Recipe:
    """Return the recipe that `to_dict` of either kind described.

    Raises:
        ValueError, TypeError: if it did not.
    """
    if not isinstance(values, Mapping):
        raise TypeError(checks.sentence("recipe", "must be an object of fields and values", values,
                                        "Give the run.json that `kseg train` wrote."))
    return (AdversarialRecipe if values.get("start_from") else TrainingRecipe).from_dict(values)


def check_settings(settings: typing.Any) -> None:
    """Check the attributes `SETTINGS`, which recipe and trainer share."""
    checks.one_of("label_encoding", settings.label_encoding, LABEL_ENCODINGS)
    checks.one_of("update", settings.update, UPDATES)
    checks.number_between("adversarial_weight", settings.adversarial_weight, 0, 1e6)
    checks.number_between("scaling_threshold", settings.scaling_threshold, 0, 1)
    checks.positive_integer("alternate_every", settings.alternate_every)
    checks.positive_integer("stride", settings.stride, "Pass 1 to show the discriminator every pixel.")


def segmenter_updates(steps: int, update: str, alternate_every: int) -> int:
    """Return how many of `steps` train steps move the segmenter."""
    if update == "simultaneous":
        return steps
    turns, rest = divmod(steps, 2 * alternate_every)
    return turns * alternate_every + min(rest, alternate_every)
