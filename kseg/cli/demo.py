"""`kseg demo`: train, draw, export and prove, on embedded data."""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator

from kseg.cli.tables import iou_of_models_table, say, show
from kseg.machine import prepare_to_train

_MEASURED = ("size", "compared on", "largest difference", "label agreement", "agreement from bytes", "verdict")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg demo`."""
    parser.add_argument("--output", default="demo", metavar="FOLDER", help="new folder for everything it writes")
    parser.add_argument("--epochs", type=int, help="train the U-Net for so many epochs instead")
    parser.add_argument("--verbose", type=int, choices=(0, 1, 2), default=1,
                        help="0 silent, 1 a bar, 2 one line per epoch")


def run(arguments: argparse.Namespace) -> None:
    """Run the demo and print per-class IoU, both parity reports, and where everything is."""
    import dataclasses

    began = time.perf_counter()
    prepare_to_train()
    with quiet():
        import tensorflow as tf

        from kseg.demo import PYRAMID_RECIPE, RECIPE, demo

        tf.config.list_physical_devices()  # the first look at the devices has notices of its own

    recipe = RECIPE
    if arguments.epochs is not None:  # the warm-up must be shorter than a single epoch, 100 steps
        recipe = dataclasses.replace(recipe, epochs=arguments.epochs,
                                     warmup_steps=min(RECIPE.warmup_steps, 10 * arguments.epochs))
    say(f"{recipe.model} and {PYRAMID_RECIPE.model} on {recipe.encoder_name}, from random weights, on drawn shapes of "
        f"{recipe.image_size[0]}x{recipe.image_size[1]} pixels: {recipe.epochs} epochs and {PYRAMID_RECIPE.epochs}")
    with quiet():
        result = demo(arguments.output, recipe, verbose=arguments.verbose)
    seconds = time.perf_counter() - began
    iou_of_models_table({"U-Net": result.training, "PSPNet on its encoder, 1 epoch": result.pyramid},
                        "IoU on the validation shapes")
    measured = [dict(report.rows()) for report in result.reports]
    show([("", "left"), ("SavedModel", "left"), ("TFLite", "left")],
         [[name, *(rows.get(name, "–") for rows in measured)] for name in _MEASURED],
         "Exports against the Keras model (all of it: *.parity.json)")
    for what, path in (("run of the U-Net", result.training.output_dir),
                       ("run of the PSPNet", result.pyramid.output_dir),
                       ("SavedModel", result.reports[0].path), ("TFLite", result.reports[1].path),
                       ("picture", result.sheet)):
        say(f"{what + ':':<19}{path}")
    say(f"validation mIoU {result.training.mean_iou:.3f}, {seconds:.0f} s in all")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what C++ writes to the terminal: notices on devices and delegates, which TF_CPP_MIN_LOG_LEVEL lets through.

    They go to file descriptor 2, past Python, whose own warnings still come through; what comes is kept, and shown if
    the block fails.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as notices, open(os.dup(terminal), "w", buffering=1) as python_own:
        os.dup2(notices.fileno(), 2)
        try:
            with contextlib.redirect_stderr(python_own):
                yield
        except BaseException:
            notices.seek(0)
            os.write(terminal, notices.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
