"""From a PyTorch checkpoint to a phone: convert it, export it as an int8 TFLite file, and compare their labels.

    python examples/from_pytorch.py smp_unet.pth photographs/*.jpg --like smp/unet/tu-tf_efficientnet_lite0

CHECKPOINT is a .pth or .safetensors file of torchvision, mmsegmentation, segmentation_models.pytorch or semseg, a
folder that smp's `save_pretrained` wrote, or a name of `kseg.pretrained.names()`, which is downloaded. PyTorch is not
needed.
OUTPUT gets the model as a .keras file, its int8 TFLite file, and sheet.png: for each image the labels of Keras's model,
and those of the int8 file.
"""

import argparse
import os

import numpy as np
from PIL import Image

import kseg
from kseg import LabelSet
from kseg.cli.tables import show
from kseg.inference import pictures

SHEET_IMAGES = 4


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("images", nargs="+", help="to calibrate int8 with, and to compare on")
    parser.add_argument("--like", help="where the checkpoint comes from, if its arrays do not tell")
    parser.add_argument("--image-size", type=int, nargs=2, default=(384, 384), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--output", default="from_pytorch")
    return parser.parse_args()


def resized(path, size):
    """Return the image at `path`, uint8 `[height, width, 3]`."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR))


def main():
    arguments = parse()
    size = tuple(arguments.image_size)
    pixels = np.stack([resized(path, size) for path in arguments.images])  # [images, height, width, 3]
    if arguments.checkpoint in kseg.pretrained.names():
        model = kseg.pretrained.load(arguments.checkpoint)
    else:
        report = kseg.pretrained.conversion(arguments.checkpoint, arguments.like)
        model = report.model
        show([("checkpoint", "left"), ("", "right")], [
            ["network", f"{report.builder} of {report.origin}"], ["encoder", report.options["encoder_name"]],
            ["arrays matched", str(report.matched)], ["left out", ", ".join(report.left_out) or "none"]])
    os.makedirs(arguments.output, exist_ok=True)
    model.save(os.path.join(arguments.output, "model.keras"))
    path = os.path.join(arguments.output, "model_int8.tflite")
    exported = kseg.export.tflite(model, path, image_size=size, quantize="int8", calibration=pixels,
                                  images=pixels, overwrite=True)
    labels, quantized = kseg.predict(model, pixels), kseg.predict(path, pixels)
    rows = [[os.path.basename(name), f"{(ours == theirs).mean():.4f}"]
            for name, ours, theirs in zip(arguments.images, labels, quantized, strict=True)]
    show([("image", "left"), ("pixels of the same class", "right")], [*rows[:SHEET_IMAGES], [
        f"all {len(rows)}", f"{(labels == quantized).mean():.4f}"]])
    show([("file", "left"), ("bytes", "right")], [
        ["model.keras", f"{os.path.getsize(os.path.join(arguments.output, 'model.keras')):,}"],
        ["model_int8.tflite", f"{exported.size_bytes:,}"]])
    names = model.label_set or LabelSet.generic(model.classes)
    sheet = pictures.sheet(list(zip(pixels[:SHEET_IMAGES], labels, quantized)), names, ("image", "Keras", "int8"))
    pictures.write_picture(os.path.join(arguments.output, "sheet.png"), sheet)


if __name__ == "__main__":
    main()
