"""Images a second of kseg's input pipeline, beside a torch DataLoader with albumentations doing the same steps.

JPEG and PNG on disk → decoded → scale 0.5–2, pad and crop to 360×480, flip, colour jitter → batches of 8; two workers.
Both sides run in processes of their own, in turns, on one machine; memory is what the processes of a side hold together
(proportional set size). Then the time of each step, and how long training steps of the default model wait for data.

    python examples/input_pipeline_benchmark.py --data-dir camvid --peer-python peers/bin/python

The peer's interpreter needs torch, albumentations, opencv and numpy, but not kseg. Without --peer-python only kseg is
measured. The peer does slightly less: it resizes without antialiasing, and its labels stay 8 bits.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

SIZE, BATCH = (360, 480), 8


def passes(batches, count):
    """Return (images a second of each of `count` passes after one that warms up, processor ms an image, MiB)."""
    rates, memory = [], 0.0
    for number in range(count + 1):
        if number == 1:
            used = processor_seconds()
        start, images = time.perf_counter(), 0
        for pixels, _ in batches:
            images += len(pixels)
        if number:
            rates.append(images / (time.perf_counter() - start))
        memory = max(memory, held(os.getpid()) / 1024)
    return rates, 1000 * (processor_seconds() - used) / (count * images), memory


def family(process):
    """Return the numbers of a process and its descendants (Linux)."""
    with open(f"/proc/{process}/task/{process}/children", encoding="ascii") as file:
        return [process, *(one for child in file.read().split() for one in family(int(child)))]


def held(process):
    """Return KiB of memory, shared pages counted once, of a process and its descendants."""
    total = 0
    for one in family(process):
        with open(f"/proc/{one}/smaps_rollup", encoding="ascii") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total


def processor_seconds():
    """Return the processor time that this process and its living descendants have taken."""
    ticks = 0
    for one in family(os.getpid()):
        with open(f"/proc/{one}/stat", encoding="utf-8") as file:
            ticks += sum(int(word) for word in file.read().rsplit(")", 1)[1].split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


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
    """Return milliseconds an image of each step on one thread."""
    from kseg.data import augment, decode, draws, photometry, reader, sources, windows
    source = sources.source("camvid", "train", data_dir=data_dir)
    plan = augment.RECIPES["default"]
    function = augment.cutter(plan)
    pixels, labels, _ = reader.Reader(source, cache=False).read(0)
    drawn = [draws.Draws([seed, 0]) for seed in range(repeats)]
    places = [windows.draw(labels, one.numbers, SIZE, plan.scale, plan.scale_step, plan.class_aware) for one in drawn]
    steps = {"JPEG to pixels": lambda index: decode.read_pixels(source.pairs[index][0]),
             "PNG to ids": source.read_labels,
             "scale, pad, crop, flip, colour": lambda index: function(pixels, labels, drawn[index], SIZE),
             "of these: pixels": lambda index: windows.cut_pixels(pixels, places[index]),
             "labels": lambda index: windows.cut_labels(labels, places[index], SIZE),
             "colour": lambda index: photometry.with_jitter(pixels, drawn[index], 0.2, 0.2, 0.2, 0.0),
             "random numbers": lambda index: draws.Draws([index, 0])}
    result = {}
    for name, step in steps.items():
        for index in range(5):
            step(index)
        start = time.process_time()
        for index in range(repeats):
            step(index)
        result[name] = 1000 * (time.process_time() - start) / repeats
    return result


def waiting(data_dir, batch_size=2, steps=4):
    """Return the batch size, seconds of a training step of the default model and of its longest wait for a batch."""
    import kseg
    batches = iter(kseg.data.load("camvid", "train", data_dir=data_dir, image_size=SIZE, batch_size=batch_size,
                                  augment=True, seed=0, cache=False))
    model = kseg.models.PSPNet(classes=11)
    model.train_on_batch(*next(batches))
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        batch = next(batches)
        there = time.perf_counter()
        model.train_on_batch(*batch)
        times.append((time.perf_counter() - there, there - start))
    return [batch_size, statistics.median(step for step, _ in times), max(wait for _, wait in times)]


def measured(python, side, arguments):
    """Run one side in a process of its own; return what it printed."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [python, os.path.abspath(__file__), "--side", side, "--data-dir", arguments.data_dir, "--passes",
               str(arguments.passes)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def run_side(arguments):
    if arguments.side == "steps":
        result = split_by_step(arguments.data_dir)
    elif arguments.side == "waiting":
        result = waiting(arguments.data_dir)
    elif arguments.side == "peer":
        result = peer_side(arguments.data_dir, arguments.passes)
    else:
        result = kseg_side(arguments.data_dir, arguments.passes, "memory" if arguments.side == "cached" else False)
    print(json.dumps(result))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--peer-python", help="interpreter with torch and albumentations")
    parser.add_argument("--passes", type=int, default=3, help="passes over the set a turn, after one to warm up")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--no-training", action="store_true", help="leave out the training steps, which take a minute")
    parser.add_argument("--side", choices=("uncached", "cached", "peer", "steps", "waiting"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return run_side(arguments)
    sides = {"kseg, from files": (sys.executable, "uncached"), "kseg, decoded cache": (sys.executable, "cached")}
    if arguments.peer_python:
        sides["torch + albumentations"] = (arguments.peer_python, "peer")
    rates, used, memory = ({name: [] for name in sides} for _ in range(3))
    for _ in range(arguments.turns):
        for name, (python, side) in sides.items():
            result = measured(python, side, arguments)
            rates[name] += result[0]
            used[name].append(result[1])
            memory[name].append(result[2])
    for name in sides:
        median = statistics.median(rates[name])
        ratio = median / statistics.median(rates["torch + albumentations"]) if arguments.peer_python else float("nan")
        print(f"{name:24s} {median:5.0f} images/s ({min(rates[name]):.0f}–{max(rates[name]):.0f})  {ratio:5.2f} × peer "
              f" {statistics.median(used[name]):5.2f} processor ms an image  {max(memory[name]):5.0f} MiB")
    for name, milliseconds in measured(sys.executable, "steps", arguments).items():
        print(f"{name:24s} {milliseconds:7.2f} ms an image on one thread")
    if not arguments.no_training:
        batch_size, step, wait = measured(sys.executable, "waiting", arguments)
        print(f"PSPNet, batches of {batch_size}: {step:.2f} s a step, waiting up to {1000 * wait:.1f} ms for its data")
    return None


if __name__ == "__main__":
    main()
