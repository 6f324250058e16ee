"""Seconds per training step and per prediction, beside segmentation_models.pytorch, like with like.

    python examples/step_time_benchmark.py --peer-python /path/to/python-with-torch-and-smp
    python examples/step_time_benchmark.py --backends tensorflow jax

The second line compares Keras's backends: the same model, batch and optimiser in a process for each.

Both sides have the same encoder, output stride and decoder family, the same batch, loss (cross-entropy + Dice) and
optimiser (AdamW), random weights. Each is a process of its own; they take turns of a few steps in one run, so that a
machine that slows down slows both. kseg's process is prepared as `kseg train` prepares it (`kseg.machine`), unless
`--as-it-is`. Channels are last in torch, its faster layout on a CPU. Without --peer-python kseg alone is timed. The
first step compiles: TensorFlow traces it, JAX compiles it as a whole. Times are × those of the last line of a model.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

CLASSES = 11
# kseg's builder -> (its options, smp's class, its options)
PAIRS = {
    "DeepLabV3Plus": ({"output_stride": 16}, "DeepLabV3Plus", {"encoder_output_stride": 16}),
    "DeepLabV3": ({"output_stride": 16}, "DeepLabV3", {"encoder_output_stride": 16}),
    "UNet": ({}, "Unet", {}),
    "PSPNet": ({"output_stride": 16, "aux": True}, None, {}),  # smp's is not dilated and stops at the third stage
}
ENCODERS = {"efficientnetlite0": "tu-tf_efficientnet_lite0"}  # kseg's name -> smp's, where they differ

TORCH_SIDE = r"""
import json, sys, time, warnings
import torch
library = torch.library.Library("torchvision", "DEF")
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import segmentation_models_pytorch as smp
warnings.filterwarnings("ignore")
name, encoder, options, classes, batch, height, width = json.loads(sys.argv[1])
torch.set_num_threads(2)
model = getattr(smp, name)(encoder, encoder_weights=None, classes=classes, **options)
model = model.to(memory_format=torch.channels_last)
pixels = torch.rand(batch, 3, height, width).contiguous(memory_format=torch.channels_last)
labels = torch.randint(0, classes, (batch, height, width))
optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=1e-4)
entropy, dice = torch.nn.CrossEntropyLoss(ignore_index=255), smp.losses.DiceLoss("multiclass", ignore_index=255)
def train():
    model.train()
    optimizer.zero_grad()
    logits = model(pixels)
    (entropy(logits, labels) + dice(logits, labels)).backward()
    optimizer.step()
def predict():
    model.eval()
    with torch.inference_mode():
        model(pixels[:1])
for line in sys.stdin:
    what, count = line.split()
    times = []
    for _ in range(int(count)):
        start = time.perf_counter(); {"train": train, "predict": predict}[what]()
        times.append(time.perf_counter() - start)
    print(json.dumps(times), flush=True)
"""


def kseg_side(name, encoder, options, batch, size, prepared):
    """Answer "train N" and "predict N" on standard input with the seconds of each, on the backend of KERAS_BACKEND."""
    if prepared:
        from kseg import machine

        machine.prepare_to_train()
    import keras

    import kseg
    from kseg.losses import CrossEntropy, Dice
    from kseg.training import AdamW

    keras.utils.set_random_seed(0)
    model = getattr(kseg.models, name)(CLASSES, encoder_name=encoder, **options)
    model.compile(AdamW(1e-3, weight_decay=1e-4), loss=CrossEntropy() + Dice(), metrics=[kseg.metrics.MeanIoU(CLASSES)])
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (batch, *size, 3)).astype("float32")
    labels = random.integers(0, CLASSES, (batch, *size)).astype("int32")
    work = {"tensorflow": tensorflow_work, "jax": jax_work}[keras.backend.backend()](model, pixels, labels)
    for line in sys.stdin:
        what, count = line.split()
        times = []
        for _ in range(int(count)):
            start = time.perf_counter()
            work[what]()
            times.append(time.perf_counter() - start)
        sys.stdout.write(json.dumps(times) + "\n")
        sys.stdout.flush()


def tensorflow_work(model, pixels, labels):
    """Return what one step and one prediction are; Keras's own training step, on data that are there already."""
    import tensorflow as tf

    batches = iter(tf.data.Dataset.from_tensors((pixels, labels)).repeat())
    predict = tf.function(lambda values: model(values, training=False))
    one = tf.constant(pixels[:1])
    model.make_train_function()
    return {"train": lambda: float(model.train_function(batches)["loss"]), "predict": lambda: np.asarray(predict(one))}


def jax_work(model, pixels, labels):
    """Return the same two on JAX; a step takes the state from the model and puts it back, which costs little."""
    import jax

    data, one = jax.device_put((pixels, labels)), jax.device_put(pixels[:1])
    call = jax.jit(lambda trained, others, values: model.stateless_call(trained, others, values, training=False)[0])

    def predict():
        return np.asarray(call(*([variable.value for variable in group] for group in (
            model.trainable_variables, model.non_trainable_variables)), one))

    return {"train": lambda: float(model.train_on_batch(*data, return_dict=True)["loss"]), "predict": predict}


class Side:
    """One process that takes its turns; `first` is how long its first step took, `times` those of the later ones."""

    def __init__(self, command, environment=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL, env=environment)
        self.first = self.ask("train", 1)[0]
        self.times = {"train": [], "predict": []}
        self.ask("train", 1), self.ask("predict", 2)

    def ask(self, what, count):
        self.process.stdin.write(f"{what} {count}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def turn(self, what, count):
        self.times[what] += self.ask(what, count)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def sides_of(name, arguments):
    """Return the sides of a comparison by their label: kseg on each backend, then the peer."""
    options, peer, peer_options = PAIRS[name]
    size = list(arguments.image_size)
    own = json.dumps([name, arguments.encoder, options, arguments.batch, size, not arguments.as_it_is])
    sides = {}
    for backend in arguments.backends:
        label = f"{backend} {name}" if len(arguments.backends) > 1 else f"kseg {name}"
        sides[label] = Side([sys.executable, __file__, "--side", own], {**os.environ, "KERAS_BACKEND": backend})
    if arguments.peer_python and peer:
        encoder = ENCODERS.get(arguments.encoder, arguments.encoder)
        theirs = [peer, encoder, peer_options, CLASSES, arguments.batch, *size]
        sides[f"smp {peer}"] = Side([arguments.peer_python, "-W", "ignore", "-c", TORCH_SIDE, json.dumps(theirs)])
    return sides


def compare(name, arguments):
    """Return a line for each side of a comparison."""
    sides = sides_of(name, arguments)
    for _ in range(arguments.rounds):
        for what, count in (("train", 2), ("predict", 5)):
            for side in sides.values():
                side.turn(what, count)
    medians = {key: {what: statistics.median(times) for what, times in side.times.items()}
               for key, side in sides.items()}
    last = medians[list(sides)[-1]]
    for key, side in sides.items():
        shown = []
        for what in ("train", "predict"):
            low, _, high = statistics.quantiles(side.times[what], n=4)
            shown.append(f"{1e3 * medians[key][what]:8.0f} ms ({1e3 * low:.0f}–{1e3 * high:.0f}) "
                         f"{medians[key][what] / last[what]:5.2f} ×")
        yield f"{key:24s} train {shown[0]}   predict {shown[1]}   first step {side.first:5.1f} s"
        side.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="python that has torch and segmentation_models_pytorch")
    parser.add_argument("--backends", nargs="+", choices=("tensorflow", "jax"), default=["tensorflow"],
                        help="Keras's, each in a process of its own")
    parser.add_argument("--models", nargs="+", choices=PAIRS, default=["DeepLabV3Plus", "UNet"])
    parser.add_argument("--encoder", default="efficientnetlite0")
    parser.add_argument("--image-size", type=int, nargs=2, default=(192, 256), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=8, help="turns of each side: 2 steps and 5 predictions")
    parser.add_argument("--as-it-is", action="store_true", help="leave kseg's process as Python starts it")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return kseg_side(*json.loads(arguments.side))
    height, width = arguments.image_size
    print(f"{arguments.encoder}, {height}×{width}, batch {arguments.batch} to train, one image to predict; "
          "median (quartiles), × the last line's")
    for name in arguments.models:
        for line in compare(name, arguments):
            print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
