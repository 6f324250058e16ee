"""Train FCN-8s, SegNet, U-Net and RefineNet on CamVid and print what each reaches on the validation images.

    python examples/camvid_models.py data/camvid runs/camvid --encoder-weights efficientnet_lite0_imagenet.npz

The folder holds {train,val}/{images,labels} with ids 0-10 and 11 for void. FCN-8s, U-Net and RefineNet take the
EfficientNet-Lite0 encoder and the ImageNet weights given; SegNet, whose encoder is VGG16's, starts from random weights.
Every run is also one command line, which is printed first. Each can be stopped and called again: it goes on.

192x256 pixels, batch 8, AdamW, poly schedule, flip, scale and crop, 10 epochs (SegNet 20); two CPU cores.
Minutes and validation mean IoU seen: not measured yet.
"""

import argparse
import os

from kseg.training import TrainingRecipe, resume, train

ENCODED = {"encoder_name": "efficientnetlite0", "learning_rate": 1e-3, "epochs": 10}
RUNS = {
    "FCN8s": {**ENCODED, "model_options": {"upsampling": "learned"}},
    "SegNet": {"learning_rate": 1e-3, "epochs": 20, "class_weights": "median_frequency"},  # PAMI section 4: balancing
    "UNet": ENCODED,
    "RefineNet": {**ENCODED, "learning_rate": 3e-4, "model_options": {"filters": 128}},
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir")
    parser.add_argument("output")
    parser.add_argument("--models", nargs="+", default=list(RUNS), choices=list(RUNS))
    parser.add_argument("--encoder-weights")
    parser.add_argument("--epochs", type=int, help="instead of each model's own")
    return parser.parse_args()


def command(recipe, folder):
    """Return the `kseg train` line of a recipe."""
    words = ["kseg train", f"--output {folder}", f"--model {recipe.model}", "--data camvid",
             f"--data-dir {recipe.data_dir}", "--image-size 192 256", f"--epochs {recipe.epochs}",
             f"--learning-rate {recipe.learning_rate:g}"]
    if recipe.encoder_name:
        words.append(f"--encoder-name {recipe.encoder_name}")
    if recipe.encoder_weights:
        words.append(f"--encoder-weights {recipe.encoder_weights}")
    if recipe.class_weights:
        words.append(f"--class-weights {recipe.class_weights}")
    words += [f"--option {name}={value}" for name, value in recipe.model_options.items()]
    return " ".join(words)


def main():
    arguments = parse()
    for name in arguments.models:
        fields = dict(RUNS[name])
        if "encoder_name" in fields:
            fields["encoder_weights"] = arguments.encoder_weights
        fields["epochs"] = arguments.epochs or fields["epochs"]
        recipe = TrainingRecipe(model=name, data="camvid", data_dir=arguments.data_dir, image_size=(192, 256), **fields)
        folder = os.path.join(arguments.output, name)
        print(command(recipe, folder), flush=True)
        begun = os.path.exists(os.path.join(folder, "run.json"))
        result = resume(folder, verbose=2) if begun else train(recipe, folder, verbose=2)
        minutes = sum(row["seconds"] for row in result.history) / 60
        print(f"{name}: mean IoU {result.mean_iou:.3f} (epoch {result.best_epoch}), {minutes:.0f} minutes", flush=True)


if __name__ == "__main__":
    main()
