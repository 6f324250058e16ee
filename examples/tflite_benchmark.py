"""Inference time of one image: kseg as TFLite (float32, int8) and SavedModel, against torch (eager, compiled).

    python examples/tflite_benchmark.py --torch-python ../peers/bin/python --json times.json

The peers are torchvision's DeepLabV3 and segmentation_models_pytorch's U-Net and PSPNet with the encoder that both
sides have; all weights are random. (smp's PSPNet stops after the encoder's third stage, at stride 8 without dilation:
a much smaller network than the paper's, which kseg builds; its ratio compares the two libraries' defaults only.)
kseg needs no torch: the other side runs in the interpreter given by `--torch-python`, an environment with torch,
torchvision and segmentation-models-pytorch. Both sides are loaded at once and asked in turn, round by round, so that
a busy machine slows both; the median of the rounds and their quartiles count. All get the same number of threads.
Beside them torch multiplies two matrices: the arithmetic that direct convolution cannot beat (GFLOP/s, last column).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

PAUSE = 0.3  # seconds between two sides, until the threads of the last one stop spinning
MODELS = ("deeplabv3_resnet50", "unet_resnet34", "pspnet_resnet50")
PRODUCT, PRODUCT_SIDE = "matrix product", 4096


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--side-length", type=int, default=384, help="height and width in pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--torch-python", help="interpreter of an environment with torch; without it kseg runs alone")
    parser.add_argument("--json", help="write the times here")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return serve(*torch_sides(arguments.worker, arguments.side_length, arguments.threads))
    results = {}
    for name in arguments.models:
        results[name], flops = compare(name, arguments)
        show(name, results[name], flops if name != "pspnet_resnet50" else {})
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


def compare(name, arguments):
    """Return side -> list of milliseconds for one network, and side -> its floating-point operations."""
    sides = kseg_sides(name, arguments.side_length, arguments.threads)
    worker = Worker(name, arguments) if arguments.torch_python else None
    sides.update({side: lambda side=side: worker.ask(side) for side in (worker.sides if worker else ())})
    times = {side: [] for side in sides}
    for _ in range(arguments.rounds):
        for side, run in sides.items():
            time.sleep(PAUSE)
            times[side].append(run())
    if not worker:
        return times, {}
    worker.close()
    return times, {side: 2 * PRODUCT_SIDE ** 3 if side == PRODUCT else worker.flops for side in sides}


def kseg_sides(name, side_length, threads):
    """Return side -> function that runs once and returns milliseconds."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    import kseg

    size = (side_length, side_length)
    build = {"deeplabv3_resnet50": lambda: kseg.models.DeepLabV3(21, "resnet50", output_stride=8, compile=False),
             "unet_resnet34": lambda: kseg.models.UNet(21, "resnet34", compile=False),
             "pspnet_resnet50": lambda: kseg.models.PSPNet(21, "resnet50", output_stride=8, compile=False)}
    model = build[name]()
    pixels = kseg.export.structured_images(*size)
    image = pixels[:1]
    with tempfile.TemporaryDirectory() as folder:
        files = {"kseg TFLite float32": None, "kseg TFLite int8": "int8"}
        runners = {}
        for side, quantize in files.items():
            path = os.path.join(folder, f"{quantize}.tflite")
            report = kseg.export.tflite(model, path, size, quantize, pixels, images=image, minimum_agreement=0,
                                        threads=threads, layer_errors=False)
            print(f"{name} {side}: label agreement {report.label_agreement:.4f}, {report.size_bytes / 1e6:.1f} MB")
            runners[side] = kseg.export.TFLiteModel(path, threads)
        kseg.export.saved_model(model, os.path.join(folder, "1"), image_size=size, images=image)
        runners["kseg SavedModel"] = kseg.export.SavedModelRunner(os.path.join(folder, "1"))
    return {side: _timed(lambda runner=runner: runner(image)) for side, runner in runners.items()}


def torch_sides(name, side_length, threads):
    """Return side -> function that runs once and returns milliseconds and the operations, in the peers' interpreter."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    library = torch.library.Library("torchvision", "DEF")  # the CUDA build imports on a CPU once these two are declared
    for operator in ("nms", "qnms"):
        try:
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        except RuntimeError:
            pass
    if name == "deeplabv3_resnet50":
        from torchvision.models.segmentation import deeplabv3_resnet50

        network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21)
    else:
        import segmentation_models_pytorch as smp

        network = (smp.Unet("resnet34", encoder_weights=None, classes=21) if name == "unet_resnet34"
                   else smp.PSPNet("resnet50", encoder_weights=None, classes=21))
    network.eval()
    image = torch.rand(1, 3, side_length, side_length)
    columns = image.to(memory_format=torch.channels_last)
    networks = {"torch eager": (network, image)}
    import copy

    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    networks["torch channels_last"] = (last, columns)
    networks["torch compile"] = (torch.compile(copy.deepcopy(network)), image)

    def run(entry):
        with torch.inference_mode():
            entry[0](entry[1])

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    sides = {side: _timed(lambda entry=entry: run(entry)) for side, entry in networks.items()}
    matrix = torch.rand(PRODUCT_SIDE, PRODUCT_SIDE)
    return {**sides, PRODUCT: _timed(lambda: torch.matmul(matrix, matrix))}, counter.get_total_flops()


def _timed(run):
    run()
    run()

    def once():
        start = time.perf_counter()
        run()
        return 1000 * (time.perf_counter() - start)

    return once


def serve(sides, flops):
    """Answer the name of a side on standard input with its milliseconds on standard output."""
    print(json.dumps([list(sides), flops]), flush=True)
    for line in sys.stdin:
        print(sides[line.strip()](), flush=True)


class Worker:
    """The torch side in its own interpreter."""

    def __init__(self, name, arguments):
        command = [arguments.torch_python, os.path.abspath(__file__), "--worker", name, "--threads",
                   str(arguments.threads), "--side-length", str(arguments.side_length)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.sides, self.flops = json.loads(self._process.stdout.readline())

    def ask(self, side):
        self._process.stdin.write(side + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def show(name, times, flops):
    medians = {side: statistics.median(values) for side, values in times.items()}
    peers = {side: median for side, median in medians.items() if side.startswith("torch")}
    best = min(peers, key=peers.get) if peers else None
    print(f"\n{name}" + (f" (ratio to {best})" if best else ""))
    for side, values in times.items():
        quarter, _, three = statistics.quantiles(values, n=4)
        ratio = f"  {medians[side] / peers[best]:.2f}" if best and side != PRODUCT else "      "
        speed = f"  {flops[side] / medians[side] / 1e6:.0f} GFLOP/s" if flops else ""
        print(f"  {side:<22} {medians[side]:8.1f} ms  ({quarter:.1f} to {three:.1f}){ratio}{speed}")


if __name__ == "__main__":
    main()
