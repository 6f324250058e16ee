"""Models as `model.save` writes them, a tiny one."""

import keras

import kseg
from kseg.layers import NormalizePixels, ResizeTo
from kseg.models.segmenter import Segmenter
from tests.campaigns.mutations import damaged_archive as damage  # noqa: F401 (the campaign asks for it)


def seeds(folder):
    for classes, compiled in ((2, False), (3, True)):
        pixels = keras.Input((None, None, 3), name="pixels")
        features = NormalizePixels([127.5] * 3, [64.0] * 3)(pixels)
        features = keras.layers.Conv2D(2, 3, strides=2, padding="same")(features)
        model = Segmenter(pixels, ResizeTo(dtype="float32")(keras.layers.Conv2D(classes, 1)(features), pixels),
                          label_set=kseg.LabelSet([f"class {index}" for index in range(classes)]))
        if compiled:
            model.compile("sgd", kseg.losses.CrossEntropy(), metrics=[kseg.metrics.MeanIoU(classes)])
        model.save(f"{folder}/seed.keras")
        with open(f"{folder}/seed.keras", "rb") as file:
            yield file.read()


def read(content, folder):
    with open(f"{folder}/m.keras", "wb") as file:
        file.write(content)
    model = kseg.load_model(f"{folder}/m.keras")
    keras.backend.clear_session(free_memory=False)
    return model


def check(answer, content):
    assert isinstance(answer, keras.Model)
