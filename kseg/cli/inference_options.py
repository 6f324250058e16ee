"""How images are segmented: the options that `predict` and `evaluate` share."""

import argparse
from typing import Any

_NAMES = ("batch_size", "window", "overlap", "blend", "scales", "flip")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg.predict`."""
    group = parser.add_argument_group("inference")
    group.add_argument("--batch-size", type=int, default=4, help="images or windows run at once")
    group.add_argument("--window", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"),
                       help="slide a window of this size; left out: the whole image at once")
    group.add_argument("--overlap", type=float, default=0.5, help="share of a window that its neighbour covers too")
    group.add_argument("--blend", choices=("hann", "uniform"), default="hann", help="how windows are blended")
    group.add_argument("--scales", type=float, nargs="+", default=[1.0], metavar="SCALE", help="sizes to average over")
    group.add_argument("--flip", action="store_true", help="average over the mirrored image too")
    group.add_argument("--quiet", action="store_true", help="draw no progress bar")


def read(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments of `kseg.predict` that were parsed."""
    values = {name: getattr(arguments, name) for name in _NAMES}
    values["window"] = tuple(values["window"]) if values["window"] else None
    return {**values, "scales": tuple(values["scales"]), "progress": not arguments.quiet}
