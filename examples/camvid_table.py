"""Train every family on CamVid with one recipe and one budget, and put the scores side by side.

    python examples/camvid_table.py data/camvid runs/table --encoder-weights efficientnet_lite0_imagenet.npz

The folder holds {train,val}/{images,labels} with ids 0-10 and 11 for void. Each run is what `kseg train` does:
cross-entropy + Dice, AdamW 1e-3 with 10 steps of warm-up and a poly schedule, random scale 0.75-2 and flip, 450 steps
of 8 images at 192x256, validation after the last step only, so that no epoch is chosen by its score. (A pole is two
pixels wide at this size: factors down to 0.5, cross-entropy alone and 45 steps of warm-up left four classes at 0.)
Families take the encoder and weights given; SegNet, whose encoder is VGG16's, and the U-Net of 2015 start from random
weights. Models without batch normalisation in their decoder take a lower learning rate. Called again it goes on:
finished models are not run again.

OUTPUT gets a folder a run, and of all that are finished there table.md, table.json and sheet.png, a row an image, a
column a model.
`--image-size 360 480 --steps 1800 --models A B` is the longer run of two models: 40 epochs. `--set` changes a field of
the recipe for all, into another OUTPUT.

Seen (two cores, 2026-11-23): DeepLabV3Plus 0.641, 0.649 and 0.647, FCN8s 0.643, RefineNet 0.599, PSPNet and DeepLabV3
0.565, UNet 0.530, DeepLabV2 0.519, DeepLabV1 0.512, UNet2015 0.329, SegNet 0.274; 5 to 15 minutes
each, SegNet 34, UNet2015 54. At 360x480 DeepLabV3Plus 0.758 in 99 minutes and FCN8s 0.744 in 55.
"""

import argparse
import dataclasses
import glob
import json
import os
import platform
import time

import numpy as np
from PIL import Image

import kseg
from kseg.cli.options import name_value
from kseg.cli.tables import show
from kseg.inference import pictures
from kseg.training import TrainingRecipe, resume, train

STRIDE, LOW_RATE = object(), 3e-4
FAMILIES = {  # name -> fields of the recipe; STRIDE stands for --output-stride
    "PSPNet": {"model_options": {"output_stride": STRIDE, "aux": True}},
    "DeepLabV1": {"model_options": {"output_stride": STRIDE}},
    "DeepLabV2": {"model_options": {"output_stride": STRIDE}},
    "DeepLabV3": {"model_options": {"output_stride": STRIDE}},
    "DeepLabV3Plus": {"model_options": {"output_stride": STRIDE}},
    "FCN8s": {"model_options": {"upsampling": "learned"}},
    "RefineNet": {"model_options": {"filters": 64}, "learning_rate": LOW_RATE},  # the paper: 256, on ResNet's 256-2048
    "UNet": {},
    "SegNet": {"mixed_precision": "mixed_bfloat16"},  # half the time of a step where the processor has bfloat16
    "UNet2015": {"mixed_precision": "mixed_bfloat16", "learning_rate": LOW_RATE},
}
WITHOUT_ENCODER = ("SegNet", "UNet2015")
SEEDS = {"DeepLabV3Plus": 3}
SCALES = (0.75, 1.0, 1.25)
SHEET_IMAGES = 4
COLUMNS = (("parameters, M", "parameters", "{:.2f}"), ("s a step", "seconds_a_step", "{:.2f}"),
           ("mIoU", "mean_iou", "{:.3f}"), ("scales + flip", "mean_iou_scales_flip", "{:.3f}"),
           ("mIoU, full size", "mean_iou_full_size", "{:.3f}"), ("boundary F1", "boundary_f1", "{:.3f}"),
           ("minutes", "minutes", "{:.1f}"))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir")
    parser.add_argument("output")
    parser.add_argument("--models", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--encoder-name", default="efficientnetlite0")
    parser.add_argument("--encoder-weights")
    parser.add_argument("--output-stride", type=int, default=16, help="of the dilated encoders; 8 takes 3x the time")
    parser.add_argument("--seeds", type=int, help="runs of each model; left out: 1, of DeepLabV3Plus 3")
    parser.add_argument("--image-size", type=int, nargs=2, default=(192, 256), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--set", dest="fields", action="append", type=name_value, default=[], metavar="FIELD=VALUE",
                        help="a field of every model's TrainingRecipe, e.g. loss='{\"cross_entropy\":1,\"dice\":1}'")
    return parser.parse_args()


def recipe(name, seed, arguments):
    """Return the `TrainingRecipe` of one run."""
    fields = dict(FAMILIES[name])
    options = {key: arguments.output_stride if value is STRIDE else value
               for key, value in fields.pop("model_options", {}).items()}
    if name not in WITHOUT_ENCODER:
        fields.update(encoder_name=arguments.encoder_name, encoder_weights=arguments.encoder_weights)
    return TrainingRecipe(**{
        "model": "UNet" if name == "UNet2015" else name, "model_options": options, "data": "camvid",
        "data_dir": arguments.data_dir, "image_size": tuple(arguments.image_size), "batch_size": arguments.batch_size,
        "augment": {"scale": [0.75, 2.0], "flip": 0.5}, "loss": {"cross_entropy": 1, "dice": 1},
        "steps": arguments.steps, "warmup_steps": min(10, arguments.steps // 10),
        "validate_every": arguments.steps, "seed": seed, **fields, **dict(arguments.fields)})


def one_run(name, seed, arguments):
    """Train and measure one model, unless an earlier call did."""
    folder = os.path.join(arguments.output, f"{name}_{seed}")
    results, wanted = os.path.join(folder, "results.json"), recipe(name, seed, arguments)
    begun = os.path.exists(os.path.join(folder, "run.json"))
    if begun and not holds(folder, wanted):
        raise SystemExit(f"{folder} holds a run of another recipe: take another output folder, or delete it.")
    if os.path.exists(results):
        return
    print(f"\n{name}, seed {seed}: {folder}", flush=True)
    trained = resume(folder, verbose=2) if begun else train(wanted, folder, verbose=2)
    facts = read(os.path.join(folder, "run.json"))
    seconds = [row["seconds"] for row in trained.history]
    steps = facts["length"]["steps_per_epoch"]
    values = {"model": name, "seed": seed, "parameters": facts["parameters"]["trainable"] / 1e6,
              "seconds_a_step": float(np.median(seconds[1:] or seconds)) / steps,  # the first epoch builds the graph
              "minutes": sum(seconds) / 60, **scores(trained.model, arguments)}
    np.save(os.path.join(folder, "sheet.npy"), [kseg.predict(trained.model, image)
                                                for image, _ in sheet_images(arguments)])
    write(results, json.dumps(values, indent=1))
    print(", ".join(f"{key} {value:.3f}" for key, value in values.items() if isinstance(value, float)), flush=True)


def holds(folder, wanted):
    """Return whether the run in `folder` is of the recipe `wanted`."""
    return read(os.path.join(folder, "run.json"))["recipe"] == json.loads(json.dumps(wanted.to_dict()))


def finished(arguments):
    """Return the results of all finished runs of this recipe in the output folder, family by family."""
    paths = [(name, path) for name in FAMILIES
             for path in sorted(glob.glob(os.path.join(glob.escape(arguments.output), f"{name}_*", "results.json")))]
    runs = [(name, os.path.dirname(path), read(path)) for name, path in paths]
    return [values for name, folder, values in runs if holds(folder, recipe(name, values["seed"], arguments))]


def scores(model, arguments):
    """Return the validation scores: of one look at the training's size, over scales and flips, at the labels' size."""
    size = tuple(arguments.image_size)

    def measured(**options):
        return kseg.evaluate(model, "camvid", data_dir=arguments.data_dir, image_size=size, keep_worst=0, **options)

    plain = measured(full_resolution=False)
    averaged = measured(full_resolution=False, boundaries=False, scales=SCALES, flip=True)
    return {"mean_iou": plain.mean_iou, "mean_iou_scales_flip": averaged.mean_iou,
            "mean_iou_full_size": measured(boundaries=False).mean_iou, "boundary_f1": plain.boundary_f1,
            "calibration_error": plain.expected_calibration_error, "per_class_iou": plain.per_class_iou}


def sheet_images(arguments):
    """Return a few validation images spread over the split: list of (pixels `[H, W, 3]`, labels `[H, W]`)."""
    data = kseg.data.load("camvid", "validation", data_dir=arguments.data_dir, image_size=tuple(arguments.image_size),
                          batch_size=1, shuffle=False, drop_remainder=False)
    chosen = set(np.linspace(0, len(data), SHEET_IMAGES + 1).astype(int)[:-1] + len(data) // (2 * SHEET_IMAGES))
    return [(pixels[0].numpy(), labels[0].numpy()) for index, (pixels, labels) in enumerate(data) if index in chosen]


def report(runs, arguments):
    """Print the table and write table.md, table.json and sheet.png of the runs so far."""
    rows = []
    for name in dict.fromkeys(run["model"] for run in runs):
        own = [run for run in runs if run["model"] == name]
        title = name if len(own) == 1 else f"{name}, mean of {len(own)} seeds"
        rows.append([title, *(shown.format(np.mean([run[key] for run in own])) for _, key, shown in COLUMNS)])
    heads = ["model", *(head for head, _, _ in COLUMNS)]
    size, now = "x".join(map(str, arguments.image_size)), time.strftime("%Y-%m-%d")
    note = (f"CamVid validation, {size}, {arguments.steps} steps of {arguments.batch_size}, "
            f"encoder {arguments.encoder_name}; {os.cpu_count()} cores, {platform.machine()}, {now}")
    lines = [f"| {' | '.join(row)} |" for row in (heads, ["---", *["---:"] * len(COLUMNS)], *rows)]
    write(os.path.join(arguments.output, "table.md"), "\n".join([note, "", *lines, ""]))
    write(os.path.join(arguments.output, "table.json"), json.dumps(
        {"note": note, "runs": runs, "recipes": {run["model"]: dataclasses.asdict(recipe(run["model"], 0, arguments))
                                                 for run in runs}}, indent=1))
    draw(runs, arguments)
    show([("model", "left"), *((head, "right") for head in heads[1:])], rows, note)


def draw(runs, arguments):
    """Write sheet.png: a row an image; image, truth, and the prediction of the first run of each model."""
    first = {run["model"]: run["seed"] for run in reversed(runs)}
    names = [name for name in FAMILIES if name in first]
    guesses = [np.load(os.path.join(arguments.output, f"{name}_{first[name]}", "sheet.npy")) for name in names]
    rows = [(pixels, labels, *(guess[index] for guess in guesses))
            for index, (pixels, labels) in enumerate(sheet_images(arguments))]
    sheet = pictures.sheet(rows, kseg.data.label_set("camvid"), ("image", "truth", *names), tile_size=(112, 150))
    Image.fromarray(sheet).save(os.path.join(arguments.output, "sheet.png"), optimize=True)


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write(path, text):
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.part", path)


def main():
    arguments = parse()
    for name in arguments.models:
        for seed in range(arguments.seeds or SEEDS.get(name, 1)):
            one_run(name, seed, arguments)
            report(finished(arguments), arguments)


if __name__ == "__main__":
    main()
