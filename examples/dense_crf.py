r"""What the dense CRF does to a trained model's labels: mean IoU before and after, and a picture.

    python examples/dense_crf.py model.keras --data camvid --data-dir data/camvid --image-size 360 480 \
        --picture crf.png

Every example of the split is predicted once; each parameter set then refines the same probabilities. The picture shows
image, labels of the logits, labels after the first parameter set, and the truth.
"""

import argparse
import dataclasses
import sys
import time

import numpy as np
from PIL import Image

import kseg
from kseg.inference.dense_crf import PARAMETERS, DenseCRF
from kseg.metrics.confusion import confusion_matrix, iou_from_confusion, mean_of_present


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help=".keras file")
    parser.add_argument("--data", default="camvid")
    parser.add_argument("--data-dir")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--image-size", type=int, nargs=2, default=(360, 480), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--parameters", nargs="+", default=list(PARAMETERS), choices=sorted(PARAMETERS))
    parser.add_argument("--position-scale", type=float, default=1.0, help="multiplies the widths in pixels, which were "
                        "chosen for images of about 375x500")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--limit", type=int, help="use only so many examples")
    parser.add_argument("--picture", help="PNG to write")
    parser.add_argument("--pictured", type=int, nargs="+", default=[0], help="positions of the examples in the picture")
    return parser.parse_args()


def main():
    arguments = parse()
    model = kseg.load_model(arguments.model)
    label_set = kseg.data.label_set(arguments.data, arguments.data_dir)
    examples = kseg.data.load(arguments.data, arguments.split, data_dir=arguments.data_dir, batch_size=None,
                              image_size=tuple(arguments.image_size), shuffle=False)
    refiners = {name: DenseCRF(scaled(PARAMETERS[name], arguments.position_scale), arguments.iterations)
                for name in arguments.parameters}
    matrices = {name: np.zeros((len(label_set),) * 2, np.int64) for name in ("none", *refiners)}
    seconds = dict.fromkeys(matrices, 0.0)
    rows, count = [], 0
    for pixels, labels in examples.take(arguments.limit or -1).as_numpy_iterator():
        image = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        start = time.perf_counter()
        found = {"none": kseg.predict(model, image, output="probabilities")}
        seconds["none"] += time.perf_counter() - start
        for name, refine in refiners.items():
            start = time.perf_counter()
            found[name] = refine(image, found["none"])
            seconds[name] += time.perf_counter() - start
        for name, probabilities in found.items():
            matrices[name] += confusion_matrix(labels, probabilities.argmax(axis=-1), len(label_set))
        if count in arguments.pictured:
            shown = [found[name].argmax(axis=-1) for name in ("none", arguments.parameters[0])]
            rows.append(np.concatenate([image, *map(label_set.colorize, [*shown, labels])], axis=1))
        count += 1
    report(matrices, seconds, count, label_set)
    if arguments.picture:
        Image.fromarray(np.concatenate(rows)).save(arguments.picture)


def scaled(parameters, factor):
    return dataclasses.replace(parameters, smoothness_sigma=parameters.smoothness_sigma * factor,
                               appearance_position_sigma=parameters.appearance_position_sigma * factor)


def report(matrices, seconds, count, label_set):
    before = iou_from_confusion(matrices["none"])
    lines = [f"{count} examples", "", "| CRF | mean IoU | pixel accuracy | seconds an image | best and worst class |",
             "|---|---|---|---|---|"]
    for name, matrix in matrices.items():
        iou = iou_from_confusion(matrix)
        change = np.nan_to_num(iou - before)
        extremes = "" if name == "none" else ", ".join(
            f"{label_set.names[index]} {change[index]:+.3f}" for index in (change.argmax(), change.argmin()))
        accuracy = np.diag(matrix).sum() / matrix.sum()
        lines.append(f"| {name} | {mean_of_present(iou):.4f} | {accuracy:.4f} | {seconds[name] / count:.2f} | "
                     f"{extremes} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
