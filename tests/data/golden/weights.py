"""Weights and pictures that PyTorch's side and kseg's draw alike, so that golden files hold answers alone.

Every array is drawn from its name with NumPy's `RandomState`, whose stream never changes. NumPy alone is imported: the
scripts that make golden files run where kseg is not installed.
"""

import zlib

import numpy as np

BANDS = {  # how many bands -> mean and deviation that golden networks of so many are fed
    1: ((100,), (50,)), 2: ((90, 110), (40, 60)), 4: ((90, 100, 110, 120), (40, 50, 60, 70))}


def draw(name, shape):
    """Return the array of PyTorch's `name`, in its layout `shape`: float32, or int64 for a counter of batches.

    Kernels have He's scale, batch normalisation has statistics and weights far from those it starts with.
    """
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, "int64")
    unit = np.random.RandomState(zlib.crc32(name.encode())).random_sample(shape)  # 0 to 1
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        values = 0.5 + unit
    elif len(shape) == 1:  # biases and means
        values = 0.4 * (unit - 0.5)
    else:
        values = unit  # in place: some kernels have millions of weights
        values *= 2
        values -= 1
        values *= np.sqrt(6 / np.prod(shape[1:]))  # variance 2 / fan-in
    return values.astype("float32")


def draw_all(shapes, gain=1.0):
    """Return name -> array for a dict of name -> shape; kernels times `gain`."""
    arrays = {name: draw(name, tuple(shape)) for name, shape in shapes.items()}
    return {name: value * np.float32(gain) if value.ndim == 4 else value for name, value in arrays.items()}


def picture(height, width, bands=3):
    """Return uint8 `[H, W, bands]`: slopes, squares of seven pixels and two discs off the middle, no two rows alike.

    The fourth band and those after it are the first three again, upside down.
    """
    rows, columns = np.mgrid[:height, :width].astype("float64")
    squares = (rows // 7 + columns // 7) % 2
    image = np.stack([255 * rows / height, 255 * columns / width, 60 + 130 * squares], axis=-1)
    for top, left, radius, colour in ((0.3, 0.7, 0.15, (250, 20, 60)), (0.75, 0.2, 0.2, (10, 200, 120))):
        image[(rows - top * height) ** 2 + (columns - left * width) ** 2 < (radius * height) ** 2] = colour
    image = np.concatenate([image, image[::-1]] * -(-bands // 6), axis=-1)[..., :bands]
    return image.astype("uint8")


def sample(values, count=5):
    """Return `count` values of each of the axes of `values` `[H, W, C]`, the first and the last among them."""
    for axis in range(values.ndim):
        values = np.take(values, np.linspace(0, values.shape[axis] - 1, count).astype(int), axis)
    return values.astype("float32")
