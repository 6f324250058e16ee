"""What the replicas of a model share that train together, each on its part of the batch: the strategies of TensorFlow.

Keras adds up the gradients of the replicas. So a loss that is a share of the whole batch is computed from sums over all
replicas, and each replica takes its part of it: then the sum of the gradients is the gradient of the whole batch's
loss, however unevenly its pixels are spread. Elsewhere there is one replica: JAX runs one program over all devices, in
which every sum is one of the whole batch.
"""

from collections.abc import Sequence

import keras

from kseg.types import Tensor


def count() -> int:
    """Return how many replicas train together in the strategy in whose scope this is called."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def summed(values: Sequence[Tensor]) -> list[Tensor]:
    """Return each of `values`, of a shape that all replicas share, summed over the replicas; it has a gradient."""
    context = _context()
    if context is None:
        return list(values)
    import tensorflow as tf

    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(values))


def joined(values: Tensor) -> Tensor:
    """Return the values `[B, ...]` of all replicas, `[sum of their B, ...]`, in order; it has a gradient."""
    context = _context()
    if context is None:
        return values
    import tensorflow as tf

    return tf.ensure_shape(context.all_gather(values, axis=0), (None, *values.shape[1:]))


def _context():
    """Return what replicas talk through, or None where one is alone, or none is running (a strategy's scope)."""
    if count() == 1:
        return None
    import tensorflow as tf

    return tf.distribute.get_replica_context()
