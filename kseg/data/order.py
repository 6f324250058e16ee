"""Which examples a pass gives and in which order: a pure function of (seed, epoch), whatever ran before."""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kseg import checks
from kseg.data.parallelism import numpy_function

_SHUFFLE_BUFFER = 1024
_NO_GLOBAL_SEED = 87654321  # what TensorFlow pairs with an operation's own seed where no global one is set


def check_share(name: str, value: tuple[int, int]) -> None:
    """Raise unless the argument `name` is the share of one of several readers."""
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not 0 <= value[0] < value[1]:
        raise ValueError(checks.sentence(name, "must be (index, count) with 0 <= index < count", value,
                                         f"Write for example {name}=(0, 2) and {name}=(1, 2)."))


@dataclasses.dataclass(frozen=True)
class Order:
    """The order of a dataset's examples; fields as `kseg.data.load`, an illegal `shard` or `patches` raises."""

    images: int  # of the whole dataset
    seed: int
    shuffle: bool
    epoch: int | Callable[[], int] | None = None
    shard: tuple[int, int] | None = None
    patches: int = 1

    def __post_init__(self) -> None:
        checks.positive_integer("patches", self.patches)
        if self.shard is not None:
            check_share("shard", self.shard)

    def _of_shard(self, count):
        """Return which of the numbers below `count` are the shard's, int64, in rising order."""
        index, shards = self.shard or (0, 1)
        return np.arange(count // shards * shards if self.shuffle else count)[index::shards]

    @property
    def streamed_images(self) -> int:
        """How many images of a stream the shard takes: it is cut by image, so that each reads its own only."""
        return len(self._of_shard(self.images))

    def of_numbers(self) -> tf.data.Dataset:
        """Return a dataset of (number, epoch), int64 scalars; image `number // patches` is read."""
        numbers = self._of_shard(self.images * self.patches)

        def ordered(epoch):
            chosen = tf.constant(numbers, tf.int64)
            if self.shuffle:
                chosen = tf.random.experimental.stateless_shuffle(chosen, tf.stack([np.int64(self.seed), epoch]))
            return tf.data.Dataset.from_tensor_slices(chosen).map(lambda number: (number, epoch))

        return self._over_epochs(ordered, len(numbers))

    def of_stream(self, images: tf.data.Dataset) -> tf.data.Dataset:
        """Return a dataset of (pixels, labels, index, epoch) of the shard's images, slow in any but their stored order.

        Up to 1024 examples of (pixels, labels, index) are shuffled in a buffer.
        """
        count = self.streamed_images * self.patches

        def ordered(epoch):
            examples = images
            if self.patches > 1:
                examples = examples.flat_map(lambda pixels, labels, index: tf.data.Dataset.range(self.patches).map(
                    lambda patch: (pixels, labels, index * self.patches + patch)))
            if self.shuffle:
                seed = tf.random.stateless_uniform([], tf.stack([np.int64(self.seed), epoch]), maxval=1 << 30,
                                                   dtype=tf.int64)
                examples = _shuffled(examples, min(count, _SHUFFLE_BUFFER), seed)
            return examples.map(lambda pixels, labels, index: (pixels, labels, index, epoch))

        return self._over_epochs(ordered, count)

    def _over_epochs(self, ordered, count):
        """Return `ordered(epoch)` for the epoch of each pass, asked when it starts."""
        counter = itertools.count()

        def epoch():
            return np.int64(next(counter) if self.epoch is None else self.epoch() if callable(self.epoch)
                            else self.epoch)

        return tf.data.Dataset.range(1).map(
            lambda _: tf.ensure_shape(numpy_function(epoch, [], tf.int64, stateful=True), [])
        ).flat_map(ordered).apply(tf.data.experimental.assert_cardinality(count))


def dealt(numbers: tf.data.Dataset, batch_size: int, share: tuple[int, int], even: bool) -> tf.data.Dataset:
    """Return those of `numbers` (of known cardinality) that are in every `count`-th batch from `index` on.

    Args:
        share: (index, count).
        even: whether each share has the same number of batches, all of them full.
    """
    index, count = share
    if even:
        numbers = numbers.take(len(numbers) // (batch_size * count) * batch_size * count)
    total = len(numbers)
    whole, rest = divmod(total, batch_size)
    size = batch_size * len(range(index, whole, count)) + (rest if whole % count == index else 0)
    return numbers.batch(batch_size).shard(count, index).unbatch().apply(tf.data.experimental.assert_cardinality(size))


def _shuffled(dataset, size, seed):
    """Return `dataset.shuffle(size, seed)` by the seed alone: the method mixes in TensorFlow's global seed."""
    specs = tf.nest.flatten(dataset.element_spec)
    shuffled = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(dataset), buffer_size=size, seed=_NO_GLOBAL_SEED, seed2=seed,
        output_types=[spec.dtype for spec in specs], output_shapes=[spec.shape for spec in specs],
        reshuffle_each_iteration=False)
    return tf.data.experimental.from_variant(shuffled, dataset.element_spec)
