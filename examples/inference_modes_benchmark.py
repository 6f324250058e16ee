"""Time and memory of each way to segment an image, as multiples of the plain one, and of a picture beyond the memory.

    python examples/inference_modes_benchmark.py best.keras photograph.jpg --window 192 256
    python examples/inference_modes_benchmark.py best.keras photograph.jpg --large 20000 --window 1024 1024

Each mode runs in a process of its own: the median time of a prediction after a first one, and the most memory the
process held (`resource.getrusage`). With `--large` the photograph is repeated to a square of that many pixels a side in
a mapped file, segmented by windows into another mapped file; memory then counts the pages of both files too.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

SCALES = (0.75, 1.0, 1.25)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a .keras file, a SavedModel folder or a .tflite file")
    parser.add_argument("image")
    parser.add_argument("--window", type=int, nargs=2, default=(192, 256), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--large", type=int, metavar="SIDE", help="measure one square picture of SIDE pixels instead")
    parser.add_argument("--overlap", type=float, default=0.125, help="of windows on the large picture")
    parser.add_argument("--mode", help=argparse.SUPPRESS)  # of the child processes
    return parser.parse_args()


def modes(window):
    """Return name -> keyword arguments of `kseg.predict`."""
    tiles = {"window": tuple(window), "overlap": 0.5}
    return {"plain": {}, "flip": {"flip": True}, "scales": {"scales": SCALES},
            "scales, flip": {"scales": SCALES, "flip": True}, "window, uniform": {**tiles, "blend": "uniform"},
            "window, Hann": tiles, "window, scales, flip": {**tiles, "scales": SCALES, "flip": True}}


def measure(arguments):
    """Run one mode and print what it took as JSON."""
    import kseg
    from kseg.inference import runner

    run = runner(arguments.model)
    image = np.asarray(Image.open(arguments.image).convert("RGB"))
    options, seconds = modes(arguments.window)[arguments.mode], []
    for _ in range(arguments.repeats + 1):
        began = time.perf_counter()
        kseg.predict(run, image, **options)
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"seconds": statistics.median(seconds[1:]), "mib": peak()}))


def measure_large(arguments):
    """Segment one large mapped picture and print what it took."""
    import kseg
    from kseg.inference import runner

    side, photograph = arguments.large, np.asarray(Image.open(arguments.image).convert("RGB"))
    height, width = photograph.shape[:2]
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
        image = np.lib.format.open_memmap(os.path.join(folder, "image.npy"), "w+", np.uint8, (side, side, 3))
        strip = np.tile(photograph, (1, -(-side // width), 1))[:, :side]
        for top in range(0, side, height):
            image[top:top + height] = strip[:side - top]
        del image
        labels = np.lib.format.open_memmap(os.path.join(folder, "labels.npy"), "w+", np.uint8, (side, side))
        began = time.perf_counter()
        kseg.predict(runner(arguments.model), os.path.join(folder, "image.npy"), window=tuple(arguments.window),
                     overlap=arguments.overlap, batch_size=1, out=labels, progress=sys.stdout.isatty())
        minutes = (time.perf_counter() - began) / 60
        found = np.unique(labels[::97, ::89]).tolist()
    print(f"{side}x{side}: {minutes:.1f} minutes, {peak():.0f} MiB at most; classes {found}")


def peak():
    """Return the most memory this process held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    arguments = parse()
    if arguments.mode:
        return measure(arguments)
    if arguments.large:
        return measure_large(arguments)
    from kseg.cli.tables import show

    results = {}
    for mode in modes(arguments.window):
        done = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--mode", mode], capture_output=True, text=True,
                              check=True)
        results[mode] = json.loads(done.stdout.splitlines()[-1])
    plain = results["plain"]
    rows = [[mode, f"{1000 * one['seconds']:.0f}", f"{one['seconds'] / plain['seconds']:.2f}", f"{one['mib']:.0f}",
             f"{one['mib'] / plain['mib']:.2f}"] for mode, one in results.items()]
    show([("mode", "left"), ("ms an image", "right"), ("x plain", "right"), ("MiB at most", "right"),
          ("x plain", "right")], rows, f"{os.path.basename(arguments.model)}, {os.path.basename(arguments.image)}")


if __name__ == "__main__":
    main()
