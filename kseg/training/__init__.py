"""Training: the recipe behind `kseg train`, schedules, optimisers, freezing, callbacks, adversarial fine-tuning."""

from kseg._lazy import attach

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
    "TrainingResult": "kseg.training.result",
    "TwoBranch": "kseg.training.adversarial.discriminators",
    "discriminator": "kseg.training.adversarial.discriminators",
    "freeze_batch_normalization": "kseg.training.freezing",
    "freeze_encoder": "kseg.training.freezing",
    "resume": "kseg.training.run",
    "train": "kseg.training.run",
    "train_fcn_in_stages": "kseg.training.staged",
}
__all__ = sorted(_PUBLIC)
__getattr__, __dir__ = attach(__name__, _PUBLIC)
