"""Types and checks of command-line values that several subcommands share."""

import argparse
import json

NAME_VALUE = "NAME=VALUE"


def add_data(parser, required=True):
    """Add `--data`, `--data-dir` and `--data-option`."""
    parser.add_argument("--data", required=required, default=None if required else "shapes", metavar="NAME",
                        help="shapes, folder, camvid, voc2012, cityscapes, ade20k or tfds:NAME")
    parser.add_argument("--data-dir", metavar="FOLDER", help="where the dataset's files are")
    parser.add_argument("--data-option", dest="data_options", action="append", type=name_value, default=[],
                        metavar=NAME_VALUE, help="another argument of kseg.data.load, e.g. classes=2; may be repeated")


def add_image_size(parser, default=None, help="height and width in pixels"):
    """Add `--image-size HEIGHT WIDTH`."""
    parser.add_argument("--image-size", type=int, nargs=2, default=default, metavar=("HEIGHT", "WIDTH"), help=help)


def name_value(text):
    """Parse `name=value`; the value is read as JSON where it is JSON, else as text."""
    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"write name=value, e.g. output_stride=16, got {text!r}")
    return name, literal(value)


def literal(text):
    """Read JSON (numbers, lists, true, null), else return the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"True": True, "False": False, "None": None}.get(text, text)


def factor(text):
    """Parse `name=number`."""
    name, value = name_value(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise argparse.ArgumentTypeError(f"write name=number, e.g. head=10, got {text!r}")
    return name, float(value)
