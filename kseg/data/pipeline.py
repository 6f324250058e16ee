"""From a dataset's name to batches: owns the order of the tf.data steps.

epoch → order of the examples → shard → read (decoded cache), cut and augment or resize → batch → mix → prefetch,
with tf.data's autotuning off (`parallelism` says why).

Example `index` of epoch `epoch` is augmented with a seed made of (seed, epoch, index), and the order is a stateless
shuffle of (seed, epoch): an epoch is a pure function of these numbers, whatever ran before and on how many threads.
"""

import itertools
import os
import secrets

import numpy as np
import tensorflow as tf

from kseg import checks
from kseg.data import augment as augmentation
from kseg.data import borders, geometry, sources
from kseg.data.draws import Draws
from kseg.data.draws import key as example_key
from kseg.data.identity import cache_folder
from kseg.data.parallelism import PREFETCHED_BATCHES, parallel_calls, untuned
from kseg.data.python_calls import numpy_function
from kseg.data.reader import AUTOMATIC_CACHE_BYTES, Reader, first_size


def load(name, split=None, *, data_dir=None, image_size=None, batch_size=8, augment=False, seed=None, shuffle=None,
         cache=None, cache_size=None, drop_remainder=None, on_error="raise", classes=None, channels=None,
         label_map=None, image_pattern=None, label_pattern=None, epoch=None, shard=None, patches=1,
         border_weights=None):
    """Return a dataset of batches (pixels, labels); one pass is one epoch, it never repeats, and `len` is known.

    Args:
        name: "shapes", "folder", "camvid", "voc2012", "cityscapes", "ade20k", "records" (what `write_records` wrote
            into `data_dir`), "tfds:NAME", or a source.
        split: "train", "validation" (a folder `val` counts), "test", or None ("train"; of a source: its own).
        data_dir: str or None, where the files are; "shapes" needs none.
        image_size: (height, width) in pixels of what comes out, or None for each image's own size, which a batch of
            more than one needs to be equal. Pixels are resized antialiased bilinear, labels to the nearest.
        batch_size: int, or None for single examples without a batch axis.
        augment: False, True ("default"), "deeplab", "pspnet", "unet", a `Recipe`, a dict of its fields, or a function
            `(pixels, labels, seed) -> (pixels, labels)`. Of a recipe's scales only those above 1 crop; at 1 the whole
            image fills `image_size`.
        seed: int or None (another one each run), of order and augmentation.
        shuffle: bool or None (True for "train").
        cache: None (decoded images in memory if they take less than 1 GiB), False, "memory", or the path of a folder,
            in which each source, split and size has a folder of its own; changed files or ids are decoded anew.
        cache_size: (height, width) to which pairs are resized before they are cached, or None for their own size.
        drop_remainder: bool or None: drop an incomplete last batch; None: if examples are shuffled and fill one.
        on_error: "raise", or "skip" to leave unreadable pairs out (logged with their count; `len` is then unknown);
            not for "tfds:".
        classes, channels, label_map, image_pattern, label_pattern: as `kseg.data.source`; not with a source.
        epoch: which epoch a pass gives. None: the first pass gives epoch 0, the next 1, …; an int: always this one; a
            function () → int: asked at the start of each pass, so that resumed training goes on with the same data.
        shard: None, or (index, count): every `count`-th example ("tfds:": image) from `index` on; with shuffling,
            shards are cut to equal length.
        patches: int, how often an epoch takes each image, each time augmented differently (patch sampling).
        border_weights: None, or a dict of arguments of `kseg.data.border_weights`: adds U-Net's weight map, float32
            `[B, H, W]`, as third element (Keras takes it as sample weight).
    Returns:
        `tf.data.Dataset` of pixels uint8 `[B, H, W, channels]` and labels int32 `[B, H, W]` (255 = ignore).
    Raises:
        ValueError: for an illegal argument, and if the first or a few other pairs are unreadable or hold illegal ids;
            in a pass, `tf.errors.InvalidArgumentError` with the same sentence.
        FileNotFoundError: if files are missing.
    """
    size = None if image_size is None else checks.image_size(image_size)
    cache_size = None if cache_size is None else checks.image_size(cache_size)
    source = sources.opened(name, split, channels, size, data_dir=data_dir, classes=classes, label_map=label_map,
                            image_pattern=image_pattern, label_pattern=label_pattern)
    checks.one_of("on_error", on_error, ("raise", "skip"))
    shuffle = source.split == "train" if shuffle is None else bool(shuffle)
    plan = augment if callable(augment) else augmentation.recipe(augment)
    seed = secrets.randbelow(1 << 31) if seed is None else checks.positive_integer(
        "seed", seed, "Pass a whole number from 0.", minimum=0)
    checks.positive_integer("patches", patches)
    if batch_size is not None:
        checks.positive_integer("batch_size", batch_size)
    if hasattr(source, "stream"):  # cut to shards by image, so that each reads its own only
        checks.one_of("on_error", on_error, ("raise",), "A stream leaves no example out: prepare the set without the "
                      "broken ones.", f" for {source.name!r}")
        count = len(_shard(np.arange(len(source)), shard, shuffle)) * patches
        examples = _shaped(_streamed(source, count, seed, epoch, shuffle, cache, cache_size, shard, patches), plan,
                           size, seed)
    else:
        indices = _shard(np.arange(len(source) * patches), shard, shuffle)
        count = len(indices)
        if on_error == "raise":
            sources.probe(source)
        expected = None
        if size is None and batch_size not in (1, None):
            expected = cache_size or first_size(source, on_error)
        examples = _ordered(indices, seed, epoch, shuffle)
        reader = Reader(source, cache, on_error, expected, cache_size)
        if callable(plan) or (plan is None and size is None):
            examples = _shaped(_read(examples, reader, patches), plan, size, seed)
        else:
            examples = _cut(examples, reader, patches, plan or augmentation.Recipe(), size, seed)
    if drop_remainder is None:
        drop_remainder = shuffle and batch_size is not None and count >= batch_size
    return _batched(examples, plan, seed, batch_size, drop_remainder, border_weights)


def _shard(indices, shard, equal):
    if shard is None:
        return indices
    if not isinstance(shard, (tuple, list)) or len(shard) != 2 or not 0 <= shard[0] < shard[1]:
        raise ValueError(checks.sentence("shard", "must be (index, count) with 0 <= index < count", shard,
                                         "Write for example shard=(0, 2) and shard=(1, 2)."))
    index, count = shard
    most = len(indices) // count * count if equal else len(indices)
    return indices[:most][index::count]


def _ordered(indices, seed, epoch, shuffle):
    """Return a dataset of (index, epoch), int64 scalars, whose order depends on (seed, epoch) alone."""
    def order(number):
        chosen = tf.constant(indices, tf.int64)
        if shuffle:
            chosen = tf.random.experimental.stateless_shuffle(chosen, seed=tf.stack([np.int64(seed), number]))
        return tf.data.Dataset.from_tensor_slices(chosen).map(lambda index: (index, number))

    return _epoch(epoch).flat_map(order).apply(tf.data.experimental.assert_cardinality(len(indices)))


def _epoch(epoch):
    """Return a dataset of one number, int64: the epoch of the pass that is starting."""
    counter = itertools.count()

    def number():
        return np.int64(next(counter) if epoch is None else epoch() if callable(epoch) else epoch)

    return tf.data.Dataset.range(1).map(
        lambda _: tf.ensure_shape(numpy_function(number, [], tf.int64, stateful=True), []))


def _streamed(source, count, seed, epoch, shuffle, cache, cache_size, shard, patches):
    """Return a dataset of (pixels, labels, index, epoch) of a source that has a stored order only.

    Shuffled in a buffer of up to 1024 examples, seeded by (seed, epoch). `count` is of examples, `patches` an image.
    """
    images = count // patches
    stream = source.stream()
    if shard is not None:
        stream = stream.shard(shard[1], shard[0]).take(images)  # not after the cache, which is kept if read to its end
    if cache_size is not None:
        def reduced(pixels, labels, index):
            pixels, labels = geometry.resize(pixels, labels, cache_size)
            return pixels, tf.cast(labels, tf.uint8), index
        stream = stream.map(reduced, num_parallel_calls=parallel_calls(), deterministic=True)
    if cache is not False:
        pixels, labels, _ = next(iter(untuned(stream)))
        if cache is not None or (pixels.shape.num_elements() + labels.shape.num_elements()) * len(
                source) <= AUTOMATIC_CACHE_BYTES:
            stream = stream.cache("" if cache in (None, "memory") else os.path.join(
                cache_folder(cache, source, cache_size, shard), f"examples-{images}"))

    def order(number):
        examples = stream
        if patches > 1:
            examples = examples.flat_map(lambda pixels, labels, index: tf.data.Dataset.range(patches).map(
                lambda patch: (pixels, labels, index * patches + patch)))
        if shuffle:
            key = tf.random.stateless_uniform([], tf.stack([np.int64(seed), number]), maxval=1 << 30, dtype=tf.int64)
            # `shuffle` mixes in TensorFlow's global seed, of which the graph of this function has a copy; the number is
            # what it takes where none was set.
            tf.compat.v1.get_default_graph().seed = 87654321
            examples = examples.shuffle(min(count, 1024), seed=key, reshuffle_each_iteration=False)
        return examples.map(lambda pixels, labels, index: (pixels, labels, index, number))

    return _epoch(epoch).flat_map(order).apply(tf.data.experimental.assert_cardinality(count))


def _read(examples, reader, patches):
    """Return a dataset of (pixels, labels, index, epoch), whole as they are read."""
    def read(index, epoch):
        pixels, labels, good = numpy_function(reader.read, [index // patches], [tf.uint8, tf.uint8, tf.bool])
        pixels.set_shape([*(reader.expected_size or (None, None)), reader.source.channels])
        labels.set_shape(reader.expected_size or (None, None))
        return pixels, labels, index, epoch, tf.ensure_shape(good, [])

    return _good(examples.map(read, num_parallel_calls=parallel_calls(), deterministic=True), reader)


def _cut(examples, reader, patches, plan, size, seed):
    """Return a dataset of (pixels, labels, index, epoch) augmented by the `Recipe` `plan`.

    Reading and cutting are one call of Python: TensorFlow copies what is shown alone.
    """
    function = augmentation.cutter(plan, reader.source.channels)

    def read(index, key):
        pixels, labels, good = reader.read(index)
        return *function(pixels, labels, Draws(key), size or labels.shape), good

    def shaped(index, epoch):
        key = example_key(seed, epoch, index)
        pixels, labels, good = numpy_function(read, [index // patches, key], [tf.uint8, tf.uint8, tf.bool])
        sides = size or reader.expected_size or (None, None)
        pixels.set_shape([*sides, reader.source.channels])
        labels.set_shape(sides)
        return pixels, labels, index, epoch, tf.ensure_shape(good, [])

    return _good(examples.map(shaped, num_parallel_calls=parallel_calls(), deterministic=True), reader)


def _good(examples, reader):
    """Return a dataset of (pixels, labels, index, epoch) of those that could be read."""
    if reader.on_error == "skip":
        examples = examples.filter(lambda pixels, labels, index, epoch, good: good)
    return examples.map(lambda pixels, labels, index, epoch, good: (pixels, labels, index, epoch))


def _shaped(examples, plan, size, seed):
    """Return a dataset of (pixels, labels, index, epoch) at `size`, augmented by `plan`."""
    def shaped(pixels, labels, index, epoch):
        key = example_key(seed, epoch, index)
        if callable(plan):
            if size is not None:
                pixels, labels = geometry.resize(pixels, labels, size)
            pixels, labels = plan(pixels, tf.cast(labels, tf.int32), key)
        elif plan is not None:
            target = tuple(labels.shape) if labels.shape.is_fully_defined() else (tf.shape(labels)[0],
                                                                                  tf.shape(labels)[1])
            pixels, labels = augmentation.augment_example(pixels, labels, key, plan, size or target)
        elif size is not None:
            pixels, labels = geometry.resize(pixels, labels, size)
        return pixels, labels, index, epoch

    return examples.map(shaped, num_parallel_calls=parallel_calls(), deterministic=True)


def _batched(examples, plan, seed, batch_size, drop_remainder, border_weights):
    if batch_size is not None:
        examples = examples.batch(batch_size, drop_remainder=bool(drop_remainder))
    mix = getattr(plan, "mix", None) is not None and batch_size is not None

    def finish(pixels, labels, index, epoch):
        labels = tf.cast(labels, tf.int32)
        if mix:
            key = example_key(seed, epoch[0], index[0])
            pixels, labels = augmentation.augment_batch(pixels, labels, key, plan)
        if border_weights is None:
            return pixels, labels
        weights = numpy_function(lambda ids: borders.border_weights(ids, **border_weights), [labels], tf.float32)
        return pixels, labels, tf.ensure_shape(weights, labels.shape)

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return untuned(examples.map(finish).prefetch(PREFETCHED_BATCHES).with_options(options))
