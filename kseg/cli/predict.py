"""`kseg predict`: files and folders to indexed PNGs, overlays and a sheet."""

import argparse

from kseg.cli import options
from kseg.cli.tables import say

KERAS_MODEL = "a .keras file, hf://user/model, or a name such as torchvision/deeplabv3_resnet50"
MODEL = f"{KERAS_MODEL}; a SavedModel folder, a .tflite or a .onnx file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg predict`."""
    parser.add_argument("model", help=MODEL)
    parser.add_argument("inputs", nargs="+", metavar="input", help="image file or folder")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="where labels/ (of a GeoTIFF in its place "
                        "on earth), overlays/ and sheet.png go")
    parser.add_argument("--no-overlays", action="store_true", help="write no overlays")
    parser.add_argument("--no-sheet", action="store_true", help="write no sheet")
    parser.add_argument("--polygons", action="store_true", help="write polygons/NAME.geojson too, of GeoTIFFs")
    parser.add_argument("--opacity", type=float, default=0.5, help="of the labels in overlays, 0 to 1")
    parser.add_argument("--overwrite", action="store_true", help="replace label files and a sheet that are there")
    options.add_inference(parser)


def run(arguments: argparse.Namespace) -> None:
    """Segment the files and say what was written."""
    from kseg.inference import predict_files

    written = predict_files(arguments.model, arguments.inputs, arguments.output, overlays=not arguments.no_overlays,
                            sheet=not arguments.no_sheet, opacity=arguments.opacity, overwrite=arguments.overwrite,
                            polygons=arguments.polygons, **options.read_inference(arguments))
    say(f"{len(written)} files below {arguments.output}")
    if not arguments.no_sheet:
        say(written[-1])
