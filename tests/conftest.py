"""Settings for the whole suite: quiet TensorFlow, fixed seeds, structured images."""

import gc
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402

import kseg.machine  # noqa: E402
from tests.browser import browser, litert_runtime  # noqa: E402, F401

# `kseg train` in a test would have the whole test process keep what it once held; `test_machine` has its own processes.
kseg.machine._keep_freed_memory = lambda: None


def pytest_collection_finish():
    """Leave what the imports made out of every later collection, which would walk a million objects each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seeded():
    import keras

    keras.utils.set_random_seed(7)
    start = time.monotonic()
    yield
    long = time.monotonic() - start > 1.5  # has built a network; a collection takes half a second itself
    keras.backend.clear_session(free_memory=long)


def structured_image(height, width, channels=3):
    """Return uint8 `[H, W, channels]` with a gradient, an edge and off-centre blobs: errors of one pixel show."""
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    image = np.stack([255 * rows / height, 255 * columns / width,
                      127 + 120 * np.sin(columns / 5) * np.cos(rows / 7)], axis=-1)
    image[(rows - height * 0.3) ** 2 + (columns - width * 0.7) ** 2 < (0.15 * height) ** 2] = (250, 20, 60)
    image[int(height * 0.6):, :int(width * 0.35)] = (10, 200, 120)
    return np.repeat(image, -(-channels // 3), axis=-1)[..., :channels].astype(np.uint8)


def without_values(build, *arguments, **options):
    """Return `build(*arguments, **options)` with weights that have a shape and no values: to be counted, in no time."""
    import keras

    with keras.StatelessScope(initialize_variables=False):
        return build(*arguments, **options)
