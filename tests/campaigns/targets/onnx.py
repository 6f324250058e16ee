"""ONNX files with kseg's description inside: opened as a runner, and run. Needs the extra `onnx`."""

import numpy as np

import kseg
from kseg.inference.metadata import found_metadata
from tests.campaigns.targets.tflite import model


def seeds(folder):
    for name, options in (("float", {}), ("labels", {"output": "labels"})):
        kseg.export.onnx(model(), f"{folder}/{name}.onnx", image_size=(16, 16), **options)
        with open(f"{folder}/{name}.onnx", "rb") as file:
            yield file.read()


def read(content, folder):
    with open(f"{folder}/m.onnx", "wb") as file:
        file.write(content)
    found_metadata(f"{folder}/m.onnx")
    run = kseg.inference.runner(f"{folder}/m.onnx")
    size = run.image_size or (16, 16)
    if max(size) > 64 or run.in_channels > 16:
        return None
    return kseg.predict(run, np.zeros((16, 16, run.in_channels), "uint8"))
