"""An encoder's weights as arrays by name, into a tiny encoder."""

import functools
import io
import zipfile

import keras
import numpy as np

from kseg.encoders import row_of
from kseg.encoders.weights import load_file, recorded_geometry, save_arrays
from kseg.layers import BatchNormalization, NormalizePixels
from tests.campaigns.mutations import damaged_archive as damage  # noqa: F401 (the campaign asks for it)


@functools.cache
def encoder():
    """Return a network of one convolution, whose arrays are named as an encoder's."""
    pixels = keras.Input((None, None, 3))
    features = NormalizePixels([127.5] * 3, [64.0] * 3, "geometry of a test", name="normalize")(pixels)
    features = keras.layers.Conv2D(4, 3, name="conv1_conv")(features)
    return keras.Model(pixels, BatchNormalization(name="conv1_bn")(features), name="encoder")


def seeds(folder):
    save_arrays(encoder(), f"{folder}/seed.npz")
    with open(f"{folder}/seed.npz", "rb") as file:
        yield file.read()
    np.savez_compressed(f"{folder}/seed.npz", bgr=np.uint8(1), **{one.path: np.asarray(one) * 2
                                                                 for one in encoder().variables})
    with open(f"{folder}/seed.npz", "rb") as file:
        yield file.read()


def read(content, folder):
    with open(f"{folder}/m.npz", "wb") as file:
        file.write(content)
    recorded_geometry(f"{folder}/m.npz")
    load_file(encoder(), f"{folder}/m.npz", row_of("resnet18"))
    return encoder().get_weights()


def check(answer, content):
    """What NumPy reads under a variable's name is what it holds; in any order, as `bgr` turns the stem."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:  # `np.load` asks for the first bytes of a ZIP file, too
        for one, array in zip(encoder().variables, answer, strict=True):
            stored = np.load(io.BytesIO(archive.read(f"{one.path}.npy")))
            np.testing.assert_array_equal(np.sort(array, None), np.sort(stored, None))
