"""Augmentation of other libraries as `augment` of `kseg.data.load`: Albumentations and KerasCV.

An adapter makes of such an object a function of tensors (pixels, labels, seed) → (pixels, labels), of one example.
"""

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kseg import checks, tasks
from kseg.data import guards
from kseg.data.own_pipeline import Augmentation
from kseg.data.parallelism import numpy_function
from kseg.labels import IGNORE_CLASS


def function_of(augment: Callable, task: str = "multiclass") -> Callable:
    """Return a callable argument `augment` as a function (pixels, labels, seed) → (pixels, labels).

    Raises:
        TypeError: if it is a layer of Keras itself, an `Augmentation` of kseg, which is for one's own pipelines, or
            a transform of an Albumentations without `set_random_seed`.
        ValueError: if it is of another library and labels have an axis of classes.
    """
    if isinstance(augment, Augmentation):
        raise TypeError(checks.sentence(
            "augment", "must be a recipe, a function or an object of another library, not a kseg.data.Augmentation",
            type(augment).__name__, "Pass the recipe that it holds: augment=augmentation.recipe."))
    packages = {kind.__module__.partition(".")[0] for kind in type(augment).__mro__}
    adapter = next((adapter for package, adapter in _ADAPTERS.items() if package in packages), None)
    if adapter is None:
        return augment
    if tasks.of(task).stacked:
        raise ValueError(checks.sentence(
            "augment", f"must be a recipe of kseg or a function for task={task!r}, whose labels are "
            "[H, W, classes]", type(augment).__name__, 'Write for example augment="default".'))
    return adapter(augment)


def _of_albumentations(transform: Any) -> Callable:
    """Return a function that calls an Albumentations transform with `image=` and `mask=`, seeded for each example.

    Each thread has a copy of its own, seeded before every call, so that a pass depends on the seeds alone.
    """
    if not hasattr(transform, "set_random_seed"):
        raise TypeError(checks.sentence("augment", "must be a transform that has `set_random_seed`",
                                        type(transform).__name__, "Install albumentations 2 or newer."))
    own = threading.local()

    def run(image, ids, seed):
        if not hasattr(own, "transform"):
            own.transform = copy.deepcopy(transform)
        own.transform.set_random_seed(int(np.random.SeedSequence(seed.view(np.uint64).tolist()).generate_state(1)[0]))
        result = own.transform(image=image, mask=ids)
        return _checked(transform, image, ids, result["image"], result["mask"])

    def function(pixels, labels, seed):
        image, ids = numpy_function(run, [pixels, tf.cast(labels, tf.uint8), seed], [pixels.dtype, tf.int32])
        image.set_shape([None, None, pixels.shape[-1]])
        ids.set_shape([None, None])
        return image, ids

    return function


def _checked(transform, image, ids, new_image, new_ids):
    """Return what a transform made of an example; raise or warn where a model could not be trained with it."""
    name = type(transform).__name__
    if not isinstance(new_image, np.ndarray) or new_image.dtype != image.dtype or new_image.ndim != 3:
        found = type(new_image).__name__, str(getattr(new_image, "dtype", None))
        raise ValueError(checks.sentence(
            "augment", f"must return pixels as it gets them, {image.dtype} [H, W, channels]; {name} does not", found,
            "Leave Normalize, ToFloat and ToTensorV2 out: the model normalises by itself."))
    present, now = (np.bincount(part.ravel(), minlength=256)[:256] > 0 for part in (ids, new_ids.astype(np.uint8)))
    new = np.flatnonzero(now & ~present)
    new = new[new != IGNORE_CLASS].tolist()
    if new == [0]:
        guards.warn(transform, {"uncovered": checks.sentence(
            "augment", f"should not make new ids, and {name} labels pixels 0 in an image that has no class 0", new,
            f"If it paints what it uncovers, pass it fill_mask={IGNORE_CLASS}, so that this is ignored.")})
    elif new:
        raise ValueError(checks.sentence(
            "augment", f"must not make new ids; {name} made some that the image did not have", new[:8],
            "Set its interpolation of masks to nearest neighbour, and fill_mask to 255."))
    return new_image, new_ids.astype(np.int32)


def _of_keras_cv(layer: Any) -> Callable:
    """Return a function that calls a KerasCV layer with `images` and `segmentation_masks`.

    KerasCV paints the labels of what it uncovers 0. So ids are given to it plus 1, and 0 for ignored pixels, and what
    comes back 0 is ignored. The layer draws its own random numbers, from a state that parallel examples share.
    """
    def function(pixels, labels, seed):
        del seed
        ids = tf.where(labels == IGNORE_CLASS, 0, labels + 1)
        given = {"images": tf.cast(pixels, tf.float32), "segmentation_masks": tf.cast(ids, tf.float32)[..., None]}
        result = layer(given)
        image, ids = result["images"], tf.cast(tf.round(result["segmentation_masks"][..., 0]), tf.int32)  # [H, W]
        image.set_shape([None, None, pixels.shape[-1]])
        if pixels.dtype.is_integer:
            image = tf.clip_by_value(tf.round(image), 0, 255)
        return tf.cast(image, pixels.dtype), tf.where(ids == 0, IGNORE_CLASS, ids - 1)

    return function


def _of_keras(layer):
    raise TypeError(checks.sentence(
        "augment", "must not be a layer of Keras, which paints the labels of what it uncovers as class 0",
        type(layer).__name__, "Take a recipe of kseg, or the layer of the same name in keras_cv.layers."))


_ADAPTERS = {"albumentations": _of_albumentations, "keras_cv": _of_keras_cv, "keras": _of_keras}  # by package, in order
