"""kseg's augmentation in a pipeline of the user's: called like Albumentations, or on a `tf.data.Dataset`."""

import itertools
import secrets

import numpy as np
import tensorflow as tf

from kseg import checks
from kseg.data import augment as augmentation
from kseg.data import guards
from kseg.data.draws import Draws, key
from kseg.data.parallelism import numpy_function, parallel_calls

_IN_A_BATCH = 1 << 20  # examples of a batch are numbered from here on


class Augmentation:
    """A recipe as a callable: `augmentation(image=…, mask=…)`, and `dataset.apply(augmentation.on_dataset)`.

    What is done is what `kseg.data.load(augment=…)` does: labels to the nearest, uncovered pixels 255.

    Args:
        augment: True ("default"), "deeplab", "pspnet", "unet", a `kseg.data.Recipe` or a dict of its fields.
        image_size: (height, width) in pixels of what comes out, or None for the size of each image.
        seed: int or None. With a number, call n (from 0) after the object was made is always augmented alike; a copy
            in another process begins at 0 too, so give it `number` or a seed of its own. None draws anew each time.
    Raises:
        ValueError: if `augment` or `image_size` is illegal.
    """

    def __init__(self, augment: bool | str | dict | augmentation.Recipe = True,
                 image_size: tuple[int, int] | None = None, seed: int | None = None) -> None:
        self.recipe = augmentation.recipe(augment) or augmentation.Recipe()
        self.image_size = None if image_size is None else checks.image_size(image_size)
        self.seed = seed if seed is None else checks.positive_integer("seed", seed, "Pass a whole number from 0.",
                                                                      minimum=0)
        self._calls = itertools.count()

    def __call__(self, *, image: np.ndarray, mask: np.ndarray, number: int | None = None,
                 epoch: int = 0) -> dict[str, np.ndarray]:
        """Return one example augmented.

        Args:
            image: uint8 or float32, 0–255, `[H, W, channels]`, or grey `[H, W]`.
            mask: integers `[H, W]`, class ids, 255 = ignore.
            number: int or None (the count of calls so far), which example of the epoch it is: the same seed, epoch and
                number give the same result.
            epoch: int.
        Returns:
            dict of "image" and "mask" in `image_size`, of the same dtypes.
        Raises:
            ValueError, TypeError: if shapes or dtypes do not fit.
        """
        image, mask = np.asarray(image), np.asarray(mask)
        _check_example(image, mask)
        if self.recipe.mix is not None:
            raise ValueError(checks.sentence("mix", "must be None for single examples", self.recipe.mix,
                                             "Mixing takes a batch: use `on_dataset` on batches."))
        if image.dtype != np.uint8:
            guards.warn(self, guards.of_pixels([image], "image"))
        pixels = image[..., None] if image.ndim == 2 else image  # [H, W, channels]
        number = next(self._calls) if number is None else number
        seed = secrets.randbelow(1 << 31) if self.seed is None else self.seed
        pixels, ids = augmentation.cutter(self.recipe)(
            pixels, mask, Draws(key(seed, epoch, number).numpy()), self.image_size or mask.shape)
        return {"image": pixels[..., 0] if image.ndim == 2 else pixels, "mask": ids}

    def on_dataset(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Return a `tf.data.Dataset` of (pixels, labels) augmented; for `dataset.apply`.

        Pass n over the result is epoch n, and its examples are numbered as they come: with a seed every pass is
        reproducible, whatever the number of threads. Recipes that mix images need batches.

        Args:
            dataset: of pixels uint8 or float 0–255 `[H, W, channels]` and integer labels `[H, W]`, or of batches of
                them; labels may have a last axis of 1, which they keep.
        Returns:
            dataset of as many elements; pixels of the same dtype, labels int32.
        Raises:
            TypeError: if the elements are not such pairs.
        """
        pixels, labels = _check_elements(dataset.element_spec)
        seed = secrets.randbelow(1 << 31) if self.seed is None else self.seed
        epochs, trailing, batched = itertools.count(), labels.shape.rank == pixels.shape.rank, pixels.shape.rank == 4
        change = self._batch if batched else self._example

        def augmented(pair, number, epoch):
            image, ids = pair
            image, ids = change(image, ids[..., 0] if trailing else ids, key(seed, epoch, number))
            return image, ids[..., None] if trailing else ids

        numbers = tf.data.Dataset.range(1).map(
            lambda _: tf.ensure_shape(numpy_function(lambda: np.int64(next(epochs)), [], tf.int64, stateful=True), [])
        ).flat_map(lambda epoch: tf.data.Dataset.range(tf.int64.max).map(lambda number: (number, epoch))).apply(
            tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        return tf.data.Dataset.zip((dataset, numbers)).map(
            lambda pair, numbered: augmented(pair, *numbered), num_parallel_calls=parallel_calls(), deterministic=True)

    def _example(self, image, ids, seed):
        if self.recipe.mix is not None:
            raise ValueError(checks.sentence("mix", "must be None for single examples", self.recipe.mix,
                                             "Batch the dataset first."))
        return augmentation.augment_example(image, ids, seed, self.recipe, self.image_size or tf.shape(ids))

    def _batch(self, images, ids, seed):
        cut = augmentation.cutter(self.recipe)

        def run(pixels, labels, first):
            results = [cut(one, own, Draws((first[0], first[1] * _IN_A_BATCH + place)), self.image_size or own.shape)
                       for place, (one, own) in enumerate(zip(pixels, labels))]
            return np.stack([one for one, _ in results]), np.stack([own for _, own in results]).astype(np.int32)

        sides = self.image_size or ids.shape[1:3]
        pixels, labels = numpy_function(run, [images, ids, seed], [images.dtype, tf.int32])
        pixels = tf.ensure_shape(pixels, [images.shape[0], *sides, images.shape[-1]])
        labels = tf.ensure_shape(labels, [ids.shape[0], *sides])
        return augmentation.augment_batch(pixels, labels, seed, self.recipe)


def _check_example(image, mask):
    if image.dtype not in (np.uint8, np.float32) or image.ndim not in (2, 3):
        raise TypeError(checks.sentence("image", "must be uint8 or float32 [H, W, channels] or [H, W]",
                                        (str(image.dtype), image.shape), "Convert it first."))
    if mask.dtype.kind not in "ui" or mask.dtype == np.int8 or mask.shape != image.shape[:2]:
        raise TypeError(checks.sentence("mask", f"must be integer class ids {image.shape[:2]}, which hold 255",
                                        (str(mask.dtype), mask.shape), "Convert it, for example with astype('uint8')."))


def _check_elements(spec):
    """Return the specs of pixels and labels of a dataset's elements."""
    pair = isinstance(spec, tuple) and len(spec) == 2 and all(isinstance(one, tf.TensorSpec) for one in spec)
    if pair and spec[0].shape.rank in (3, 4) and spec[1].dtype.is_integer and (
            spec[1].shape.rank == spec[0].shape.rank - 1
            or (spec[1].shape.rank == spec[0].shape.rank and spec[1].shape[-1] == 1)):
        return spec
    raise TypeError(checks.sentence(
        "dataset", "must give pairs of pixels [(B,) H, W, channels] and integer labels [(B,) H, W]", spec,
        "Map it to such pairs first."))
