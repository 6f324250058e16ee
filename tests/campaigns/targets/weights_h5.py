"""An encoder's weights as Keras writes them, HDF5, into a tiny encoder."""

from kseg.encoders import row_of
from kseg.encoders.weights import load_file, recorded_geometry
from tests.campaigns.targets.npz import encoder


def seeds(folder):
    encoder().save_weights(f"{folder}/seed.weights.h5")
    with open(f"{folder}/seed.weights.h5", "rb") as file:
        yield file.read()


def read(content, folder):
    with open(f"{folder}/m.weights.h5", "wb") as file:
        file.write(content)
    recorded_geometry(f"{folder}/m.weights.h5")
    load_file(encoder(), f"{folder}/m.weights.h5", row_of("resnet18"))
    return encoder().get_weights()
