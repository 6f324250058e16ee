"""`kseg export`: a trained model to TensorFlow Serving, TFLite, ONNX or a web page, with the parity report.

They are compared on validation images of --data and --image-size where these are given, else on structured images.
"""

import argparse
import dataclasses
import os

from kseg import checks, tasks
from kseg.cli import options
from kseg.cli.predict import KERAS_MODEL
from kseg.cli.tables import say, show_table

COMPARED_IMAGES = 8
EXAMPLES = 4  # images of --data that a web page offers
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
WEB_PAGE = Format("web_page", "a web page", "a folder and --web",
                  ("quantize", "runtime", "examples", "title", "maximum_megabytes"), one_size=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg export`."""
    parser.add_argument("model", help=KERAS_MODEL)
    parser.add_argument("path", help="a file ending in .tflite or .onnx, or a SavedModel folder like serving/street/1, "
                                     "or with --web the folder of a page")
    parser.add_argument("--web", action="store_true", help="write a page that runs the model, here also a .tflite "
                                                           "file, in the browser")
    options.add_image_size(parser, help="height and width in pixels; needed for TFLite, left out: any size")
    parser.add_argument("--quantize", choices=QUANTIZE, help="of TFLite; int8 takes its calibration images from --data")
    parser.add_argument("--labels", action="store_true", help="the TFLite or ONNX file gives labels instead of logits")
    parser.add_argument("--opset", type=int, help="of ONNX, the version of its operators, 13 to 18 (default: 17)")
    parser.add_argument("--probabilities", action="store_true", help="serving_default gives probabilities too")
    parser.add_argument("--examples", nargs="+", metavar="FILE", help="images offered on the web page; left out: the "
                        "first four validation images of --data")
    parser.add_argument("--title", help="heading of the web page; left out: the model's name")
    parser.add_argument("--runtime", metavar="FOLDER", help="where npm installed LiteRT.js, to go with the web page "
                        "into networks without internet; left out: fetched by browsers")
    parser.add_argument("--maximum-megabytes", type=float, help="the largest model for a web page (default: 100)")
    parser.add_argument("--evaluate", action="store_true", help="compare mean IoU on all validation images of --data")
    options.add_threshold(parser)
    parser.add_argument("--minimum-agreement", type=float, help="least share of pixels with the same label")
    parser.add_argument("--overwrite", action="store_true", help="replace what stands at the path")
    options.add_data(parser, required=False)


def run(arguments: argparse.Namespace) -> None:
    """Export, and print the parity report."""
    chosen, made = _format(arguments), arguments.web and arguments.model.lower().endswith(".tflite")
    keywords = _options(arguments, chosen, made)
    import kseg

    model = arguments.model if made else kseg.load_model(arguments.model)
    if arguments.threshold is not None:
        model.threshold = options.read_threshold(arguments)
    if keywords.pop("labels", False):
        keywords["output"] = "labels"
    if arguments.image_size is not None:
        keywords["image_size"] = tuple(arguments.image_size)
    if arguments.data is not None:
        keywords.update(_from_data(arguments, model, made))
    report = getattr(kseg.export, chosen.function)(
        model, arguments.path, minimum_agreement=arguments.minimum_agreement, overwrite=arguments.overwrite, **keywords)
    if report is not None:
        show_table(report.table())
    if chosen is WEB_PAGE:
        say(f"Serve the folder to look at the page: python -m http.server --directory {arguments.path}")


def _options(arguments, chosen, made):
    """Return the options that only some formats have and that were typed; `made` says that the model is a file made."""
    formats, int8 = (*FORMATS.values(), WEB_PAGE), (arguments.quantize or "").startswith("int8")
    keywords = {name: getattr(arguments, name) for one in formats for name in one.options
                if getattr(arguments, name) not in (None, False)}
    for name, value in keywords.items():
        if name not in chosen.options:
            others = " or ".join(one.path for one in formats if name in one.options)
            raise ValueError(checks.sentence(name, f"must be left out for {chosen.title}", value, f"Give {others}."))
    if made and arguments.threshold is not None:
        raise ValueError(checks.sentence("threshold", "must be left out for a .tflite file, which has its own",
                                         options.read_threshold(arguments), "Give the .keras file."))
    if (arguments.evaluate or int8) and arguments.data is None:
        raise ValueError(checks.sentence("data", "must be given for int8 and for --evaluate", None,
                                         "Add for example --data folder --data-dir my_images."))
    if (chosen.one_size or arguments.data is not None) and arguments.image_size is None and not made:
        raise ValueError(checks.sentence("image_size", "must be given for TFLite and wherever data is used", None,
                                         "Add for example --image-size 384 512."))
    return keywords


def _from_data(arguments, model, made):
    """Return the arguments of the export that are images of --data; of a file made only the examples of a page."""
    import numpy as np

    found, size = {}, arguments.image_size and tuple(arguments.image_size)
    if (arguments.quantize or "").startswith("int8"):
        found["calibration"] = _data(arguments, model, "train", size)
    if arguments.evaluate:
        found["evaluate_on"] = _data(arguments, model, "validation", size)
    if not made:
        compared = _data(arguments, model, "validation", size).take(COMPARED_IMAGES)
        found["images"] = np.concatenate([pixels for pixels, _ in compared])
    if arguments.web and not arguments.examples:
        found["examples"] = [pixels.numpy()[0] for pixels, _ in
                             _data(arguments, model, "validation", None).take(EXAMPLES)]
    return found


def _format(arguments):
    """Return the format that the path chooses, or --web; a folder may have any other ending, or none."""
    return WEB_PAGE if arguments.web else FORMATS.get(os.path.splitext(arguments.path)[1], FORMATS[""])


def _data(arguments, model, split, image_size):
    import kseg

    if isinstance(model, str):
        described = kseg.export.read_metadata(model)
        fits = {"task": described["task"], "channels": described["input"]["channels"]}
    else:
        fits = {"task": tasks.of_model(model).name, "channels": model.inputs[0].shape[-1],
                "pixel_range": getattr(model, "pixel_range", None)}
    return kseg.data.load(arguments.data, split, data_dir=arguments.data_dir, image_size=image_size,
                          batch_size=1, seed=0, **{**fits, **dict(arguments.data_options)})
