"""`kseg evaluate`: scores on a dataset at the labels' full resolution."""

import argparse

from kseg import checks
from kseg.cli import options
from kseg.cli.predict import MODEL
from kseg.cli.tables import say, show_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg evaluate`."""
    parser.add_argument("model", help=MODEL)
    options.add_data(parser)
    parser.add_argument("--split", default="validation", choices=("train", "validation", "test"), help="which images")
    options.add_image_size(parser, help="size the images are resized to for the model; left out: their own")
    parser.add_argument("--at-image-size", action="store_true",
                        help="measure at --image-size, as validation during training does, instead of the labels' "
                             "full resolution")
    parser.add_argument("--output", metavar="FOLDER", help="write report.html, report.json and their pictures")
    parser.add_argument("--overwrite", action="store_true", help="replace a report that is there")
    parser.add_argument("--no-boundaries", action="store_true", help="leave boundary IoU and F1 out")
    options.add_inference(parser)
    options.add_ray(parser)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate, print the table, and write the report if a folder was given."""
    if arguments.at_image_size and arguments.image_size is None:
        raise ValueError(checks.sentence("image_size", "must be given with --at-image-size", None,
                                         "Add for example --image-size 384 512."))
    import kseg
    from kseg.inference.report.outcome import refuse_report

    if arguments.output is not None:
        refuse_report(arguments.output, arguments.overwrite)  # before minutes are spent
    on_ray = options.read_ray(arguments)
    evaluation = (kseg.distributed.evaluate if on_ray else kseg.evaluate)(
        arguments.model, arguments.data, arguments.split, **on_ray, data_dir=arguments.data_dir,
        image_size=tuple(arguments.image_size) if arguments.image_size else None,
        full_resolution=not arguments.at_image_size, boundaries=not arguments.no_boundaries,
        data_options=dict(arguments.data_options) or None, **options.read_inference(arguments))
    show_table(evaluation.table())
    if arguments.output is not None:
        for path in evaluation.write(arguments.output, overwrite=arguments.overwrite):
            say(path)
