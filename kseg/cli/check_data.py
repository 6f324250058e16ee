"""`kseg check-data`: what is wrong with a dataset, before a training run is wasted."""

import argparse
import json
import sys

from kseg import files
from kseg.cli import options
from kseg.cli.bars import image_bar
from kseg.cli.tables import say, show_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg check-data`."""
    options.add_data(parser)
    parser.add_argument("--split", default="train", choices=("train", "validation", "test"), help="which images")
    options.add_task(parser)
    parser.add_argument("--json", metavar="FILE", help="write the findings to this file too; - writes them alone to "
                        "the standard output")
    parser.add_argument("--quiet", action="store_true", help="draw no progress bar")


def run(arguments: argparse.Namespace) -> int:
    """Check, print the findings; the exit status is 1 if training would fail on any."""
    import kseg

    with image_bar("checking", arguments.quiet) as move:
        report = kseg.data.check(arguments.data, arguments.split, data_dir=arguments.data_dir, progress=move,
                                 **{"task": arguments.task, **dict(arguments.data_options)})
    if arguments.json == "-":
        json.dump(report.to_dict(), sys.stdout, indent=1)
    else:
        show_table(report.table())
        if arguments.json is not None:
            files.write_text(arguments.json, json.dumps(report.to_dict(), indent=1))
            say(arguments.json)
    return 0 if report.ok else 1
