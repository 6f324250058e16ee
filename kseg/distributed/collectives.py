"""Sums over the processes of a training, by TensorFlow's collective operations.

`MultiWorkerMirroredStrategy` connects the processes and is not used further. Keras 3's `fit` cannot run in it: batches
come as `PerReplica` values, which Keras takes for tensors (keras issue 20585; seen again with Keras 3.15: "Attempt to
convert a value (PerReplica…) with an unsupported type"). `strategy.run` within a `train_step` of our own would mean a
second training loop, and Keras on JAX another backend with other random numbers than those of one process. A collective
operation needs neither: it is one line in the step that Keras traces anyway. With it, two processes gave the weights of
one to float rounding (`tests/distributed/test_train.py`).

All processes must call the same sums in the same order; each kind of sum has its key by the order of first use.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_GROUP = 1_000_003  # far from those that TensorFlow's strategies number from 1


class Collectives:
    """The processes of a training, connected; made before TensorFlow computes anything in the process.

    Args:
        addresses: "host:port" of every process, a free port of its machine.
        index: int, which of them this process is.
    Attributes:
        index, count: int, which process this is, of how many.
    """

    def __init__(self, addresses: Sequence[str], index: int) -> None:
        self.index, self.count = index, len(addresses)
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(addresses)}), task_type="worker", task_id=index)
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)  # connects, and returns when all have
        self._keys: dict[tuple, int] = {}

    def sum(self, values: tf.Tensor, purpose: str) -> tf.Tensor:
        """Return the sum of `values` over all processes, the same bits for each; `purpose` tells sums apart."""
        kind = (purpose, values.dtype.name, tuple(values.shape))
        key = self._keys.setdefault(kind, len(self._keys) + 1)
        return tf.raw_ops.CollectiveReduceV2(
            input=values, group_size=self.count, group_key=_GROUP, instance_key=_GROUP + key, ordering_token=[],
            merge_op="Add", final_op="Id", communication_hint="auto")

    def sum_together(self, tensors: Sequence[tf.Tensor], purpose: str) -> list[tf.Tensor]:
        """Return the sums of `tensors` over all processes as float32, in one exchange."""
        flat = tf.concat([tf.reshape(tf.cast(one, tf.float32), [-1]) for one in tensors], axis=0)
        sizes = [int(np.prod(one.shape)) for one in tensors]
        return [tf.reshape(part, one.shape) for part, one in
                zip(tf.split(self.sum(flat, purpose), sizes), tensors, strict=True)]

    def everyones(self, number: int, purpose: str) -> list[int]:
        """Return the `number` of each process, below 2^62."""
        mine = np.zeros(self.count, np.int64)
        mine[self.index] = number
        return self.sum(tf.constant(mine), purpose).numpy().tolist()
