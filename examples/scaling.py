"""How training scales over Ray workers: measured on this machine, then worked out for many.

    python examples/scaling.py --output /somewhere/empty [--model DeepLabV3Plus --encoder efficientnetlite0]

1. One recipe by `kseg.training.train` in this process, then by 1, 2 and 4 workers of `kseg.distributed.train`: images a
   second, the share of time lost to Ray, and the bytes that a step exchanges, computed from the gradients and counted
   on the loopback device. More workers than cores share the cores: they show what the exchange costs, no speed-up.
2. On paper, for 8, 64 and 512 machines of this machine's speed. A ring all-reduce sends 2 (n - 1) / n · P bytes of P
   bytes of gradients from each machine, over its network card; a batch of b images for each machine reads b · D bytes
   of D bytes of files for an image. The step takes the longest of computing, network (not overlapped: added) and disk:

       step(n) = max(compute + 2 (n - 1) / n · P / network, b · D / disk)

   A shared disk divides its rate among all machines.
"""

import argparse
import os
import subprocess
import sys

import numpy as np

from kseg import distributed, training
from kseg.cli.tables import show
from kseg.machine import prepare_to_train
from kseg.training import TrainingRecipe
from kseg.training.run_folder import RunFolder, read_report

NETWORKS = (10, 25, 100)  # Gbit/s of a machine's card
MACHINES = (8, 64, 512)
OWN_DISK, SHARED_DISK = 500e6, 5e9  # bytes/s: a solid-state disk in each machine; a file server for all
IMAGE_BYTES = 2_400_000  # a photograph of Cityscapes with its labels, PNG


def seconds_of_a_step(folder):
    """Return the median of the epochs but the first, which traces, and the last, which validates, by their steps."""
    history, report = training.resume(folder).history, read_report(RunFolder(folder).report)
    return float(np.median([row["seconds"] for row in history[1:-1]])) / report["length"]["steps_per_epoch"]


def gradient_bytes(folder):
    """Return the bytes of all trainable weights, float32: what a step averages."""
    return 4 * read_report(RunFolder(folder).report)["parameters"]["trainable"]


def loopback_bytes():
    """Return what the loopback device has sent so far, in bytes; None where the system does not tell."""
    try:
        with open("/proc/net/dev", encoding="utf-8") as file:
            line = next(line for line in file if line.strip().startswith("lo:"))
    except (OSError, StopIteration):
        return None
    return int(line.split(":")[1].split()[8])


def measured(recipe, folder, counts):
    """Train by one process and by `counts` workers; return rows (who, seconds of a step, loopback bytes of a step)."""
    # A process of its own, as workers are: what a program did before makes it neither faster nor slower.
    subprocess.run([sys.executable, __file__, "--alone", "--output", folder, *_options(recipe)], check=True)
    rows = [("one process, no Ray", seconds_of_a_step(os.path.join(folder, "alone")), None)]
    for workers in counts:
        path, before = os.path.join(folder, f"workers_{workers}"), loopback_bytes()
        distributed.train(recipe, path, workers=workers, verbose=2)
        report = read_report(RunFolder(path).report)
        steps = report["length"]["steps_per_epoch"] * recipe.epochs
        sent = None if before is None else (loopback_bytes() - before) / steps
        rows.append((f"{workers} worker{'s' * (workers > 1)}", seconds_of_a_step(path), sent))
    return rows


def show_measured(rows, recipe, parameters_bytes, counts):
    """Print what was measured, beside the bytes that a step should exchange."""
    alone = rows[0][1]
    lines = []
    for (who, seconds, sent), workers in zip(rows, (1, *counts)):
        computed = 2 * (workers - 1) * parameters_bytes  # by all workers together: 2 (n - 1) / n · P each
        lines.append([who, f"{1000 * seconds:.0f}", f"{recipe.batch_size / seconds:.1f}",
                      "" if who == rows[0][0] else f"{100 * (1 - alone / seconds):.0f} %",
                      f"{computed / 1e6:.1f}", "" if sent is None else f"{sent / 1e6:.1f}"])
    show([("who", "left"), ("ms/step", "right"), ("images/s", "right"), ("lost", "right"), ("MB/step", "right"),
          ("MB/step on loopback", "right")], lines,
         f"{os.cpu_count()} cores, batch {recipe.batch_size} in all, {parameters_bytes / 1e6:.1f} MB of gradients")


def show_on_paper(images_a_second, batch, parameters_bytes, image_bytes):
    """Print which of computing, network and disk binds first, for machines that each compute `images_a_second`."""
    compute, lines = batch / images_a_second, []
    for machines in MACHINES:
        for gigabits in NETWORKS:
            network = 2 * (machines - 1) / machines * parameters_bytes / (gigabits * 1e9 / 8)
            disks = {"own disks": batch * image_bytes / OWN_DISK,
                     "shared disk": batch * image_bytes * machines / SHARED_DISK}
            step = max(compute + network, disks["own disks"])
            shared = max(compute + network, disks["shared disk"])
            binds = max([("computing", compute), ("network", network), *disks.items()], key=lambda part: part[1])[0]
            lines.append([f"{machines}", f"{gigabits}", f"{1000 * compute:.1f}", f"{1000 * network:.1f}",
                          f"{1000 * disks['own disks']:.1f}", f"{1000 * disks['shared disk']:.1f}",
                          f"{machines * batch / step:.0f}", f"{machines * batch / shared:.0f}",
                          f"{100 * compute / shared:.0f} %", binds])
    show([("machines", "right"), ("Gbit/s", "right"), ("compute ms", "right"), ("network ms", "right"),
          ("own disk ms", "right"), ("shared disk ms", "right"), ("images/s, own", "right"),
          ("images/s, shared", "right"), ("of linear", "right"), ("longest", "left")], lines,
         f"{images_a_second:.0f} images/s and batch {batch} for each machine, {image_bytes / 1e6:.1f} MB an image")


def _options(recipe):
    return ["--model", recipe.model, "--encoder", recipe.encoder_name, "--batch", str(recipe.batch_size),
            "--size", str(recipe.image_size[0]), "--epochs", str(recipe.epochs)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", required=True, help="an empty folder for the runs")
    parser.add_argument("--model", default="UNet")
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8, help="of all workers together")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--alone", action="store_true", help="only the run in one process")
    options = parser.parse_args()
    recipe = TrainingRecipe(data="shapes", model=options.model, encoder_name=options.encoder, epochs=options.epochs,
                            image_size=(options.size, options.size), batch_size=options.batch,
                            validate_every=options.epochs)  # so that the epochs between only train
    if options.alone:
        prepare_to_train()
        training.train(recipe, os.path.join(options.output, "alone"), verbose=2)
        return
    rows = measured(recipe, options.output, options.workers)
    parameters_bytes = gradient_bytes(os.path.join(options.output, "alone"))
    show_measured(rows, recipe, parameters_bytes, options.workers)
    show_on_paper(recipe.batch_size / rows[0][1], recipe.batch_size, parameters_bytes, IMAGE_BYTES)
    show_on_paper(1000.0, recipe.batch_size, parameters_bytes, IMAGE_BYTES)  # as fast as a GPU


if __name__ == "__main__":
    main()
