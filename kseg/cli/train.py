"""`kseg train`: options to a recipe, then `kseg.training.train`."""

import argparse

from kseg import checks
from kseg.cli import recipe_options
from kseg.cli.tables import iou_of_models_table, show
from kseg.machine import prepare_to_train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg train`."""
    parser.add_argument("--output", metavar="FOLDER", help="new folder for the run")
    parser.add_argument("--resume", metavar="FOLDER", help="go on with the run in this folder; takes no other option")
    parser.add_argument("--recipe", metavar="FILE", help="a run.json to repeat; other options override it")
    parser.add_argument("--in-stages", action="store_true",
                        help="FCN only: train FCN32s, then FCN16s, then FCN8s, each from the one before; the same "
                             "command line again goes on where it stopped")
    parser.add_argument("--verbose", type=int, choices=(0, 1, 2), default=1,
                        help="0 silent, 1 a bar, 2 one line per epoch")
    recipe_options.add(parser)


def run(arguments: argparse.Namespace) -> None:
    """Train or resume, then print the table of per-class IoU."""
    prepare_to_train()
    if arguments.resume is not None:
        return _resume(arguments)
    if arguments.output is None:
        raise ValueError(checks.sentence("output", "must name a new folder for the run", None,
                                         "Write for example --output runs/first."))
    recipe = recipe_options.recipe(arguments)
    from kseg.training import train, train_fcn_in_stages  # loads TensorFlow

    if not arguments.in_stages:
        return _report(train(recipe, arguments.output, verbose=arguments.verbose))
    result = train_fcn_in_stages(recipe, arguments.output, verbose=arguments.verbose)
    rows = [[stage, f"{score:.3f}"] for stage, score in result.mean_iou.items()]
    show([("stage", "left"), ("mean IoU", "right")], rows, "validation, stage by stage")
    _report(result.final)


def _resume(arguments):
    """Go on with a run; refuse whatever else was typed, as the run goes on with its own recipe."""
    if arguments.in_stages:
        raise ValueError(checks.sentence("resume", "must be left out with --in-stages", arguments.resume,
                                         "Repeat the first command line: finished stages are not trained again."))
    others = [*recipe_options.typed(arguments), *(name for name in ("recipe", "output") if getattr(arguments, name))]
    if others:
        raise ValueError(checks.sentence(
            "resume", f"must be given without other options ({', '.join(others)})", arguments.resume,
            "A run goes on as it began; for a changed one write --recipe RUN/run.json with a new --output."))
    from kseg.training import resume  # loads TensorFlow

    _report(resume(arguments.resume, verbose=arguments.verbose))


def _report(result):
    iou_of_models_table({"IoU": result},
                        f"validation, epoch {result.best_epoch}, model {result.output_dir}/best.keras")
