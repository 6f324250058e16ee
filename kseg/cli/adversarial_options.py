"""Options of `kseg train --adversarial`: from a training recipe to an `AdversarialRecipe`."""

import argparse
import dataclasses

from kseg import checks
from kseg.training.adversarial_recipe import DISCRIMINATORS, LABEL_ENCODINGS, UPDATES, AdversarialRecipe

_DEFAULTS = {field.name: field.default for field in dataclasses.fields(AdversarialRecipe)}
_OPTIONS = (
    ("discriminator", str, DISCRIMINATORS, "the network that judges label maps"),
    ("label_encoding", str, LABEL_ENCODINGS, "what it is shown: maps, maps times the image, or softened annotations"),
    ("adversarial_weight", float, None, "weight of the adversarial term"),
    ("update", str, UPDATES, "networks take turns, or both move in every step"),
    ("alternate_every", int, None, "steps of a turn"),
    ("scaling_threshold", float, None, "least share of the true class in softened annotations"),
    ("discriminator_learning_rate", float, None, "of Adam"),
    ("pretrain_discriminator_steps", int, None, "steps of the discriminator alone before the fine-tuning"),
)


def add(group):
    """Add the options; what is not typed is `AdversarialRecipe`'s own."""
    group.add_argument("--adversarial", metavar="FILE", dest="start_from", default=argparse.SUPPRESS,
                       help="fine-tune the trained segmenter in this .keras file against a discriminator")
    for name, kind, choices, text in _OPTIONS:
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, choices=choices, default=argparse.SUPPRESS,
                           help=f"{text} (default: {_DEFAULTS[name]})")
    group.add_argument("--discriminator-stride", dest="stride", type=int, default=argparse.SUPPRESS,
                       help=f"pixels of the image per pixel of the maps shown (default: {_DEFAULTS['stride']})")


def recipe(arguments, base):
    """Return `base`, or with `--adversarial`, typed or stored in it, the `AdversarialRecipe` that begins with it.

    Args:
        arguments: the parsed options.
        base: `TrainingRecipe` or, read from a file, `AdversarialRecipe`.
    Raises:
        ValueError: if options of the fine-tuning are given without a file to start from, or with `--in-stages`.
    """
    typed = {name: value for name, value in vars(arguments).items()
             if name in ("start_from", "stride", *(option[0] for option in _OPTIONS))}
    if arguments.in_stages and (typed or isinstance(base, AdversarialRecipe)):
        raise ValueError(checks.sentence("in_stages", "must be left out with --adversarial", True,
                                         "Train the stages first."))
    if isinstance(base, AdversarialRecipe):
        return dataclasses.replace(base, **typed)
    if not typed:
        return base
    if "start_from" not in typed:
        raise ValueError(checks.sentence("adversarial", f"must name a trained .keras file with {', '.join(typed)}",
                                         None, "Add for example --adversarial runs/first/best.keras."))
    values = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)}
    if "ema" not in vars(arguments):  # the first training's average is no part of the fine-tuning
        values["ema"] = None
    return AdversarialRecipe(**values, **typed)
