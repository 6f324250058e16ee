"""Options of `kseg train` made from the fields of recipes, and back from what was typed to a recipe.

Options of a recipe have no default here: what is not typed comes from `--recipe`, or is the recipe's own.
"""

import argparse
import dataclasses
import json
import types
import typing

from kseg import checks
from kseg.cli import options
from kseg.training.adversarial.recipe import Adversarial, recipe_from_dict
from kseg.training.parts import Data, Loss, Network, Optimization
from kseg.training.recipe import Recipe

PARTS = {"model": Network, "data": Data, "optimisation": Optimization, "loss": Loss,
         "adversarial fine-tuning": Adversarial}  # by the heading in the help
FIELDS = {field.name: part for part in PARTS.values() for field in dataclasses.fields(part)}
BUILDER_OPTIONS = ("output_stride", "in_channels", "aux")  # the most used of `model_options`
_FLAGS = {"model_options": "option", "data_options": "data-option", "multipliers": "multiplier",
          "decay_biases": "bias-decay", "start_from": "adversarial", "stride": "discriminator-stride"}
_METAVARS = {"data": "NAME", "data_dir": "FOLDER", "image_size": ("HEIGHT", "WIDTH"), "start_from": "FILE",
             "model_options": options.NAME_VALUE, "data_options": options.NAME_VALUE, "multipliers": "PART=FACTOR",
             "loss": "NAME[=WEIGHT]"}


def add(parser: argparse.ArgumentParser) -> None:
    """Add an option for every field of every part of a recipe, one group per part."""
    for heading, part in PARTS.items():
        group = parser.add_argument_group(heading, argument_default=argparse.SUPPRESS)
        for field in dataclasses.fields(part):
            flag = _FLAGS.get(field.name, field.name.replace("_", "-"))
            group.add_argument(f"--{flag}", dest=field.name, help=_help(field), **_kind(field))
        if part is Network:
            group.add_argument("--output-stride", type=int, help="input pixels per pixel of the deepest features")
            group.add_argument("--in-channels", type=int, help="bands of the images")
            group.add_argument("--aux", action=argparse.BooleanOptionalAction, help="train with the auxiliary head")


def recipe(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe of parsed arguments: that of `--recipe`, overridden by what was typed, key by key in dicts.

    Raises:
        ValueError: if options that do not belong together are typed, or a value is illegal.
    """
    stored, of_the_run = {}, typed(arguments)
    if arguments.recipe is not None:
        stored = _stored(arguments.recipe)
    _refuse_what_does_not_belong_together(arguments.in_stages, stored, of_the_run)
    for name in BUILDER_OPTIONS:
        if name in of_the_run:
            of_the_run["model_options"] = [*of_the_run.get("model_options", ()), (name, of_the_run.pop(name))]
    if "loss" in of_the_run:
        terms = [term.partition("=") for term in of_the_run["loss"]]
        of_the_run["loss"] = {name: float(weight) if separator else 1.0 for name, separator, weight in terms}
    for name in ("model_options", "data_options", "multipliers"):
        if name in of_the_run:
            of_the_run[name] = {**(stored.get(name) or {}), **dict(of_the_run[name])}
    return recipe_from_dict({**stored, **of_the_run})


def _stored(path):
    """Return the recipe in a run.json, or in a file of a recipe alone."""
    try:
        with open(checks.existing_file("recipe", path), encoding="utf-8") as file:
            stored = json.load(file)
        stored = stored.get("recipe", stored)
        for name in ("model_options", "data_options", "multipliers"):
            dict(stored.get(name) or {})
    except (ValueError, TypeError, AttributeError, RecursionError) as failure:
        raise ValueError(checks.sentence("recipe", "must be a file of a recipe in JSON", path,
                                         f"It cannot be read ({failure}). Give the run.json of a run.")) from failure
    return stored


def typed(arguments: argparse.Namespace) -> dict[str, typing.Any]:
    """Return the fields of a recipe and the options of a builder that were typed, by name."""
    return {name: value for name, value in vars(arguments).items() if name in FIELDS or name in BUILDER_OPTIONS}


def _refuse_what_does_not_belong_together(in_stages, stored, of_the_run):
    """Raise if options of one kind of recipe are typed for another."""
    of_fine_tuning = [name for name in of_the_run if FIELDS.get(name) is Adversarial]
    if in_stages and (of_fine_tuning or stored.get("start_from")):
        raise ValueError(checks.sentence("in_stages", "must be left out with --adversarial", True,
                                         "Train the stages first."))
    if stored.get("start_from") or "start_from" in of_the_run:
        for name, value in of_the_run.items():
            if FIELDS.get(name) is Network or name in BUILDER_OPTIONS:
                raise ValueError(checks.sentence(name, "must be left out with --adversarial", value,
                                                 "The network comes from the file as it is."))
    elif of_fine_tuning:
        raise ValueError(checks.sentence(
            "adversarial", f"must name a trained .keras file with {', '.join(of_fine_tuning)}", None,
            "Add for example --adversarial runs/first/best.keras."))


def _help(field):
    """Return the text of a field and its default, where that says something."""
    text, default = field.metadata["text"], field.default
    if _holds_pairs(field):
        return text + "; may be repeated"
    if default is None:
        return text
    return f"{text} (default: {' '.join(map(str, default)) if isinstance(default, tuple) else default})"


def _kind(field):
    """Return how argparse reads a field, from its type."""
    arguments = {"metavar": _METAVARS[field.name]} if field.name in _METAVARS else {}
    if field.metadata["choices"]:
        arguments["choices"] = field.metadata["choices"]
    members = _members(field)
    if members == [bool]:
        return {"action": argparse.BooleanOptionalAction}
    if field.name == "loss":
        return {**arguments, "nargs": "+"}
    if _holds_pairs(field):
        numbers = float in typing.get_args(members[0])
        return {**arguments, "action": "append", "type": options.factor if numbers else options.name_value}
    if typing.get_origin(members[0]) is tuple:
        sides = typing.get_args(members[0])
        return {**arguments, "nargs": len(sides), "type": sides[0]}
    kind = members[0] if len(members) == 1 else options.literal
    return {**arguments, "type": options.optional(kind) if field.default is None else kind}


def _members(field):
    """Return the types that a value of a field may have, None left out."""
    members = typing.get_args(field.type) if isinstance(field.type, types.UnionType) else (field.type,)
    return [member for member in members if member is not types.NoneType]


def _holds_pairs(field):
    """Return whether a field is a dict, which is typed as NAME=VALUE."""
    return all(member is dict or typing.get_origin(member) is dict for member in _members(field))
