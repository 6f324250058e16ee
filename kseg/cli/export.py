"""`kseg export`: a trained model to TensorFlow Serving or TFLite, with the parity report.

Both are compared on validation images of --data and --image-size where these are given, else on structured images.
"""

import argparse

from kseg import checks
from kseg.cli import options
from kseg.cli.predict import KERAS_MODEL
from kseg.cli.tables import show_table

COMPARED_IMAGES = 8
QUANTIZE = ("float16", "dynamic", "int8", "int8_float_io")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg export`."""
    parser.add_argument("model", help=KERAS_MODEL)
    parser.add_argument("path", help="a file ending in .tflite, or a SavedModel folder such as serving/street/1")
    options.add_image_size(parser, help="height and width in pixels; needed for TFLite, any size for a SavedModel")
    parser.add_argument("--quantize", choices=QUANTIZE, help="of TFLite; int8 takes its calibration images from --data")
    parser.add_argument("--labels", action="store_true", help="the TFLite file gives labels instead of logits")
    parser.add_argument("--probabilities", action="store_true", help="serving_default gives probabilities too")
    parser.add_argument("--evaluate", action="store_true", help="compare mean IoU on all validation images of --data")
    parser.add_argument("--minimum-agreement", type=float, help="least share of pixels with the same label")
    parser.add_argument("--overwrite", action="store_true", help="replace what stands at the path")
    options.add_data(parser, required=False)


def run(arguments: argparse.Namespace) -> None:
    """Export, and print the parity report."""
    tflite, int8 = arguments.path.endswith(".tflite"), (arguments.quantize or "").startswith("int8")
    for name in ("probabilities",) if tflite else ("quantize", "labels"):
        if getattr(arguments, name):
            raise ValueError(checks.sentence(
                name, f"must be left out for a {'TFLite file' if tflite else 'SavedModel'}", getattr(arguments, name),
                "Give a folder as the path." if tflite else "Give a path that ends in .tflite."))
    if (arguments.evaluate or int8) and arguments.data is None:
        raise ValueError(checks.sentence("data", "must be given for int8 and for --evaluate", None,
                                         "Add for example --data folder --data-dir my_images."))
    if (tflite or arguments.data is not None) and arguments.image_size is None:
        raise ValueError(checks.sentence("image_size", "must be given for TFLite and wherever data is used", None,
                                         "Add for example --image-size 384 512."))
    import numpy as np

    import kseg

    model = kseg.load_model(arguments.model)
    size = tuple(arguments.image_size) if arguments.image_size else None
    shared = {"minimum_agreement": arguments.minimum_agreement, "overwrite": arguments.overwrite,
              "evaluate_on": _data(arguments, model, "validation") if arguments.evaluate else None,
              "images": None}
    if arguments.data is not None:
        compared = _data(arguments, model, "validation").take(COMPARED_IMAGES)
        shared["images"] = np.concatenate([pixels for pixels, _ in compared])
    if tflite:
        calibration = _data(arguments, model, "train") if int8 else None
        report = kseg.export.tflite(model, arguments.path, size, arguments.quantize, calibration,
                                    output="labels" if arguments.labels else "logits", **shared)
    else:
        report = kseg.export.saved_model(model, arguments.path, image_size=size or (None, None),
                                         probabilities=arguments.probabilities, **shared)
    show_table(report.table())


def _data(arguments, model, split):
    import kseg

    bands = {"channels": model.inputs[0].shape[-1]} if model.inputs[0].shape[-1] in (1, 3) else {}
    return kseg.data.load(arguments.data, split, data_dir=arguments.data_dir, image_size=tuple(arguments.image_size),
                          batch_size=1, seed=0, **{**bands, **dict(arguments.data_options)})
