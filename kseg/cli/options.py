"""Options that several subcommands share, and types and checks of their values."""

import argparse
import json
import typing
from collections.abc import Callable

from kseg import checks

NAME_VALUE = "NAME=VALUE"
DATASETS = ("shapes, folder, camvid, voc2012, cityscapes, ade20k, coco, coco_panoptic, yolo, labelme, cvat, "
            "cvat_masks, label_studio, supervisely, nifti, records or tfds:NAME")
_INFERENCE = ("batch_size", "window", "overlap", "blend", "scales", "flip", "threshold")


def add_data(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add `--data`, `--data-dir` and `--data-option`."""
    parser.add_argument("--data", required=required, metavar="NAME", help=DATASETS)
    add_data_files(parser)


def add_data_files(parser: argparse.ArgumentParser) -> None:
    """Add `--data-dir` and `--data-option`."""
    parser.add_argument("--data-dir", metavar="FOLDER", help="where the dataset's files are")
    parser.add_argument("--data-option", dest="data_options", action="append", type=name_value, metavar=NAME_VALUE,
                        default=[], help="another argument of the dataset's reader, e.g. classes=2; may be repeated")


def add_task(parser: argparse.ArgumentParser) -> None:
    """Add `--task`."""
    parser.add_argument("--task", choices=("multiclass", "binary", "multilabel"), default="multiclass",
                        help="what the labels are for, as in kseg train")


def add_image_size(parser: argparse.ArgumentParser, help: str = "height and width in pixels") -> None:
    """Add `--image-size HEIGHT WIDTH`."""
    parser.add_argument("--image-size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help=help)


def add_inference(parser: argparse.ArgumentParser, quiet: str = "draw no progress bar") -> None:
    """Add the options of `kseg.predict`; `quiet` is what the command leaves out for `--quiet`."""
    group = parser.add_argument_group("inference")
    group.add_argument("--batch-size", type=int, default=4, help="images or windows run at once")
    group.add_argument("--window", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"),
                       help="slide a window of this size; left out: the whole image at once")
    group.add_argument("--overlap", type=float, default=0.5, help="share of a window that its neighbour covers too")
    group.add_argument("--blend", choices=("hann", "uniform"), default="hann", help="how windows are blended")
    group.add_argument("--scales", type=float, nargs="+", default=[1.0], metavar="SCALE", help="sizes to average over")
    group.add_argument("--flip", action="store_true", help="average over the mirrored image too")
    add_threshold(group)
    group.add_argument("--quiet", action="store_true", help=quiet)


def add_ray(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add `--ray` and `--workers`, and return their group."""
    group = parser.add_argument_group("many machines")
    group.add_argument("--ray", metavar="ADDRESS", help="run on a Ray cluster, extra ray: 'local' (this machine), "
                       "'auto' or the head's host:port; machines must share the paths")
    group.add_argument("--workers", type=int, metavar="COUNT", help="processes; left out: as many as there is room for")
    group.add_argument("--cpus-per-worker", type=float, metavar="COUNT", default=1.0, help="what Ray reserves for each")
    group.add_argument("--gpus-per-worker", type=float, metavar="COUNT",
                       help="left out: 1 where the cluster has one for each")
    return group


def read_ray(arguments: argparse.Namespace) -> dict[str, typing.Any]:
    """Return the keyword arguments of `kseg.distributed` that were parsed, none without `--ray`."""
    if arguments.ray is None and arguments.workers is not None:
        raise ValueError(checks.sentence("workers", "must come with --ray", arguments.workers,
                                         "Add --ray local to have several processes on this machine."))
    return {} if arguments.ray is None else {
        "address": arguments.ray, "workers": arguments.workers, "cpus_per_worker": arguments.cpus_per_worker,
        "gpus_per_worker": arguments.gpus_per_worker}


def add_threshold(parser: argparse._ActionsContainer) -> None:
    """Add `--threshold`."""
    parser.add_argument("--threshold", type=float, nargs="+", metavar="PROBABILITY",
                        help="binary and multilabel models: what the probability of a class must exceed, one number or "
                             "one per class; left out: the model's own")


def read_threshold(arguments: argparse.Namespace) -> float | tuple[float, ...] | None:
    """Return the threshold that was typed: one number, one per class, or None."""
    typed = arguments.threshold
    return typed if typed is None else typed[0] if len(typed) == 1 else tuple(typed)


def read_inference(arguments: argparse.Namespace) -> dict[str, typing.Any]:
    """Return the keyword arguments of `kseg.predict` that were parsed."""
    values = {name: getattr(arguments, name) for name in _INFERENCE}
    values["threshold"] = read_threshold(arguments)
    values["window"] = tuple(values["window"]) if values["window"] else None
    return {**values, "scales": tuple(values["scales"]), "progress": not arguments.quiet}


def optional(kind: Callable[[str], typing.Any]) -> Callable[[str], typing.Any]:
    """Return a parser of `kind` that reads "none" as None: it takes a stored value back."""
    def parse(text):
        return None if text.lower() in ("none", "null") else kind(text)
    parse.__name__ = kind.__name__  # argparse names it in "invalid … value"
    return parse


def name_value(text: str) -> tuple[str, typing.Any]:
    """Parse `name=value`; the value is read as JSON where it is JSON, else as text."""
    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"write name=value, e.g. output_stride=16, got {text!r}")
    return name, literal(value)


def literal(text: str) -> typing.Any:
    """Read JSON (numbers, lists, true, null), else return the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"True": True, "False": False, "None": None}.get(text, text)


def factor(text: str) -> tuple[str, float]:
    """Parse `name=number`."""
    name, value = name_value(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise argparse.ArgumentTypeError(f"write name=number, e.g. head=10, got {text!r}")
    return name, float(value)
