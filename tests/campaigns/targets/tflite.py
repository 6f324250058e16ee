"""TFLite files, with kseg's description behind them: opened as a runner, and run."""

import functools

import keras
import numpy as np

import kseg
from kseg.inference.metadata import found_metadata
from kseg.layers import NormalizePixels, ResizeTo
from kseg.models.segmenter import Segmenter
from tests.campaigns.mutations import damaged, damaged_archive


@functools.cache
def model():
    pixels = keras.Input((16, 16, 3), name="pixels")
    features = keras.layers.Conv2D(2, 3, strides=2, padding="same")(NormalizePixels([127.5] * 3, [64.0] * 3)(pixels))
    return Segmenter(pixels, ResizeTo(dtype="float32")(keras.layers.Conv2D(2, 1)(features), pixels),
                     label_set=kseg.LabelSet(["sky", "road"]))


def seeds(folder):
    for name, options in (("float", {}), ("labels", {"output": "labels"})):
        kseg.export.tflite(model(), f"{folder}/{name}.tflite", image_size=(16, 16), **options)
        with open(f"{folder}/{name}.tflite", "rb") as file:
            yield file.read()


def damage(content, others, random):
    """Damage the network alone, or the description behind it."""
    if random.random() < 0.3:
        return damaged_archive(content, others, random)
    networks = [other[:other.index(b"PK\x03\x04")] for other in others]
    end = content.index(b"PK\x03\x04")
    return damaged(content[:end], networks, random) + content[end:]


def read(content, folder):
    with open(f"{folder}/m.tflite", "wb") as file:
        file.write(content)
    run = kseg.inference.runner(f"{folder}/m.tflite")
    size = run.image_size or (16, 16)
    if max(size) > 64 or run.in_channels > 16:
        return None
    return found_metadata(f"{folder}/m.tflite"), kseg.predict(run, np.zeros((16, 16, run.in_channels), "uint8"))
