"""What `keras.Model` is given in place of what was passed to `compile`, `fit`, `evaluate` and `predict` of a model."""

import inspect
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kseg import replicas


def without_pauses(method: Callable, arguments: tuple, options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a method of `keras.Model` by name, each `tf.data.Dataset` with its autotuning off.

    Nor is a dataset to be shuffled, which is what `fit` asks for by default and then warns of.
    """
    import tensorflow as tf  # its datasets feed every backend

    from kseg.data.parallelism import untuned

    signature = inspect.signature(method)
    given = signature.bind(*arguments, **options).arguments
    if isinstance(given.get("x"), tf.data.Dataset) and "shuffle" in signature.parameters:
        given.setdefault("shuffle", False)
    for name in ("x", "validation_data"):
        if isinstance(given.get(name), tf.data.Dataset):
            given[name] = untuned(given[name])
    return given


def looked_at(given: dict[str, Any], owner: keras.Model) -> dict[str, Any]:
    """Return the arguments of `fit` or `predict` by name so that `owner` warns of first images that look wrong."""
    from kseg.models.first_images import FirstImages  # loads TensorFlow

    callbacks = given.get("callbacks")
    if isinstance(callbacks, keras.callbacks.CallbackList):  # made for one model and one run, and not ours to change
        return given
    seen = FirstImages(owner)
    return {**given, "x": seen.watched(given.get("x"), given.get("y")),
            "callbacks": [*(callbacks if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks else []),
                          seen]}


@keras.saving.register_keras_serializable(package="kseg")
class LossScaleOptimizer(keras.optimizers.LossScaleOptimizer):
    """`keras.optimizers.LossScaleOptimizer` that leaves a step out if the gradients of any replica are not finite.

    Keras asks the first replica alone, and what overflows in another one then makes every weight NaN.
    """

    def check_finite(self, grads: Any) -> Any:
        """Return whether all gradients of all replicas are finite, a bool scalar."""
        finite, = replicas.summed([ops.cast(super().check_finite(grads), "int32")])
        return ops.equal(finite, replicas.count())


def scaled_loss(optimizer: Any, model: keras.Model) -> keras.optimizers.Optimizer | None:
    """Return the optimiser, in a `LossScaleOptimizer` if `model` has layers that compute in float16.

    Keras wraps it in `compile` too, but does not save that it did, and then cannot load the optimiser's state.
    """
    optimizer = keras.optimizers.get(optimizer)
    half = any(layer.dtype_policy.name == "mixed_float16" for layer in model.layers)
    wrap = half and optimizer is not None and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return LossScaleOptimizer(optimizer) if wrap else optimizer
