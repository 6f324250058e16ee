"""PyTorch's checkpoints: the archive and the row of pickles, read without PyTorch."""

import numpy as np

from kseg.encoders.checkpoint import read_checkpoint
from tests.campaigns.mutations import damaged_archive as damage  # noqa: F401 (the campaign asks for it)
from tests.encoders.torch_files import EXPECTED, GOLDEN, WHOLE, mapping, write_legacy, write_zip


def seeds(folder):
    for name in EXPECTED:
        if not name.endswith(".safetensors"):
            yield (GOLDEN / name).read_bytes()
    for write in (write_zip, write_legacy):
        write(f"{folder}/seed", mapping({"w": WHOLE}), {"0": np.arange(6, dtype="<f4").tobytes()})
        with open(f"{folder}/seed", "rb") as file:
            yield file.read()


def read(content, folder):
    with open(f"{folder}/m.pth", "wb") as file:
        file.write(content)
    return read_checkpoint(f"{folder}/m.pth")


def check(answer, content):
    assert answer
    for name, array in answer.items():
        assert isinstance(name, str) and isinstance(array, np.ndarray), name
        np.sum(array.ravel()[-1:].astype("complex64"))  # the last number lies in the file
        assert array.size <= max(len(content), 2 ** 24), (name, array.shape)
