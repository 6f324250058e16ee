"""`kseg train`: options to a `TrainingRecipe`, then `kseg.training.train`.

Options of a recipe have no default here: what is not typed comes from `--recipe`, or is `TrainingRecipe`'s own.
"""

import argparse
import dataclasses
import json

from kseg import checks
from kseg.cli import adversarial_options, options
from kseg.cli.tables import iou_table, show
from kseg.machine import prepare_to_train
from kseg.training.adversarial_recipe import AdversarialRecipe, recipe_from_dict
from kseg.training.recipe import LOSSES, OPTIMIZERS, PRECISIONS, SCHEDULES, TrainingRecipe

_DEFAULT = TrainingRecipe()
_PAIRS = ("model_options", "data_options", "multipliers")
_BUILDER_OPTIONS = ("output_stride", "in_channels", "aux")


def add_arguments(parser):
    """Add the options of `kseg train`."""
    parser.add_argument("--output", metavar="FOLDER", help="new folder for the run")
    parser.add_argument("--resume", metavar="FOLDER", help="go on with the run in this folder; takes no other option")
    parser.add_argument("--recipe", metavar="FILE", help="a run.json to repeat; other options override it")
    parser.add_argument("--in-stages", action="store_true",
                        help="FCN only: train FCN32s, then FCN16s, then FCN8s, each from the one before; the same "
                             "command line again goes on where it stopped")
    parser.add_argument("--verbose", type=int, choices=(0, 1, 2), default=1,
                        help="0 silent, 1 a bar, 2 a line an epoch")
    _add_model(parser.add_argument_group("model"))
    data = parser.add_argument_group("data")
    options.add_data(data, required=False, default=argparse.SUPPRESS, options_of="kseg.data.load")
    options.add_image_size(data, argparse.SUPPRESS, "height and width in pixels (default: {} {})".format(
        *_DEFAULT.image_size))
    for name, kind, text in (
            ("batch_size", int, "images a step"), ("augment", options.literal, "true, false or the name of a recipe"),
            ("class_aware", float, "share of crops centred on an evenly drawn class"),
            ("patches", int, "how often an epoch takes each image"),
            ("seed", int, "of weights, order and augmentation")):
        _add(data, name, kind, text)
    _add_optimisation(parser.add_argument_group("optimisation"))
    _add_loss(parser.add_argument_group("loss"))
    adversarial_options.add(parser.add_argument_group("adversarial fine-tuning"))


def _add_model(group):
    _add(group, "model", str, "builder, see `kseg models`")
    _add(group, "encoder_name", str, "encoder, see `kseg models`; left out: the builder's")
    _add(group, "encoder_weights", str, "imagenet, or a .weights.h5, .npz or .safetensors file")
    group.add_argument("--output-stride", type=int, default=argparse.SUPPRESS,
                       help="input pixels per pixel of the deepest features")
    group.add_argument("--in-channels", type=int, default=argparse.SUPPRESS, help="bands of the images")
    _flag(group, "aux", "train with the auxiliary head")
    group.add_argument("--option", dest="model_options", action="append", type=options.name_value,
                       default=argparse.SUPPRESS, metavar=options.NAME_VALUE,
                       help="another argument of the builder; may be repeated")
    _flag(group, "freeze_encoder", "hold the encoder's weights and statistics")
    _flag(group, "freeze_batch_normalization", "hold statistics and affine weights of batch normalisation")
    _add(group, "mixed_precision", str, "compute in half precision", choices=PRECISIONS)


def _add_optimisation(group):
    for name, kind, text in (
            ("epochs", int, "passes over the training images"), ("steps", int, "length in steps instead of epochs"),
            ("learning_rate", float, "at its highest"), ("momentum", float, "of sgd"),
            ("weight_decay", float, "decoupled"), ("clipnorm", float, "greatest norm of all gradients together"),
            ("power", float, "of the poly schedule"), ("warmup_steps", int, "steps of linear warm-up"),
            ("ema", float, "momentum of a moving average of the weights"),
            ("early_stopping", int, "validations without a better mIoU until training ends"),
            ("validate_every", int, "epochs from one validation to the next")):
        _add(group, name, kind, text)
    _add(group, "optimizer", str, "which one", choices=OPTIMIZERS)
    _add(group, "schedule", str, "of the learning rate", choices=SCHEDULES)
    _flag(group, "bias_decay", "weight decay also on biases and batch normalisation (default)", dest="decay_biases")
    group.add_argument("--multiplier", dest="multipliers", action="append", type=options.factor,
                       default=argparse.SUPPRESS, metavar="PART=FACTOR",
                       help="learning-rate factor of encoder, head or a layer; may be repeated")


def _add_loss(group):
    group.add_argument("--loss", nargs="+", default=argparse.SUPPRESS, metavar="NAME[=WEIGHT]",
                       help=f"terms of the sum: {', '.join(LOSSES)} (default: cross_entropy)")
    _add(group, "class_weights", options.literal, "median_frequency, or a JSON list with one number a class")
    _add(group, "label_smoothing", float, "of the cross-entropy")
    _add(group, "ohem_fraction", float, "share of the hardest pixels that count")
    _add(group, "ohem_threshold", float, "pixels count whose class has a probability below this")


def _add(group, name, kind, text, **arguments):
    default = getattr(_DEFAULT, name)
    if default is None:
        kind = options.optional(kind)
    else:
        text += f" (default: {default})"
    group.add_argument(f"--{name.replace('_', '-')}", type=kind, default=argparse.SUPPRESS, help=text, **arguments)


def _flag(group, name, text, **arguments):
    group.add_argument(f"--{name.replace('_', '-')}", action=argparse.BooleanOptionalAction,
                       default=argparse.SUPPRESS, help=text, **arguments)


def recipe(arguments):
    """Return the recipe of parsed arguments: that of `--recipe`, overridden by what was typed, key by key in dicts."""
    typed, stored = vars(arguments), {}
    if arguments.recipe is not None:
        with open(arguments.recipe, encoding="utf-8") as file:
            stored = json.load(file)
        stored = stored.get("recipe", stored)
    values = {field.name: typed[field.name] for field in dataclasses.fields(TrainingRecipe) if field.name in typed}
    if "loss" in values:
        values["loss"] = dict(_term(term) for term in values["loss"])
    of_the_builder = {name: typed[name] for name in _BUILDER_OPTIONS if name in typed}
    if of_the_builder:
        values["model_options"] = [*values.get("model_options", ()), *of_the_builder.items()]
    for name in _PAIRS:
        if name in values:
            values[name] = {**(stored.get(name) or {}), **dict(values[name])}
    return adversarial_options.recipe(arguments, recipe_from_dict({**stored, **values}))


def _term(text):
    name, separator, weight = text.partition("=")
    return name, float(weight) if separator else 1.0


def run(arguments):
    """Train or resume, then print the table of per-class IoU."""
    prepare_to_train()
    if arguments.resume is None and arguments.output is None:
        raise ValueError(checks.sentence("output", "must name a new folder for the run", None,
                                         "Write for example --output runs/first."))
    chosen = None if arguments.resume is not None else recipe(arguments)
    if chosen is None and not arguments.in_stages:
        _refuse_other_options(arguments)
    if arguments.in_stages:
        return _run_in_stages(chosen, arguments)
    from kseg.training import resume, train  # loads TensorFlow

    if chosen is None:
        result = resume(arguments.resume, verbose=arguments.verbose)
    else:
        result = train(chosen, arguments.output, verbose=arguments.verbose)
    _report(result)


def _refuse_other_options(arguments):
    """Raise if anything of a recipe was typed beside `--resume`, which goes on with the recipe of the run."""
    names = [field.name for field in dataclasses.fields(AdversarialRecipe)] + [*_BUILDER_OPTIONS, "recipe", "output"]
    others = [name for name in names if vars(arguments).get(name) is not None]
    if others:
        raise ValueError(checks.sentence(
            "resume", f"must be given without other options ({', '.join(others)})", arguments.resume,
            "A run goes on as it began; for a changed one write --recipe RUN/run.json with a new --output."))


def _report(result):
    iou_table(result.per_class_iou, result.mean_iou,
              f"validation, epoch {result.best_epoch}, model {result.output_dir}/best.keras")


def _run_in_stages(chosen, arguments):
    """Train FCN-32s, 16s and 8s in turn, then print the score of each stage and the table of the last."""
    if chosen is None:
        raise ValueError(checks.sentence("resume", "must be left out with --in-stages", arguments.resume,
                                         "Repeat the first command line: finished stages are not trained again."))
    from kseg.training import train_fcn_in_stages  # loads TensorFlow

    result = train_fcn_in_stages(chosen, arguments.output, verbose=arguments.verbose)
    rows = [[stage, f"{score:.3f}"] for stage, score in result.mean_iou.items()]
    show([("stage", "left"), ("mean IoU", "right")], rows, "validation, stage by stage")
    _report(result.final)
