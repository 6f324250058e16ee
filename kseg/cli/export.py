"""`kseg export`: a trained model to TensorFlow Serving, TFLite or ONNX, with the parity report.

They are compared on validation images of --data and --image-size where these are given, else on structured images.
"""

import argparse
import dataclasses
import os

from kseg import checks, tasks
from kseg.cli import options
from kseg.cli.predict import KERAS_MODEL
from kseg.cli.tables import show_table

COMPARED_IMAGES = 8
QUANTIZE = ("float16", "dynamic", "int8", "int8_float_io")


@dataclasses.dataclass(frozen=True)
class Format:
    """A format: the function of `kseg.export`, its title, the path that chooses it, and the options it alone has."""

    function: str
    title: str
    path: str
    options: tuple[str, ...]
    one_size: bool = False


FORMATS = {  # by the ending of the path
    ".tflite": Format("tflite", "a TFLite file", "a path that ends in .tflite", ("quantize", "labels"), one_size=True),
    ".onnx": Format("onnx", "an ONNX file", "a path that ends in .onnx", ("labels", "opset")),
    "": Format("saved_model", "a SavedModel", "a folder as the path", ("probabilities",)),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg export`."""
    parser.add_argument("model", help=KERAS_MODEL)
    parser.add_argument("path", help="a file ending in .tflite or .onnx, or a SavedModel folder like serving/street/1")
    options.add_image_size(parser, help="height and width in pixels; needed for TFLite, left out: any size")
    parser.add_argument("--quantize", choices=QUANTIZE, help="of TFLite; int8 takes its calibration images from --data")
    parser.add_argument("--labels", action="store_true", help="the TFLite or ONNX file gives labels instead of logits")
    parser.add_argument("--opset", type=int, help="of ONNX, the version of its operators, 13 to 18 (default: 17)")
    parser.add_argument("--probabilities", action="store_true", help="serving_default gives probabilities too")
    parser.add_argument("--evaluate", action="store_true", help="compare mean IoU on all validation images of --data")
    options.add_threshold(parser)
    parser.add_argument("--minimum-agreement", type=float, help="least share of pixels with the same label")
    parser.add_argument("--overwrite", action="store_true", help="replace what stands at the path")
    options.add_data(parser, required=False)


def run(arguments: argparse.Namespace) -> None:
    """Export, and print the parity report."""
    chosen, int8 = _format(arguments.path), (arguments.quantize or "").startswith("int8")
    keywords = {name: getattr(arguments, name) for one in FORMATS.values() for name in one.options
                if getattr(arguments, name) not in (None, False)}
    for name, value in keywords.items():
        if name not in chosen.options:
            others = " or ".join(one.path for one in FORMATS.values() if name in one.options)
            raise ValueError(checks.sentence(name, f"must be left out for {chosen.title}", value, f"Give {others}."))
    if (arguments.evaluate or int8) and arguments.data is None:
        raise ValueError(checks.sentence("data", "must be given for int8 and for --evaluate", None,
                                         "Add for example --data folder --data-dir my_images."))
    if (chosen.one_size or arguments.data is not None) and arguments.image_size is None:
        raise ValueError(checks.sentence("image_size", "must be given for TFLite and wherever data is used", None,
                                         "Add for example --image-size 384 512."))
    import numpy as np

    import kseg

    model = kseg.load_model(arguments.model)
    if arguments.threshold is not None:
        model.threshold = options.read_threshold(arguments)
    if keywords.pop("labels", False):
        keywords["output"] = "labels"
    if int8:
        keywords["calibration"] = _data(arguments, model, "train")
    if arguments.evaluate:
        keywords["evaluate_on"] = _data(arguments, model, "validation")
    if arguments.data is not None:
        compared = _data(arguments, model, "validation").take(COMPARED_IMAGES)
        keywords["images"] = np.concatenate([pixels for pixels, _ in compared])
    if arguments.image_size is not None:
        keywords["image_size"] = tuple(arguments.image_size)
    report = getattr(kseg.export, chosen.function)(
        model, arguments.path, minimum_agreement=arguments.minimum_agreement, overwrite=arguments.overwrite, **keywords)
    show_table(report.table())


def _format(path):
    """Return the format that `path` chooses; a folder may have any other ending, or none."""
    return FORMATS.get(os.path.splitext(path)[1], FORMATS[""])


def _data(arguments, model, split):
    import kseg

    fits = {"task": tasks.of_model(model).name, "channels": model.inputs[0].shape[-1],
            "pixel_range": getattr(model, "pixel_range", None)}
    return kseg.data.load(arguments.data, split, data_dir=arguments.data_dir, image_size=tuple(arguments.image_size),
                          batch_size=1, seed=0, **{**fits, **dict(arguments.data_options)})
