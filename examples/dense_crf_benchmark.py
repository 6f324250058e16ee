"""Time and accuracy of kseg.inference.DenseCRF beside pydensecrf2, in one run.

    python examples/dense_crf_benchmark.py --peer-python /path/to/other/environment/bin/python [--image street.jpg]

`--peer-python` is an interpreter that has pydensecrf2 (`pip install pydensecrf2`, needs a C++ compiler); without it
only kseg is timed. Both sides get the same image and probabilities, take turns, and count everything from the arrays to
the refined probabilities; the peer's process is not charged for its start. Wall seconds are the least of the repeats,
processor seconds too, which a busy machine inflates less. The accuracy of both is their difference from mean field over
all pairs of pixels, on small scenes, with kseg's lattice and with its exact filter.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from kseg.inference.dense_crf import PARAMETERS, CRFParameters, DenseCRF

CLASSES, HEIGHT, WIDTH, ITERATIONS = 21, 375, 500, 10

PEER = """
import sys, time
import numpy as np
import pydensecrf.densecrf as peer
from pydensecrf.utils import unary_from_softmax

for line in sys.stdin:
    arrays = np.load(line.strip())
    image, probabilities, numbers = arrays["image"], arrays["probabilities"], arrays["numbers"]
    rule = {"symmetric": peer.NORMALIZE_SYMMETRIC, "after": peer.NORMALIZE_AFTER}[str(arrays["normalization"])]
    height, width, classes = probabilities.shape
    start, busy = time.perf_counter(), time.process_time()
    crf = peer.DenseCRF2D(width, height, classes)
    softmax = np.ascontiguousarray(probabilities.transpose(2, 0, 1))
    crf.setUnaryEnergy(np.ascontiguousarray(unary_from_softmax(softmax)))
    crf.addPairwiseGaussian(sxy=numbers[4], compat=numbers[3], normalization=rule)
    crf.addPairwiseBilateral(sxy=numbers[1], srgb=numbers[2], rgbim=image, compat=numbers[0], normalization=rule)
    refined = np.array(crf.inference(int(arrays["iterations"]))).reshape(classes, height, width).transpose(1, 2, 0)
    seconds = time.perf_counter() - start, time.process_time() - busy
    np.save(line.strip() + ".npy", refined)
    print(*seconds, flush=True)
"""


class Peer:
    """pydensecrf2 in its own process."""

    def __init__(self, python, folder):
        self.process = subprocess.Popen([python, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.path = str(pathlib.Path(folder, "arrays.npz"))

    def __call__(self, image, probabilities, parameters, normalization):
        """Return the refined probabilities and the seconds taken, on the wall and of the processor."""
        numbers = [parameters.appearance_weight, parameters.appearance_position_sigma,
                   parameters.appearance_color_sigma, parameters.smoothness_weight, parameters.smoothness_sigma]
        np.savez(self.path, image=image, probabilities=probabilities, numbers=np.array(numbers, float),
                 normalization=normalization, iterations=ITERATIONS)
        self.process.stdin.write(self.path + "\n")
        self.process.stdin.flush()
        seconds = tuple(map(float, self.process.stdout.readline().split()))
        return np.load(self.path + ".npy"), seconds

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def scene(height, width, classes, noise, seed):
    """Return an image of coloured discs under a gradient, and noisy probabilities of their labels."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    labels = np.zeros((height, width), int)
    for label in range(1, classes):
        top, left = generator.uniform(0, height), generator.uniform(0, width)
        labels[(y - top) ** 2 + (x - left) ** 2 < (generator.uniform(0.1, 0.35) * height) ** 2] = label
    image = generator.integers(30, 225, (classes, 3))[labels] + 30 * (x / width)[..., None]
    image = np.clip(image + generator.normal(0, noise, (height, width, 3)), 0, 255).astype(np.uint8)
    return image, probabilities_for(labels, classes, generator)


def probabilities_for(labels, classes, generator):
    height, width = labels.shape
    coarse = generator.normal(0, 1, (height // 8 + 1, width // 8 + 1, classes))
    logits = coarse.repeat(8, 0).repeat(8, 1)[:height, :width] + 2 * np.eye(classes)[labels]
    exponentials = np.exp(logits)
    return (exponentials / exponentials.sum(-1, keepdims=True)).astype(np.float32)


def photograph(path):
    """Return the file's image at 375×500 and probabilities of a labelling by brightness and place."""
    from PIL import Image

    image = np.asarray(Image.open(path).convert("RGB").resize((WIDTH, HEIGHT)))
    place = np.arange(HEIGHT)[:, None] * 7 // HEIGHT
    labels = place * 3 + image.mean(-1).astype(int) * 3 // 256
    return image, probabilities_for(labels, CLASSES, np.random.default_rng(0))


def compare_times(cases, peer, repeats, say):
    say(f"## Seconds for {CLASSES} classes at {HEIGHT}×{WIDTH}, {ITERATIONS} iterations: wall / processor, least of "
        f"{repeats}\n")
    say("| image | parameters | kseg | pydensecrf2 | ratio | labels that agree |")
    say("|---|---|---|---|---|---|")
    for title, image, probabilities in cases:
        for name in ("deeplabv2_resnet101", "deeplabv1_largefov", "pydensecrf"):
            crf, own, theirs, shown = DenseCRF(name, iterations=ITERATIONS), [], [], "– | – | –"
            for _ in range(repeats):
                start, busy = time.perf_counter(), time.process_time()
                refined = crf(image, probabilities)
                own.append((time.perf_counter() - start, time.process_time() - busy))
                if peer:
                    other, seconds = peer(image, probabilities, crf.parameters, crf.normalization)
                    theirs.append(seconds)
            mine = np.min(own, axis=0)
            if peer:
                least = np.min(theirs, axis=0)
                agreement = (other.argmax(-1) == refined.argmax(-1)).mean()
                shown = f"{least[0]:.2f} / {least[1]:.2f} | {mine[0] / least[0]:.2f} / {mine[1] / least[1]:.2f} | " \
                        f"{agreement:.4f}"
            say(f"| {title} | {name} | {mine[0]:.2f} / {mine[1]:.2f} | {shown} |")


def compare_accuracy(peer, say):
    say("\n## Difference from mean field over all pairs, 24×32, worst of 4 scenes: probability, labels that agree\n")
    say("| parameters | normalisation | noise | kseg | kseg, lattice only | pydensecrf2 |")
    say("|---|---|---|---|---|---|")
    for name in ("deeplabv2_resnet101", "deeplabv1_largefov", "pydensecrf"):
        for normalization in ("symmetric", "after"):
            for noise in (2, 10):
                rows = {"kseg": [], "lattice": [], "peer": []}
                for seed in range(4):
                    image, probabilities = scene(24, 32, 4, noise, seed)
                    parameters = PARAMETERS[name]
                    expected = all_pairs(image, probabilities, parameters, normalization)
                    answers = {"kseg": DenseCRF(name, ITERATIONS, normalization)(image, probabilities),
                               "lattice": DenseCRF(name, ITERATIONS, normalization, 0)(image, probabilities)}
                    if peer:
                        answers["peer"], _ = peer(image, probabilities, parameters, normalization)
                    for side, answer in answers.items():
                        rows[side].append((np.abs(answer - expected).max(),
                                           (answer.argmax(-1) == expected.argmax(-1)).mean()))
                shown = [f"{max(row[0] for row in found):.4f}, {min(row[1] for row in found):.4f}" if found else "–"
                         for found in rows.values()]
                say(f"| {name} | {normalization} | {noise} | {' | '.join(shown)} |")


def all_pairs(image, probabilities, parameters: CRFParameters, normalization):
    """Mean field by the full matrix of pairs, in float64."""
    height, width, classes = probabilities.shape
    place = np.stack(np.mgrid[:height, :width], -1).reshape(-1, 2).astype(float)
    colour = image.reshape(-1, 3).astype(float)
    apart, unlike = (((values[:, None] - values) ** 2).sum(-1) for values in (place, colour))
    kernels = (np.exp(-apart / (2 * parameters.appearance_position_sigma ** 2)
                      - unlike / (2 * parameters.appearance_color_sigma ** 2)),
               np.exp(-apart / (2 * parameters.smoothness_sigma ** 2)))
    pairwise = 0
    for weight, kernel in zip((parameters.appearance_weight, parameters.smoothness_weight), kernels):
        total = kernel.sum(1)
        divisor = np.sqrt(np.outer(total, total)) if normalization == "symmetric" else total[:, None]
        pairwise = pairwise + weight * kernel / divisor
    unary = np.log(np.maximum(probabilities.reshape(-1, classes).astype(float), 1e-5))
    logits = unary
    for _ in range(ITERATIONS + 1):
        current = np.exp(logits - logits.max(-1, keepdims=True))
        current /= current.sum(-1, keepdims=True)
        logits = unary + pairwise @ current
    return current.reshape(height, width, classes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="interpreter of an environment with pydensecrf2")
    parser.add_argument("--image", help="a photograph, resized to 375×500, timed beside the generated scene")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()

    def say(line):
        print(line, flush=True, file=sys.stdout)

    cases = [("generated scene", *scene(HEIGHT, WIDTH, CLASSES, 6, 0))]
    if arguments.image:
        cases.append(("photograph", *photograph(arguments.image)))
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(arguments.peer_python, folder) if arguments.peer_python else None
        compare_times(cases, peer, arguments.repeats, say)
        compare_accuracy(peer, say)
        if peer:
            peer.close()


if __name__ == "__main__":
    main()
