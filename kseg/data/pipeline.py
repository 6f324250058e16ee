"""From a dataset's name to batches: owns the order of the tf.data steps.

epoch → shard → order of the examples → share of the batches → read (decoded cache), cut and augment or resize → batch
→ mix → prefetch, with tf.data's autotuning off (`parallelism` says why).

Example `index` of epoch `epoch` is augmented with a seed made of (seed, epoch, index), and the order is a stateless
shuffle of (seed, epoch): an epoch is a pure function of these numbers, whatever ran before and on how many threads.
"""

import os
import secrets
import typing
from collections.abc import Callable, Sequence

import tensorflow as tf

from kseg import checks
from kseg.data import adapters, borders, geometry, sources
from kseg.data import augment as augmentation
from kseg.data.draws import Draws
from kseg.data.draws import key as example_key
from kseg.data.label_ids import Classes, Key
from kseg.data.order import Order, check_share, dealt
from kseg.data.parallelism import PREFETCHED_BATCHES, numpy_function, parallel_calls, untuned
from kseg.data.pixel_range import PixelRange
from kseg.data.reader import Reader, kept_stream


def load(name: str | sources.Source, split: str | None = None, *, data_dir: str | None = None,
         image_size: tuple[int, int] | None = None, batch_size: int | None = 8,
         augment: bool | str | dict | augmentation.Recipe | Callable = False, seed: int | None = None,
         shuffle: bool | None = None, cache: bool | str | os.PathLike | None = None,
         cache_size: tuple[int, int] | None = None, drop_remainder: bool | None = None, on_error: str = "raise",
         classes: Classes | None = None, channels: int | None = None,
         label_map: dict[Key, int] | None = None, nearest_colour: float | None = None,
         image_pattern: str | None = None, label_pattern: str | None = None,
         split_fractions: Sequence[float] | None = None, split_groups: str | None = None, split_seed: int | None = None,
         split_lists: str | dict[str, str] | None = None, exif: str | None = None,
         annotations: str | os.PathLike | None = None, overlap: str | None = None, task: str | None = None,
         epoch: int | Callable[[], int] | None = None, shard: tuple[int, int] | None = None, patches: int = 1,
         batch_share: tuple[int, int] | None = None, border_weights: dict | None = None,
         pixel_range: PixelRange | Sequence | str | None = None) -> tf.data.Dataset:
    """Return a dataset of batches (pixels, labels); one pass is one epoch, it never repeats, and `len` is known.

    Args:
        name: "shapes", "folder", "camvid", "voc2012", "cityscapes", "ade20k", what annotation tools write ("coco",
            "coco_panoptic", "yolo", "labelme", "cvat", "cvat_masks", "label_studio", "supervisely"), "nifti",
            "records" (what `write_records` wrote into `data_dir`), "tfds:NAME", or a `kseg.data.Source`.
        split: "train", "validation" (a folder `val` counts), "test", or None ("train"; of a source: its own).
        data_dir: str or None, where the files are; "shapes" needs none.
        image_size: (height, width) in pixels of what comes out, or None for each image's own size, which a batch of
            more than one needs to be equal. Pixels are resized antialiased bilinear, labels to the nearest.
        batch_size: int, or None for single examples without a batch axis.
        augment: False, True ("default"), "deeplab", "pspnet", "unet", a `Recipe`, a dict of its fields, an
            Albumentations transform, a KerasCV layer, or a function `(pixels, labels, seed) -> (pixels, labels)`. Of a
            recipe's scales only those above 1 crop; at 1 the whole image fills `image_size`. Objects of others and
            functions get each example at `image_size`, if that is given. An Albumentations transform is seeded for each
            example, so that passes are reproducible; what it uncovers is class 0 unless its `fill_mask` is 255. A
            KerasCV layer draws from a state that parallel examples share, hence otherwise each time; what it uncovers
            becomes 255, and its `segmentation_classes`, where it has them, are one more than the classes.
        seed: int or None (another one each run), of order and augmentation.
        shuffle: bool or None (True for "train").
        cache: None (decoded images in memory if they take less than 1 GiB), False, "memory", or the path of a folder,
            in which each source, split and size has a folder of its own; changed files or ids are decoded anew.
        cache_size: (height, width) to which pairs are resized before they are cached, or None for their own size.
        drop_remainder: bool or None: drop an incomplete last batch; None: if examples are shuffled and fill one.
        on_error: "raise", or "skip" to leave unreadable pairs out (logged with their count; `len` is then unknown);
            not for "tfds:".
        classes, channels, label_map, nearest_colour, image_pattern, label_pattern, split_fractions, split_groups,
            split_seed, split_lists, exif, annotations, overlap, task, pixel_range: as `kseg.data.source`; not with a
            source.
        epoch: which epoch a pass gives. None: the first pass gives epoch 0, the next 1, …; an int: always this one; a
            function () → int: asked at the start of each pass, so that resumed training goes on with the same data.
        shard: None, or (index, count): every `count`-th example ("tfds:": image) from `index` on; with shuffling,
            shards are cut to equal length.
        batch_share: None, or (index, count): of the batches those that are dealt to one of `count` processes in turn,
            which alone reads them. Together they see the batches of one process, with shuffling an equal number each.
            A stream ("tfds:") is dealt image by image instead, as by `shard`.
        patches: int, how often an epoch takes each image, each time augmented differently (patch sampling).
        border_weights: None, or a dict of arguments of `kseg.data.border_weights`: adds U-Net's weight map, float32
            `[B, H, W]`, as third element (Keras takes it as sample weight).
    Returns:
        `tf.data.Dataset` of pixels 0–255 `[B, H, W, channels]`, uint8, or float32 with a `pixel_range`, and labels
        int32 `[B, H, W]` (255 = ignore), for task="multilabel" `[B, H, W, classes]`.
    Raises:
        ValueError: for an illegal argument, and if the first or a few other pairs are unreadable or hold illegal ids;
            in a pass, `tf.errors.InvalidArgumentError` with the same sentence.
        FileNotFoundError: if files are missing.
    """
    size = None if image_size is None else checks.image_size(image_size)
    cache_size = None if cache_size is None else checks.image_size(cache_size)
    source = sources.opened(name, split, channels=channels, image_size=size, data_dir=data_dir, classes=classes,
                            label_map=label_map, nearest_colour=nearest_colour, image_pattern=image_pattern,
                            label_pattern=label_pattern, split_fractions=split_fractions, split_groups=split_groups,
                            split_seed=split_seed, split_lists=split_lists, exif=exif,
                            annotations=annotations, overlap=overlap, task=task, pixel_range=pixel_range)
    if source.label_axes and border_weights is not None:
        raise ValueError(checks.sentence("border_weights", f"must be None for task={source.task!r}", border_weights,
                                         "Weights between cells are of labels with one class per pixel."))
    function, recipe = ((adapters.function_of(augment, source.task), None) if callable(augment)
                        else (None, augmentation.recipe(augment)))
    seed = secrets.randbelow(1 << 31) if seed is None else checks.positive_integer(
        "seed", seed, "Pass a whole number from 0.", minimum=0)
    shuffle = source.split == "train" if shuffle is None else bool(shuffle)
    stream = source.stream()
    order = Order(len(source), seed, shuffle, epoch, shard if stream is None else shard or batch_share, patches)
    if batch_share is not None:
        check_share("batch_share", batch_share)
    if batch_size is not None or batch_share is not None:
        checks.positive_integer("batch_size", batch_size)
    steps = _Steps(seed, size, recipe, function)
    if stream is None:
        if on_error == "raise":
            source.probe()
        reader = Reader(source, cache, on_error, one_size=size is None and batch_size not in (1, None),
                        cache_size=cache_size)
        ordered = order.of_numbers()
        if batch_share is not None:
            ordered = dealt(ordered, batch_size, batch_share, even=shuffle)
        examples = _read(ordered, reader, steps, patches)
    else:
        checks.one_of("on_error", on_error, ("raise",), "A stream leaves no example out: prepare the set without the "
                      "broken ones.", f" for {source.name!r}")
        ordered = order.of_stream(kept_stream(stream, source, order, cache, cache_size))
        examples = _shaped(ordered, steps)
    if drop_remainder is None:
        drop_remainder = shuffle and batch_size is not None and int(ordered.cardinality()) >= batch_size
    return _batched(examples, steps, batch_size, drop_remainder, border_weights)


class _Steps(typing.NamedTuple):
    """What is done to each example."""

    seed: int
    size: tuple[int, int] | None
    recipe: augmentation.Recipe | None
    function: Callable | None  # the user's own augmentation, instead of a recipe


def _read(numbers, reader, steps, patches):
    """Return a dataset of (pixels, labels, index, epoch) of a source that is read by number.

    `numbers` are (number, epoch), `patches` for each image. Reading and cutting are one call of Python: TensorFlow
    copies what is shown alone. A function of the user's gets whole pairs.
    """
    whole = steps.function is not None or (steps.recipe is None and steps.size is None)
    cut = augmentation.cutter(steps.recipe or augmentation.Recipe())
    sides = (None if whole else steps.size) or reader.expected_size or (None, None)

    def read(index, key):
        pixels, labels, good = reader.read(index)
        if not whole:
            pixels, labels = cut(pixels, labels, Draws(key), steps.size or labels.shape[:2])
        return pixels, labels, good

    def example(number, epoch):
        pixels, labels, good = numpy_function(
            read, [number // patches, example_key(steps.seed, epoch, number)],
            [tf.as_dtype(reader.source.pixel_dtype), tf.uint8, tf.bool])
        pixels.set_shape([*sides, reader.source.channels])
        labels.set_shape([*sides, *reader.source.label_axes])
        return (pixels, labels, number, epoch), tf.ensure_shape(good, [])

    examples = numbers.map(example, num_parallel_calls=parallel_calls(), deterministic=True)
    if reader.on_error == "skip":
        examples = examples.filter(lambda values, good: good)
    examples = examples.map(lambda values, good: values)
    return _shaped(examples, steps) if whole else examples


def _shaped(examples, steps):
    """Return a dataset of (pixels, labels, index, epoch) of whole pairs resized and augmented."""
    if steps.function is None and steps.recipe is None and steps.size is None:
        return examples

    def shaped(pixels, labels, index, epoch):
        key = example_key(steps.seed, epoch, index)
        if steps.recipe is not None:
            pixels, labels = augmentation.augment_example(pixels, labels, key, steps.recipe,
                                                          steps.size or tf.shape(labels)[:2])
        elif steps.size is not None:
            pixels, labels = geometry.resize(pixels, labels, steps.size)
        if steps.function is not None:
            pixels, labels = steps.function(pixels, tf.cast(labels, tf.int32), key)
        return pixels, labels, index, epoch

    return examples.map(shaped, num_parallel_calls=parallel_calls(), deterministic=True)


def _batched(examples, steps, batch_size, drop_remainder, border_weights):
    """Return the dataset that users get, in batches unless `batch_size` is None."""
    if batch_size is not None:
        examples = examples.batch(batch_size, drop_remainder=bool(drop_remainder))
    mixes = batch_size is not None and steps.recipe is not None and steps.recipe.mix is not None

    def finish(pixels, labels, index, epoch):
        labels = tf.cast(labels, tf.int32)
        if mixes:
            key = example_key(steps.seed, epoch[0], index[0])
            pixels, labels = augmentation.augment_batch(pixels, labels, key, steps.recipe)
        if border_weights is None:
            return pixels, labels
        weights = numpy_function(lambda ids: borders.border_weights(ids, **border_weights), [labels], tf.float32)
        return pixels, labels, tf.ensure_shape(weights, labels.shape)

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return untuned(examples.map(finish).prefetch(PREFETCHED_BATCHES).with_options(options))
