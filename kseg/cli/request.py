"""`kseg request`: images to a served model and its answers to PNG files. Loads neither TensorFlow nor Keras."""

import argparse
import os

from kseg import checks, files
from kseg.cli.tables import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg request`."""
    parser.add_argument("url", help="http://host:8501 (REST) or grpc://host:8500")
    parser.add_argument("model", help="the model's name on the server")
    parser.add_argument("images", nargs="+", metavar="image", help="JPEG, PNG, BMP or GIF file")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="where the PNG files go")
    parser.add_argument("--color", action="store_true", help="painted with the palette instead of class ids")
    parser.add_argument("--overwrite", action="store_true", help="replace PNG files that are there")
    parser.add_argument("--version", type=int, help="version of the model; left out: the newest")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for one answer")
    parser.add_argument("--retries", type=int, default=3, help="further attempts when the server is away or overloaded")
    parser.add_argument("--batch-size", type=int, default=8, help="most images in one request")
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="wait so long for the server to be ready")


def run(arguments: argparse.Namespace) -> None:
    """Segment the images on the server and write the answers."""
    from PIL import Image

    from kseg.serving import Client

    for path in arguments.images:
        checks.existing_file("images", path)
    targets = [os.path.join(arguments.output, os.path.splitext(os.path.basename(path))[0] + ".png")
               for path in arguments.images]
    twice = next((target for target in targets if targets.count(target) > 1), None)
    if twice is not None:
        raise ValueError(checks.sentence("images", "must have different names", os.path.basename(twice),
                                         "Send them one by one, each into its own folder."))
    _refuse_files(targets, arguments.overwrite)
    with Client(arguments.url, arguments.model, arguments.version, timeout=arguments.timeout,
                retries=arguments.retries, batch_size=arguments.batch_size) as client:
        if arguments.wait is not None:
            client.wait(arguments.wait)
        answers = client.segment(list(arguments.images), "color" if arguments.color else "labels")
    pictures = dict(one for target, answer in zip(targets, answers)
                    for one in _pictures(target, answer, arguments.color))
    _refuse_files(pictures, arguments.overwrite)
    for path, picture in pictures.items():
        with files.draft(path) as temporary:
            Image.fromarray(picture).save(temporary)
        say(path)


def _refuse_files(paths, overwrite):
    """Raise if one of `paths` is there and not to be replaced: an image sent from the output folder would be lost."""
    there = next((path for path in paths if os.path.exists(path)), None)
    if there is not None and not overwrite:
        raise FileExistsError(checks.sentence("output", "must not hold these files already", there,
                                              "Take another folder or pass --overwrite."))


def _pictures(target, answer, painted):
    """Yield (path, picture) of an answer: one, or one per class of a multi-label model, its number after the name."""
    if answer.ndim == 2 or painted:
        yield target, answer
        return
    for index in range(answer.shape[-1]):
        yield f"{target.removesuffix('.png')}-{index}.png", answer[..., index]
