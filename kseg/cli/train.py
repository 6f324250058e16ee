"""`kseg train`: options to a recipe, then `kseg.training.train`."""

import argparse

from kseg import checks
from kseg.cli import recipe_options
from kseg.cli.tables import iou_of_models_table, show
from kseg.machine import prepare_to_train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg train`."""
    parser.add_argument("--output", metavar="FOLDER", help="new folder for the run")
    parser.add_argument("--resume", metavar="FOLDER", help="go on with the run in this folder; takes no other "
                        "option but --devices, --verbose and those of --ray")
    parser.add_argument("--recipe", metavar="FILE", help="a run.json to repeat; other options override it")
    parser.add_argument("--in-stages", action="store_true",
                        help="FCN only: train FCN32s, then FCN16s, then FCN8s, each from the one before; the same "
                             "command line again goes on where it stopped")
    parser.add_argument("--devices", metavar="COUNT", type=_devices,
                        help="how many GPUs (CPUs where there are none) share each batch, or all; TensorFlow and JAX "
                             "(default: one; of a resumed run: as it was begun)")
    ray = parser.add_argument_group("many machines (extra ray)")
    ray.add_argument("--ray", metavar="ADDRESS", help="train by several workers on the Ray cluster at this host:port; "
                     "local: on this machine; --output may be a URL; the same command line again, or --resume, goes "
                     "on with a killed run")
    ray.add_argument("--workers", type=int, metavar="COUNT", help="processes that share each batch (default: 2)")
    ray.add_argument("--cpus-per-worker", type=float, metavar="COUNT", help="default: 1")
    ray.add_argument("--gpus-per-worker", type=float, metavar="COUNT", help="default: 0")
    parser.add_argument("--verbose", type=int, choices=(0, 1, 2), default=1,
                        help="0 silent, 1 a bar, 2 one line per epoch")
    recipe_options.add(parser)


def run(arguments: argparse.Namespace) -> None:
    """Train or resume, then print the table of per-class IoU."""
    _refuse_without_ray(arguments)
    prepare_to_train()
    if arguments.resume is not None:
        return _resume(arguments)
    if arguments.output is None:
        raise ValueError(checks.sentence("output", "must name a new folder for the run", None,
                                         "Write for example --output runs/first."))
    recipe = recipe_options.recipe(arguments)
    from kseg.training import train, train_fcn_in_stages  # loads TensorFlow

    if arguments.ray is not None:
        from kseg import distributed

        return _report(distributed.train(recipe, arguments.output, **_of_ray(arguments)))
    if not arguments.in_stages:
        return _report(train(recipe, arguments.output, verbose=arguments.verbose, devices=arguments.devices))
    result = train_fcn_in_stages(recipe, arguments.output, verbose=arguments.verbose, devices=arguments.devices)
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
    if arguments.ray is not None:
        from kseg import distributed

        return _report(distributed.resume(arguments.resume, **_of_ray(arguments)))
    from kseg.training import resume  # loads TensorFlow

    _report(resume(arguments.resume, verbose=arguments.verbose, devices=arguments.devices))


def _devices(text):
    """Return a number as one; other words are judged where devices are chosen."""
    return int(text) if text.removeprefix("-").isdigit() else text


def _refuse_without_ray(arguments):
    """Refuse options that say nothing without others."""
    typed = [name for name in ("workers", "cpus_per_worker", "gpus_per_worker") if getattr(arguments, name) is not None]
    if typed and arguments.ray is None:
        raise ValueError(checks.sentence(typed[0], "must come with --ray, which says on which cluster",
                                         getattr(arguments, typed[0]), "Add --ray local, or its address."))
    if arguments.ray is not None and arguments.devices is not None:
        raise ValueError(checks.sentence("devices", "must be left out with --ray, whose workers share each batch",
                                         arguments.devices, "Say --workers and --gpus-per-worker instead."))
    if arguments.ray is not None and arguments.in_stages:
        raise ValueError(checks.sentence("ray", "must be left out with --in-stages", arguments.ray,
                                         "Train the stages one by one, or in one process."))


def _of_ray(arguments):
    """Return what was typed for `kseg.distributed.train`."""
    options = {name: getattr(arguments, name) for name in ("workers", "cpus_per_worker", "gpus_per_worker")
               if getattr(arguments, name) is not None}
    return {"address": arguments.ray, "verbose": arguments.verbose, **options}


def _report(result):
    iou_of_models_table({"IoU": result},
                        f"validation, epoch {result.best_epoch}, model {result.output_dir}/best.keras")
