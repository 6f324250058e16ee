"""The kinds of training: which one fits a recipe."""

from kseg.training.adversarial.fine_tuning import FineTuning
from kseg.training.adversarial.recipe import AdversarialRecipe
from kseg.training.fitted import Training
from kseg.training.plain import PlainTraining
from kseg.training.recipe import Recipe, TrainingRecipe

KINDS = {TrainingRecipe: PlainTraining, AdversarialRecipe: FineTuning}


def training_of(recipe: Recipe) -> Training:
    """Return what fits `recipe`; a trained network that it starts from is loaded here."""
    return KINDS[type(recipe)](recipe)
