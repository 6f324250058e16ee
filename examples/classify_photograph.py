"""Check EfficientNet-Lite0 weights by naming what a photograph shows.

The encoder reads the weights file as `kseg.encoders.build_encoder` does; the classifier on top of it, which a segmenter
does not need, is applied here from the same file.

    python examples/classify_photograph.py --weights efficientnet_lite0_imagenet.npz --image coffee.png

Seen with the photograph of a cup of coffee that scikit-image ships: class 967 (espresso), see the printed table.
"""

import argparse

import numpy as np
from PIL import Image

from kseg.encoders import build_encoder


def class_probabilities(weights_path, pixels):
    """Return the probabilities of the 1000 ImageNet classes for uint8 `pixels` `[H, W, 3]`."""
    arrays = np.load(weights_path)
    encoder = build_encoder("efficientnetlite0", 32, weights_path)
    features = np.asarray(encoder(pixels[None])["c5"])  # [1, h, w, 320]
    hidden = features @ arrays["_conv_head.weight"][:, :, 0, 0].T  # [1, h, w, 1280]
    scale = arrays["_bn1.weight"] / np.sqrt(arrays["_bn1.running_var"] + 1e-3)
    hidden = np.clip((hidden - arrays["_bn1.running_mean"]) * scale + arrays["_bn1.bias"], 0, 6)
    logits = hidden.mean(axis=(1, 2))[0] @ arrays["_fc.weight"].T + arrays["_fc.bias"]
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--image", required=True)
    arguments = parser.parse_args()
    image = Image.open(arguments.image).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    probabilities = class_probabilities(arguments.weights, np.asarray(image))
    for index in np.argsort(-probabilities)[:5]:
        print(f"class {index:4d}  {probabilities[index]:.3f}")


if __name__ == "__main__":
    main()
