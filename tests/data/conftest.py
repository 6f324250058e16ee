"""Small datasets on disk for the tests of this folder."""

import os

import numpy as np
import pytest
from PIL import Image


def make_folder(root, count=6, classes=3, size=(20, 30), splits=("train", "val"), suffix=".png"):
    """Write `{split}/images` and `{split}/labels`; every pixel's red channel is 80 times its class id."""
    random = np.random.default_rng(0)
    for split in splits:
        for part in ("images", "labels"):
            os.makedirs(os.path.join(root, split, part), exist_ok=True)
        for index in range(count):
            coarse = random.integers(0, classes, (size[0] // 5, size[1] // 5))
            ids = np.kron(coarse, np.ones((5, 5), np.int64)).astype(np.uint8)
            pixels = np.stack([ids * 80, np.full_like(ids, index * 20 % 256), np.full_like(ids, 7)], -1)
            Image.fromarray(pixels).save(os.path.join(root, split, "images", f"{index:03d}{suffix}"))
            Image.fromarray(ids).save(os.path.join(root, split, "labels", f"{index:03d}.png"))
    return str(root)


@pytest.fixture
def folder(tmp_path):
    """A folder dataset of 6 training and 6 validation pairs, 20×30, three classes."""
    return make_folder(tmp_path / "set")
