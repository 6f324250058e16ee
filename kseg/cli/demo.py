"""`kseg demo`: train, draw, export and prove, on embedded data."""

import time

from kseg.cli.tables import iou_table, say, show_table


def add_arguments(parser):
    """Add the options of `kseg demo`."""
    parser.add_argument("--output", default="demo", metavar="FOLDER", help="new folder for everything it writes")
    parser.add_argument("--epochs", type=int, help="train for so many epochs instead")
    parser.add_argument("--verbose", type=int, choices=(0, 1, 2), default=1,
                        help="0 silent, 1 a bar, 2 a line an epoch")


def run(arguments):
    """Run the demo and print per-class IoU and both parity reports."""
    import dataclasses

    from kseg.demo import RECIPE, demo

    began = time.perf_counter()
    recipe = RECIPE
    if arguments.epochs is not None:  # the warm-up must be shorter than a single epoch, 50 steps
        recipe = dataclasses.replace(RECIPE, epochs=arguments.epochs, warmup_steps=10 * min(5, arguments.epochs))
    result = demo(arguments.output, recipe, verbose=arguments.verbose)
    training = result.training
    iou_table(training.per_class_iou, training.mean_iou, f"shapes, validation, epoch {training.best_epoch}")
    for report in result.reports:
        show_table(report.table())
    say(f"validation mIoU {training.mean_iou:.3f}, {time.perf_counter() - began:.0f} s; picture: {result.sheet}")
