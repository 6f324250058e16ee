"""Continue a trained segmenter with and without the adversarial term of Luc et al. (2016), and compare.

    python examples/adversarial.py runs/camvid/best.keras data/camvid runs/adversarial --steps 92 --seeds 3

For each seed the same file is trained on for the same number of steps on the same batches (AdamW, poly schedule, flip,
scale and crop): once as it is, once by `kseg.training.AdversarialTrainer`, whose discriminator is pre-trained first and
then moves together with the segmenter in every step, so that both arms update the segmenter equally often. Validation
happens once, at the end: mean IoU over the set, and boundary F1, the mean over its images, at the training size.

OUTPUT gets `<arm>_<seed>.json` for each run and `comparison.json`; called again it goes on with the runs not finished.
Scores and minutes seen: the table in the README.
"""

import argparse
import dataclasses
import json
import math
import os
import statistics
import time

import keras

import kseg
from kseg import files
from kseg.cli.tables import say, show
from kseg.metrics import MeanIoU
from kseg.training import AdamW, AdversarialTrainer, Poly
from kseg.training.adversarial.recipe import DISCRIMINATORS, LABEL_ENCODINGS

ARMS = ("plain", "adversarial")
SCORES = (("mean IoU", "mean_iou"), ("boundary F1", "boundary_f1"), ("minutes", "minutes"))


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that decides the runs."""

    segmenter: str
    data: str
    data_dir: str
    steps: int
    image_size: tuple
    batch_size: int
    learning_rate: float
    discriminator: str
    label_encoding: str
    adversarial_weight: float
    stride: int
    discriminator_learning_rate: float
    pretrain_steps: int
    validation_images: int


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("segmenter", help="the .keras file to continue")
    parser.add_argument("data_dir")
    parser.add_argument("output")
    parser.add_argument("--data", default="camvid")
    parser.add_argument("--steps", type=int, default=92)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--image-size", type=int, nargs=2, default=(192, 256), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--discriminator", default="LargeFOV-light", choices=DISCRIMINATORS)
    parser.add_argument("--label-encoding", default="scaling", choices=LABEL_ENCODINGS)
    parser.add_argument("--adversarial-weight", type=float, default=0.1)
    parser.add_argument("--stride", type=int, default=8, help="pixels of the image per pixel of the maps compared")
    parser.add_argument("--discriminator-learning-rate", type=float, default=5e-4)
    parser.add_argument("--pretrain-steps", type=int, default=40)
    parser.add_argument("--validation-images", type=int, default=-1, help="only so many; -1 for all")
    return parser.parse_args()


def batches(settings, seed):
    """Return endless training batches, in an order of their own for each seed."""
    return kseg.data.load(settings.data, "train", data_dir=settings.data_dir, image_size=tuple(settings.image_size),
                          batch_size=settings.batch_size, augment=True, seed=seed).repeat()


def optimizer(settings):
    return AdamW(Poly(settings.learning_rate, settings.steps), weight_decay=1e-4)


def plain(segmenter, settings, seed):
    """Train on as before; return nothing to note."""
    segmenter.compile(optimizer(settings), kseg.losses.CrossEntropy(), metrics=[MeanIoU(segmenter.classes)])
    segmenter.fit(batches(settings, seed), steps_per_epoch=settings.steps, shuffle=False, verbose=2)
    return {}


def adversarial(segmenter, settings, seed):
    """Train on against a discriminator; return what became of it."""
    trainer = AdversarialTrainer(
        segmenter, settings.discriminator, label_encoding=settings.label_encoding, update="simultaneous",
        adversarial_weight=settings.adversarial_weight, stride=settings.stride)
    trainer.compile(optimizer(settings), keras.optimizers.Adam(settings.discriminator_learning_rate),
                    loss=kseg.losses.CrossEntropy())
    first = {}
    if settings.pretrain_steps:
        first = trainer.pretrain_discriminator(batches(settings, seed + 1000), steps=settings.pretrain_steps,
                                               verbose=2).history
    last = trainer.fit(batches(settings, seed), steps_per_epoch=settings.steps, shuffle=False, verbose=2).history
    return {"pretraining": {name: values[-1] for name, values in first.items()},
            "training": {name: values[-1] for name, values in last.items()}}


def measured(segmenter, settings):
    """Return the scores on the validation images."""
    images = kseg.data.load(settings.data, "validation", data_dir=settings.data_dir,
                            image_size=tuple(settings.image_size), batch_size=1).take(settings.validation_images)
    result = kseg.evaluate(segmenter, images, keep_worst=0)
    return {"mean_iou": result.mean_iou, "boundary_f1": result.boundary_f1, "per_class_iou": {
        name: None if math.isnan(value) else value for name, value in result.per_class_iou.items()}}


def run(arm, seed, settings, path):
    """Train and measure one arm with one seed; a finished run is read from `path`."""
    values = json.loads(json.dumps(dataclasses.asdict(settings)))
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            stored = json.load(file)
        if stored["settings"] != values:
            raise SystemExit(f"{path} was made with other settings; choose another output folder")
        return stored
    say(f"{arm}, seed {seed}")
    began = time.perf_counter()
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    segmenter = kseg.load_model(settings.segmenter, compile=False)
    notes = {"before": None, "plain": plain, "adversarial": adversarial}[arm]
    notes = notes(segmenter, settings, seed) if notes else {}
    minutes = (time.perf_counter() - began) / 60
    row = {"arm": arm, "seed": seed, **measured(segmenter, settings), "minutes": minutes, **notes, "settings": values}
    files.write_text(path, json.dumps(row, indent=2))
    say("  ".join(f"{title} {row[name]:.4f}" for title, name in SCORES))
    return row


def spread(values):
    return statistics.stdev(values) if len(values) > 1 else 0.0


def main():
    arguments = vars(parse())
    output, seeds = arguments.pop("output"), arguments.pop("seeds")
    settings = Settings(**arguments)
    os.makedirs(output, exist_ok=True)
    before = run("before", 0, settings, os.path.join(output, "before.json"))
    rows = {arm: [] for arm in ARMS}
    for seed in range(seeds):
        for arm in ARMS:
            rows[arm].append(run(arm, seed, settings, os.path.join(output, f"{arm}_{seed}.json")))
    summary = {arm: {name: {"mean": statistics.mean(row[name] for row in runs), "spread": spread(
        [row[name] for row in runs])} for _, name in SCORES} for arm, runs in rows.items()}
    gains = {name: [one[name] - other[name] for one, other in zip(rows["adversarial"], rows["plain"], strict=True)]
             for name in ("mean_iou", "boundary_f1")}
    comparison = {"settings": dataclasses.asdict(settings), "before": {name: before[name] for name in gains},
                  "summary": summary, "adversarial_minus_plain": gains}
    files.write_text(os.path.join(output, "comparison.json"), json.dumps(comparison, indent=2))
    table = [["before", f"{before['mean_iou']:.4f}", f"{before['boundary_f1']:.4f}", ""]]
    table += [[arm, *(f"{summary[arm][name]['mean']:.4f} ± {summary[arm][name]['spread']:.4f}" for _, name in SCORES)]
              for arm in ARMS]
    table.append(["difference, seed by seed", *(
        f"{statistics.mean(values):+.4f} ± {spread(values):.4f}" for values in gains.values()), ""])
    show([("", "left"), *((title, "right") for title, _ in SCORES)], table,
         f"{settings.steps} steps, {seeds} seeds, mean ± standard deviation")


if __name__ == "__main__":
    main()
