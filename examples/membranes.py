"""Train the U-Net of 2015 on membrane images of the ISBI 2012 challenge, then segment whole slices by tiles.

    python examples/membranes.py data/isbi_em/train runs/membranes

The folder holds images/ and labels/ (grey 512x512; ids 1 membrane, 0 cell). The last four slices are kept for
validation. One channel, two classes, 32 channels in the first level (64 in the paper), crops of 256x256, the paper's
augmentation (rotation, shift, elastic deformation on a 3x3 grid, grey values), AdamW, poly schedule; two CPU cores.
Called again it goes on where it was stopped. `--border-weights` needs labels of touching cells and is for cell
images: membranes are a class of their own here.

Minutes and validation mean IoU seen: not measured yet.
"""

import argparse
import os

import numpy as np
from PIL import Image

import kseg
from kseg.inference import predict_tiled
from kseg.metrics import confusion_matrix, iou_from_confusion
from kseg.training import TrainingRecipe, resume, train

KEPT = 4  # slices for validation


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slices", help="folder with images/ and labels/")
    parser.add_argument("output")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--patches", type=int, default=4, help="crops of each slice an epoch")
    parser.add_argument("--filters", type=int, default=32, help="channels of the first level; the paper has 64")
    parser.add_argument("--batch-size", type=int, default=4)
    return parser.parse_args()


def split(slices, folder):
    """Link the slices into `folder`/{train,val}/{images,labels}; return the names kept for validation."""
    names = sorted(os.listdir(os.path.join(slices, "images")))
    for kind in ("images", "labels"):
        for index, name in enumerate(names):
            part = "train" if index < len(names) - KEPT else "val"
            target = os.path.join(folder, part, kind, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if not os.path.lexists(target):
                os.symlink(os.path.abspath(os.path.join(slices, kind, name)), target)
    return names[-KEPT:]


def main():
    arguments = parse()
    data_dir = os.path.join(arguments.output, "data")
    kept = split(arguments.slices, data_dir)
    folder = os.path.join(arguments.output, "unet")
    recipe = TrainingRecipe(
        model="UNet", model_options={"in_channels": 1, "filters": arguments.filters}, data="folder", data_dir=data_dir,
        data_options={"classes": 2}, image_size=(256, 256), batch_size=arguments.batch_size, augment="unet",
        patches=arguments.patches, epochs=arguments.epochs, learning_rate=3e-4)
    begun = os.path.exists(os.path.join(folder, "run.json"))
    result = resume(folder, verbose=2) if begun else train(recipe, folder, verbose=2)
    confusion = np.zeros((2, 2), np.int64)
    for name in kept:
        path = os.path.join(data_dir, "val", "images", name)
        labels = predict_tiled(result.model, path, window=(256, 256), margin=48)
        Image.fromarray(255 - 255 * labels).save(os.path.join(arguments.output, f"membranes_{name}"))
        truth = np.asarray(Image.open(os.path.join(data_dir, "val", "labels", name)))
        confusion += np.asarray(confusion_matrix(truth, labels, 2))
    cell, membrane = iou_from_confusion(confusion)
    minutes = sum(row["seconds"] for row in result.history) / 60
    print(f"whole slices: cell {cell:.3f}, membrane {membrane:.3f}, mean IoU {(cell + membrane) / 2:.3f}; "
          f"{minutes:.0f} minutes; kseg {kseg.__version__}; pictures in {arguments.output}")


if __name__ == "__main__":
    main()
