"""`kseg predict`: files and folders to indexed PNGs, overlays and a sheet."""

import argparse

from kseg import checks
from kseg.cli import options
from kseg.cli.tables import say

KERAS_MODEL = "a .keras file, hf://user/model, or a name such as torchvision/deeplabv3_resnet50"
MODEL = f"{KERAS_MODEL}; a SavedModel folder, a .tflite or a .onnx file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg predict`."""
    parser.add_argument("model", help=MODEL)
    parser.add_argument("inputs", nargs="+", metavar="input", help="image file or folder; with --ray one folder, .txt "
                        "list, .parquet, .tar or .tfrecord")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="where labels/ (of a GeoTIFF in its place "
                        "on earth), overlays/ and sheet.png go")
    parser.add_argument("--no-overlays", action="store_true", help="write no overlays")
    parser.add_argument("--no-sheet", action="store_true", help="write no sheet")
    parser.add_argument("--polygons", action="store_true", help="write polygons/NAME.geojson too, of GeoTIFFs")
    parser.add_argument("--opacity", type=float, default=0.5, help="of the labels in overlays, 0 to 1")
    parser.add_argument("--overwrite", action="store_true", help="replace label files and a sheet that are there")
    options.add_inference(parser)
    group = options.add_ray(parser)
    group.add_argument("--format", choices=("png", "parquet"), default="png", help="what labels go into")
    group.add_argument("--image-column", metavar="NAME", help="of records: where the encoded image is")
    group.add_argument("--key-column", metavar="NAME", help="of records: where the name of the image is")


def run(arguments: argparse.Namespace) -> None:
    """Segment the files and say what was written."""
    on_ray = options.read_ray(arguments)
    if on_ray:
        return _run_on_ray(arguments, on_ray)
    if arguments.format != "png":
        raise ValueError(checks.sentence("format", "must be 'png' without --ray", arguments.format,
                                         "Add --ray local."))
    from kseg.inference import predict_files

    written = predict_files(arguments.model, arguments.inputs, arguments.output, overlays=not arguments.no_overlays,
                            sheet=not arguments.no_sheet, opacity=arguments.opacity, overwrite=arguments.overwrite,
                            polygons=arguments.polygons, **options.read_inference(arguments))
    say(f"{len(written)} files below {arguments.output}")
    if not arguments.no_sheet:
        say(written[-1])


def _run_on_ray(arguments, on_ray):
    """Segment images with workers on Ray: one folder, list or set of records, labels alone."""
    if len(arguments.inputs) != 1 or arguments.polygons:
        raise ValueError(checks.sentence(
            "inputs", "must be one folder, list of files (.txt) or set of records with --ray, without --polygons",
            arguments.inputs, "Name the files in a list."))
    import kseg

    job = kseg.distributed.predict(
        arguments.model, arguments.inputs[0], arguments.output, **on_ray, format=arguments.format,
        image_column=arguments.image_column, key_column=arguments.key_column, overwrite=arguments.overwrite,
        **options.read_inference(arguments))
    say(f"{job.written} images segmented in {job.seconds:.1f} s, {job.kept} were done before, below {arguments.output}")
    if job.errors:
        say(f"{len(job.errors)} could not be segmented: {job.errors_file}")
