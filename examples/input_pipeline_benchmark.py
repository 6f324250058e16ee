"""Images a second of kseg's input pipeline, beside a torch DataLoader with albumentations doing the same steps.

JPEG and PNG on disk → decoded → scale 0.5–2, pad and crop to 360×480, flip, colour jitter → batches of 8; two workers.
Both sides run in processes of their own, in turns, on one machine.

    python examples/input_pipeline_benchmark.py --data-dir camvid --peer-python peers/bin/python

The peer's interpreter needs torch, albumentations, opencv and numpy, but not kseg. Without --peer-python only kseg is
measured. Seen on a busy machine of two cores: from files 0.84 of the peer, with the decoded cache 1.06; memory 670, 931
and 722 MiB. On an idle one measure again.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

SIZE, BATCH = (360, 480), 8


def passes(batches, count):
    """Return the images a second of `count` passes after one that warms up."""
    rates = []
    for number in range(count + 1):
        start, images = time.perf_counter(), 0
        for pixels, _ in batches:
            images += len(pixels)
        if number:
            rates.append(images / (time.perf_counter() - start))
    return rates


def kseg_side(data_dir, count, cache):
    import kseg
    dataset = kseg.data.load("camvid", "train", data_dir=data_dir, image_size=SIZE, batch_size=BATCH, augment=True,
                             seed=0, cache=cache)
    return passes(dataset, count)


def peer_side(data_dir, count):
    import albumentations
    import cv2
    import torch

    cv2.setNumThreads(0)
    steps = albumentations.Compose([
        albumentations.RandomScale((-0.5, 1.0), p=1),
        albumentations.PadIfNeeded(*SIZE, border_mode=cv2.BORDER_CONSTANT, fill=(124, 116, 104), fill_mask=255),
        albumentations.RandomCrop(*SIZE), albumentations.HorizontalFlip(),
        albumentations.ColorJitter((0.8, 1.2), (0.8, 1.2), (0.8, 1.2), (0, 0), p=1)])

    class Pairs(torch.utils.data.Dataset):
        def __init__(self):
            folder = os.path.join(data_dir, "train")
            self.names = sorted(os.path.splitext(name)[0] for name in os.listdir(os.path.join(folder, "images")))
            self.folder = folder

        def __len__(self):
            return len(self.names)

        def __getitem__(self, index):
            name = self.names[index]
            pixels = cv2.imread(os.path.join(self.folder, "images", name + ".jpg"))
            labels = cv2.imread(os.path.join(self.folder, "labels", name + ".png"), cv2.IMREAD_UNCHANGED)
            labels[labels == 11] = 255
            out = steps(image=cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), mask=labels)
            return torch.from_numpy(out["image"]), torch.from_numpy(out["mask"])

    loader = torch.utils.data.DataLoader(Pairs(), BATCH, shuffle=True, num_workers=2, drop_last=True,
                                         persistent_workers=True)
    return passes(loader, count)


def split_by_step(data_dir, repeats=100):
    """Return milliseconds an image of each step on one thread, the graph's steps compiled alone."""
    import tensorflow as tf

    from kseg.data import decode, geometry, photometry, sources
    source = sources.source("camvid", "train", data_dir=data_dir)
    pixels, labels = (tf.constant(part) for part in source.read(0))
    crop = tf.function(lambda seed: geometry.scale_and_crop(pixels, labels, seed, SIZE))
    flip = tf.function(lambda seed: geometry.flip(pixels, labels, seed))
    jitter = tf.function(lambda seed: photometry.colour_jitter(pixels, seed))
    seed = tf.constant([0, 0], tf.int64)
    steps = {"JPEG to pixels": lambda index: decode.read_pixels(source.pairs[index][0]),
             "PNG to ids": source.read_labels,
             "scale, pad, crop": lambda index: crop(seed + index), "flip": lambda index: flip(seed + index),
             "colour": lambda index: jitter(seed + index)}
    result = {}
    for name, step in steps.items():
        step(0)
        start = time.perf_counter()
        for index in range(repeats):
            step(index)
        result[name] = 1000 * (time.perf_counter() - start) / repeats
    return result


def measured(python, side, arguments):
    """Run one side in a process of its own; return its rates and peak memory in MiB."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [python, os.path.abspath(__file__), "--side", side, "--data-dir", arguments.data_dir, "--passes",
               str(arguments.passes)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def run_side(arguments):
    if arguments.side == "peer":
        rates = peer_side(arguments.data_dir, arguments.passes)
    elif arguments.side == "steps":
        rates = split_by_step(arguments.data_dir)
    else:
        rates = kseg_side(arguments.data_dir, arguments.passes, "memory" if arguments.side == "cached" else False)
    own, workers = (resource.getrusage(who).ru_maxrss / 1024
                    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"rates": rates, "memory": own + 2 * workers if arguments.side == "peer" else own}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--peer-python", help="interpreter with torch and albumentations")
    parser.add_argument("--passes", type=int, default=3, help="passes over the set a turn, after one to warm up")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--side", choices=("uncached", "cached", "peer", "steps"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return run_side(arguments)
    sides = {"kseg, from files": (sys.executable, "uncached"), "kseg, decoded cache": (sys.executable, "cached")}
    if arguments.peer_python:
        sides["torch + albumentations"] = (arguments.peer_python, "peer")
    rates, memory = {name: [] for name in sides}, {}
    for _ in range(arguments.turns):
        for name, (python, side) in sides.items():
            result = measured(python, side, arguments)
            rates[name] += result["rates"]
            memory[name] = result["memory"]
    for name in sides:
        median = statistics.median(rates[name])
        ratio = median / statistics.median(rates["torch + albumentations"]) if arguments.peer_python else float("nan")
        print(f"{name:24s} {median:7.0f} images/s ({min(rates[name]):.0f}–{max(rates[name]):.0f})   {ratio:5.2f} × peer"
              f"   {memory[name]:6.0f} MiB peak")
    for name, milliseconds in measured(sys.executable, "steps", arguments)["rates"].items():
        print(f"{name:24s} {milliseconds:7.2f} ms an image, one call")
    return None


if __name__ == "__main__":
    main()
