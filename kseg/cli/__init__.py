"""The `kseg` command: each subcommand calls one public function. `--help` and mistyped options load no TensorFlow."""

import argparse
import contextlib
import importlib
import os
import sys
import warnings

import kseg
from kseg.serving.errors import ServingError

COMMANDS = {
    "demo": "train on embedded shapes, draw, export, and prove the exports, in minutes",
    "train": "train a model, or resume a run",
    "evaluate": "measure a model on a dataset",
    "predict": "segment image files and folders",
    "export": "write a model for TensorFlow Serving, TFLite or ONNX, and compare the two",
    "convert": "make a .keras file of a PyTorch checkpoint",
    "serve": "segment photographs on a page in the browser",
    "serve-config": "write what TensorFlow Serving starts from",
    "request": "segment images on a server",
    "check-data": "find what is wrong with a dataset",
    "data convert": "write any dataset as a plain folder of images and label files",
    "data show": "write a sheet of images with their labels, before and after augmentation",
    "draw": "draw the architecture of a model",
    "models": "list builders, encoders and trained models",
}
GROUPS = {"data": "look at datasets and convert them"}  # first words of commands of two words


def main(arguments=None):
    """Run the command line.

    Args:
        arguments: list of str, or None for those of the process.
    Returns:
        int, the exit status: 0, 1 for an error, 2 for a command line that cannot be read, 130 when interrupted.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up notices
    options = parser().parse_args(arguments)
    try:
        with contextlib.nullcontext() if options.traceback else _warnings_without_code():
            return options.run(options) or 0
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except Exception as error:
        text = None if options.traceback else _sentence_of(error)
        if text is None:
            raise
        return _complain(text, 1)


def parser():
    """Return the `argparse.ArgumentParser` of all subcommands."""
    command_line = argparse.ArgumentParser(prog="kseg", description="Semantic segmentation with Keras and TensorFlow.")
    command_line.add_argument("--version", action="version", version=f"kseg {kseg.__version__}")
    top = command_line.add_subparsers(title="commands", metavar="COMMAND", required=True)
    groups = {}
    for name, purpose in COMMANDS.items():
        group, _, word = name.rpartition(" ")
        if group and group not in groups:
            groups[group] = _added(top, group, GROUPS[group]).add_subparsers(title="commands", metavar="COMMAND",
                                                                             required=True)
        subcommand = _added(groups[group] if group else top, word, purpose)
        subcommand.add_argument("--traceback", action="store_true", help="show where an error came from")
        module = importlib.import_module(f"kseg.cli.{name.replace('-', '_').replace(' ', '_')}")
        module.add_arguments(subcommand)
        subcommand.set_defaults(run=module.run)
    return command_line


def _added(subcommands, word, purpose):
    """Return the parser of a subcommand, or of a group of them, added to `subcommands`."""
    return subcommands.add_parser(word, help=purpose, description=purpose[0].upper() + purpose[1:] + ".",
                                  formatter_class=argparse.ArgumentDefaultsHelpFormatter)


@contextlib.contextmanager
def _warnings_without_code():
    """Show warnings as lines like errors: the code they came from is not the user's."""
    before, warnings.formatwarning = warnings.formatwarning, lambda message, *_, **__: f"kseg: warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def _complain(text, status):
    sys.stderr.write(f"kseg: {text}\n")
    return status


def _sentence_of(error):
    """Return what an error says if it is kseg's own, or TensorFlow's from a data function of kseg; else None."""
    if isinstance(error, (ValueError, TypeError, OSError, ImportError, NotImplementedError, ServingError)):
        return str(error)
    if "tensorflow" not in type(error).__module__:
        return None
    from kseg.data import failure_sentence

    return failure_sentence(error)
