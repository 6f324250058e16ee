"""Random numbers that depend on (seed, epoch, index) alone: the seeds of examples and the draws of one example."""

import typing

import numpy as np
import tensorflow as tf

_SPREAD = (0x5851F42D4C957F2D, 0x14057B7EF767814F)  # odd; keep the seeds of epochs and draws apart


def key(seed: int | tf.Tensor, epoch: int | tf.Tensor, index: int | tf.Tensor) -> tf.Tensor:
    """Return the stateless seed, int64 `[2]`, of example `index` in `epoch` (integers or int64 scalars)."""
    return tf.stack([tf.cast(seed, tf.int64) + tf.cast(epoch, tf.int64) * np.int64(_SPREAD[0]),
                     tf.cast(index, tf.int64)])


class Draws:
    """The random numbers of one example, NumPy; `salt` (0..63) tells what is drawn apart.

    Args:
        seed: int `[2]`; the numbers are Philox's with it as key.
    """

    def __init__(self, seed: typing.Sequence[int]) -> None:
        self._key = np.asarray(seed, np.int64).view(np.uint64)
        self.numbers = self._generator(0).random(128, np.float32)  # two for each salt, in [0, 1)

    def _generator(self, salt):
        return np.random.Generator(np.random.Philox(key=self._key, counter=salt << 64))

    def uniform(self, salt: int, low: float = 0.0, high: float = 1.0) -> float:
        """Return a float, uniform in [low, high)."""
        return low + float(self.numbers[2 * salt]) * (high - low)

    def uniform_pair(self, salt: int, low: float = 0.0, high: float = 1.0) -> list[float]:
        """Return two floats, uniform in [low, high); the first is `uniform` of the same salt."""
        return [low + float(number) * (high - low) for number in self.numbers[2 * salt:2 * salt + 2]]

    def normal(self, salt: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return standard normal numbers, float32 of `shape`; `salt` from 1."""
        return self._generator(salt).standard_normal(shape, np.float32)


def uniform(seed: tf.Tensor, salt: int, shape: typing.Sequence) -> tf.Tensor:
    """Return numbers uniform in [0, 1) of a batch, float32 of `shape`, by its stateless `seed`, int `[2]`; a tensor."""
    offset = np.array([0, salt * _SPREAD[1] % (1 << 63)], np.int64)
    return tf.random.stateless_uniform(shape, tf.cast(seed, tf.int64) + offset, alg="philox")
