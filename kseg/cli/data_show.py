"""`kseg data show`: a sheet of images with their labels, before and after augmentation."""

import argparse

from kseg.cli import options
from kseg.cli.tables import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg data show`."""
    parser.add_argument("name", metavar="NAME", help=options.DATASETS)
    options.add_data_files(parser)
    parser.add_argument("--split", default="train", choices=("train", "validation", "test"), help="which images")
    options.add_task(parser)
    parser.add_argument("--count", type=int, default=6, help="images shown, spread evenly over the split")
    parser.add_argument("--augment", default="default", choices=("none", "default", "deeplab", "pspnet", "unet"),
                        help="recipe of the augmented images")
    options.add_image_size(parser, "of the augmented images; left out: their own")
    parser.add_argument("--seed", type=int, default=0, help="of the augmentation")
    parser.add_argument("--output", default="sheet.png", metavar="FILE", help="picture to write")


def run(arguments: argparse.Namespace) -> None:
    """Write the sheet and say where it is."""
    import kseg

    size = None if arguments.image_size is None else tuple(arguments.image_size)
    kseg.data.show(arguments.name, arguments.split, data_dir=arguments.data_dir, count=arguments.count,
                   augment=False if arguments.augment == "none" else arguments.augment, image_size=size,
                   seed=arguments.seed, output=arguments.output,
                   **{"task": arguments.task, **dict(arguments.data_options)})
    say(arguments.output)
