"""`kseg draw`: the architecture of a model as a picture."""

import argparse
import os

from kseg.cli import options
from kseg.cli.predict import KERAS_MODEL
from kseg.cli.tables import say

_CLASSES = 21  # of a builder that is drawn without --classes, as in the papers' PASCAL VOC


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg draw`."""
    parser.add_argument("model", help=f"a builder's name, such as DeepLabV3Plus; or {KERAS_MODEL}")
    parser.add_argument("--output", metavar="FILE", help="picture to write, .svg or .png; left out: MODEL.svg, here")
    group = parser.add_argument_group("of a builder")
    group.add_argument("--classes", type=int, metavar="NUMBER", help=f"left out: {_CLASSES}, or 1 of a binary task")
    group.add_argument("--encoder-name", metavar="NAME", help="left out: the builder's own")
    group.add_argument("--option", dest="options", action="append", type=options.name_value, default=[],
                       metavar=options.NAME_VALUE, help="another argument, e.g. output_stride=8; may be repeated")


def run(arguments: argparse.Namespace) -> None:
    """Build or load the model, draw it, and say where the picture is."""
    from kseg.models.diagram.draw import checked_picture_path, draw

    name = os.path.basename(arguments.model.rstrip("/")).removesuffix(".keras")
    path = checked_picture_path(arguments.output or f"{name}.svg")
    model, title = _model(arguments)
    say(draw(model, path, title=title))


def _model(arguments):
    """Return (model, title of its picture)."""
    import inspect

    import kseg
    from kseg import checks

    given = dict(arguments.options)
    given.update({name: value for name in ("classes", "encoder_name")
                  if (value := getattr(arguments, name)) is not None})
    builder = {name.lower(): name for name in kseg.models.BUILDERS}.get(arguments.model.lower())
    if builder is None:
        if given:
            raise ValueError(checks.sentence("model", f"must be a builder's name, to be given {', '.join(given)}",
                                             arguments.model, "Leave the options out, or see kseg models."))
        if not os.path.splitext(arguments.model)[1] and "/" not in arguments.model:  # a misspelt builder
            checks.one_of("model", arguments.model, kseg.models.BUILDERS)
        return kseg.load_model(arguments.model, compile=False), None
    build = getattr(kseg.models, builder)
    for name in given:
        checks.one_of("option", name, inspect.signature(build).parameters, context=f" for {builder}")
    given.setdefault("classes", 1 if given.get("task") == "binary" else _CLASSES)
    shown = [builder, *([str(arguments.encoder_name)] if arguments.encoder_name else [])]
    return build(**{"compile": False, **given}), ", ".join(shown)
