"""What a training run is made of, as plain values that a record can repeat: the recipe of plain training.

`AdversarialRecipe` is the other kind; both share data, optimisation and loss (`Recipe`).
"""

import copy
import dataclasses
import json
import numbers
import types
import typing
from collections.abc import Mapping

from kseg import checks, tasks
from kseg.data import PixelRange
from kseg.data.label_ids import map_to_json
from kseg.labels import LabelSet
from kseg.training.parts import LOSSES, OF_SIGMOID, OF_SOFTMAX, Data, Loss, Network, Optimization


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(Data, Optimization, Loss):
    """What every kind of recipe has: data, optimisation and loss. `kseg.training.train` runs it, `run.json` records it.

    A kind adds a part for its network and names its parts in `PARTS`; `kseg.training.run` says what fits it.
    """

    PARTS: typing.ClassVar[tuple[type, ...]] = (Data, Optimization, Loss)

    def __post_init__(self) -> None:
        for part in self.PARTS:
            part.__post_init__(self)
        others = OF_SIGMOID if tasks.of(self.task).exclusive else OF_SOFTMAX
        for name in self.loss:
            checks.one_of("loss", name, [one for one in LOSSES if one not in others],
                          context=f" for task={self.task!r}")
        for name, value in self.to_dict().items():
            try:
                json.dumps(value)
            except TypeError as failure:
                raise TypeError(checks.sentence(name, "must hold plain values, which run.json can record", value,
                                                "Pass numbers, texts, lists and dicts of them.")) from failure

    @classmethod
    def field_names(cls) -> list[str]:
        """Return the names of the fields, part by part."""
        return [field.name for part in cls.PARTS for field in dataclasses.fields(part)]

    def to_dict(self) -> dict[str, typing.Any]:
        """Return the fields as JSON-ready values."""
        values = copy.deepcopy({name: getattr(self, name) for name in self.field_names()})
        values["image_size"] = list(self.image_size)
        options = values["data_options"] or {}
        if isinstance(options.get("classes"), LabelSet):
            options["classes"] = options["classes"].to_dict()
        if options.get("label_map") is not None:
            options["label_map"] = map_to_json(options["label_map"])
        if isinstance(options.get("pixel_range"), PixelRange):
            options["pixel_range"] = options["pixel_range"].to_list()
        return values

    def same_as(self, other: "Recipe") -> bool:
        """Return whether two recipes are one, as `run.json` would hold them: a tuple and a list are."""
        return type(self) is type(other) and json.dumps(self.to_dict()) == json.dumps(other.to_dict())

    @classmethod
    def from_dict(cls, values: Mapping[str, typing.Any]) -> "Recipe":
        """Return the recipe that `to_dict` described.

        Raises:
            ValueError: if a key is no field of this kind of recipe.
            TypeError: if a value is of another type than its field.
        """
        kinds = {field.name: field.type for part in cls.PARTS for field in dataclasses.fields(part)}
        for name, value in values.items():
            checks.one_of("recipe", name, tuple(kinds))
            if not _fits(value, kinds[name]):
                raise TypeError(checks.sentence(name, f"must be of type {_words(kinds[name])}", value,
                                                "Correct the recipe's file."))
        options = dict(values.get("data_options") or {})
        if isinstance(options.get("classes"), dict):
            options["classes"] = LabelSet.from_dict(options["classes"])
        return cls(**{**values, "data_options": options})


def _fits(value, kind):
    """Whether a value, as JSON has it, is of the type of a field."""
    members = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        return any(_fits(value, member) for member in members)
    outer = typing.get_origin(kind) or kind
    if outer is tuple:
        return isinstance(value, (list, tuple)) and len(value) == len(members) and all(map(_fits, value, members))
    if outer is dict:
        return isinstance(value, Mapping) and (not members or all(_fits(one, members[1]) for one in value.values()))
    if outer in (int, float):
        number = numbers.Integral if outer is int else numbers.Real
        return isinstance(value, number) and not isinstance(value, bool)
    return isinstance(value, outer)


def _words(kind):
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)


def documented(recipe: type[Recipe]) -> type[Recipe]:
    """Add the fields of a recipe, part by part, to its docstring."""
    lines = []
    for part in recipe.PARTS:
        lines.append(f"    {part.__doc__.splitlines()[0]}")
        for field in dataclasses.fields(part):
            choices = field.metadata["choices"]
            text = field.metadata["text"] + (f"; one of {choices}" if choices else "")
            lines.append(f"        {field.name}: {text}.")
    recipe.__doc__ = "\n".join([recipe.__doc__.rstrip(), "", *lines, ""])
    return recipe


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingRecipe(Recipe, Network):
    """Everything that decides a run of plain training.

    Args: keywords, each with a default.
    Raises:
        ValueError, TypeError: for an illegal value.
    """

    PARTS: typing.ClassVar[tuple[type, ...]] = (Network, Data, Optimization, Loss)
