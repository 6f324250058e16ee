"""Training: the recipe behind `kseg train`, schedules, optimisers, freezing, callbacks, adversarial fine-tuning."""

from typing import TYPE_CHECKING

from kseg._lazy import attach

if TYPE_CHECKING:  # the same names for editors and type checkers; a test holds the two equal
    from kseg.training.adversarial.discriminators import LargeFOV as LargeFOV
    from kseg.training.adversarial.discriminators import SmallFOV as SmallFOV
    from kseg.training.adversarial.discriminators import TwoBranch as TwoBranch
    from kseg.training.adversarial.discriminators import discriminator as discriminator
    from kseg.training.adversarial.recipe import AdversarialRecipe as AdversarialRecipe
    from kseg.training.adversarial.saturation import SaturationGuard as SaturationGuard
    from kseg.training.adversarial.trainer import AdversarialTrainer as AdversarialTrainer
    from kseg.training.freezing import freeze_batch_normalization as freeze_batch_normalization
    from kseg.training.freezing import freeze_encoder as freeze_encoder
    from kseg.training.optimizers import SGD as SGD
    from kseg.training.optimizers import AdamW as AdamW
    from kseg.training.recipe import TrainingRecipe as TrainingRecipe
    from kseg.training.run import TrainingResult as TrainingResult
    from kseg.training.run import resume as resume
    from kseg.training.run import train as train
    from kseg.training.run_page.write import write_run_page as write_run_page
    from kseg.training.schedules import Poly as Poly
    from kseg.training.staged import StagedResult as StagedResult
    from kseg.training.staged import train_fcn_in_stages as train_fcn_in_stages
    from kseg.training.synchronizing import synchronize_batch_normalization as synchronize_batch_normalization

_PUBLIC = {
    "AdamW": "kseg.training.optimizers",
    "AdversarialRecipe": "kseg.training.adversarial.recipe",
    "AdversarialTrainer": "kseg.training.adversarial.trainer",
    "LargeFOV": "kseg.training.adversarial.discriminators",
    "Poly": "kseg.training.schedules",
    "SGD": "kseg.training.optimizers",
    "SaturationGuard": "kseg.training.adversarial.saturation",
    "SmallFOV": "kseg.training.adversarial.discriminators",
    "StagedResult": "kseg.training.staged",
    "TrainingRecipe": "kseg.training.recipe",
    "TrainingResult": "kseg.training.run",
    "TwoBranch": "kseg.training.adversarial.discriminators",
    "discriminator": "kseg.training.adversarial.discriminators",
    "freeze_batch_normalization": "kseg.training.freezing",
    "freeze_encoder": "kseg.training.freezing",
    "resume": "kseg.training.run",
    "synchronize_batch_normalization": "kseg.training.synchronizing",
    "train": "kseg.training.run",
    "train_fcn_in_stages": "kseg.training.staged",
    "write_run_page": "kseg.training.run_page.write",
}
__all__ = sorted(_PUBLIC)
if not TYPE_CHECKING:  # else every misspelt name would pass
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
