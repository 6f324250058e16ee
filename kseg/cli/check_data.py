"""`kseg check-data`: what is wrong with a dataset, before a training run is wasted."""

import json

from kseg.cli import options
from kseg.cli.tables import say


def add_arguments(parser):
    """Add the options of `kseg check-data`."""
    options.add_data(parser)
    parser.add_argument("--split", default="train", choices=("train", "validation", "test"), help="which images")
    parser.add_argument("--json", metavar="FILE", help="write the findings to this file too")


def run(arguments):
    """Check, print the findings; the exit status is 1 if training would fail on any."""
    import kseg
    from kseg.cli.tables import show_table

    report = kseg.data.check(arguments.data, arguments.split, data_dir=arguments.data_dir,
                             **dict(arguments.data_options))
    show_table(report.table())
    if arguments.json is not None:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(report.to_dict(), file, indent=1)
        say(arguments.json)
    return 0 if report.ok else 1
