"""`kseg data convert`: any dataset as a plain folder of images and label files."""

import argparse

from kseg.cli import options
from kseg.cli.bars import image_bar
from kseg.cli.tables import say, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg data convert`."""
    parser.add_argument("name", metavar="SOURCE", help=options.DATASETS)
    parser.add_argument("output", metavar="OUTPUT", help="folder to write; one that was begun is gone on with")
    options.add_data_files(parser)
    parser.add_argument("--splits", nargs="+", choices=("train", "validation", "test"),
                        help="which images; left out: those that are there")
    parser.add_argument("--quiet", action="store_true", help="draw no progress bar")


def run(arguments: argparse.Namespace) -> None:
    """Convert, then print how many pairs were written."""
    import kseg

    with image_bar("opening", arguments.quiet) as move:
        counts = kseg.data.convert(
            arguments.name, arguments.output, arguments.splits, data_dir=arguments.data_dir,
            progress=lambda split, done, total: move(done, total, description=split), **dict(arguments.data_options))
    show([("split", "left"), ("pairs", "right")], [[split, f"{count:,}"] for split, count in counts.items()])
    say(f"written: {arguments.output}; read it as --data folder --data-dir {arguments.output}")
