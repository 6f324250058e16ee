"""Batch normalisation whose TensorFlow training path is the fused kernel."""

import math
from typing import Any

import keras
from keras import ops

from kseg import replicas
from kseg.layers import cpu_gradients
from kseg.types import Tensor


@keras.saving.register_keras_serializable(package="kseg")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` in value and gradient, computed by TensorFlow's fused kernel.

    Keras composes the training pass from about 2,200 element-wise operations in a ResNet50, which is 16-31 % of a
    step on a CPU; the fused kernel is one operation a layer. On other backends, for other axes than the last, with
    a mask, or synchronised over replicas, Keras's own path runs. With `trainable=False` statistics and affine
    weights stand still. A batch of one map of one pixel (the image's average in PSPNet and DeepLab v3) has no variance
    in training: the moving statistics normalise it and stay as they are.

    Args:
        momentum: float, share of the old moving statistics kept each step. Default 0.9: Keras's 0.99 leaves stale
            statistics in runs of a few hundred steps.
        epsilon: float, added to the variance. Default 1e-3.
        synchronized: bool, whether the statistics of a training step are those of the batch of all replicas of a
            `tf.distribute` strategy. Default False: each replica has those of its part. Other backends have one
            batch anyway.
        Others: as `keras.layers.BatchNormalization`.

    Input and output: float `[B, H, W, C]`.
    """

    def __init__(self, axis: int = -1, momentum: float = 0.9, epsilon: float = 1e-3, synchronized: bool = False,
                 **kwargs: Any):
        synchronized = synchronized and keras.backend.backend() == "tensorflow"  # Keras refuses it elsewhere
        super().__init__(axis=axis, momentum=momentum, epsilon=epsilon, synchronized=synchronized, **kwargs)

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        last = self.axis in (-1, len(inputs.shape) - 1)
        fused = keras.backend.backend() == "tensorflow" and len(inputs.shape) == 4 and last
        if not fused or mask is not None or (self.synchronized and replicas.count() > 1):
            return super().call(inputs, training=training, mask=mask)
        if not (training and self.trainable):
            return self._normalize(inputs, self.moving_mean, self.moving_variance)[0]
        if tuple(inputs.shape[1:3]) == (1, 1):
            return self._normalize_single_pixels(inputs)
        outputs, mean, variance = self._normalize(inputs)
        # The kernel returns the unbiased variance; Keras keeps the biased one.
        size = inputs.shape[:3]
        pixels = (float(math.prod(size)) if None not in size
                  else ops.cast(ops.size(inputs), "float32") / inputs.shape[-1])
        self._keep(mean, variance * (1.0 - 1.0 / pixels))
        return outputs

    def _keep(self, mean, variance):
        import tensorflow as tf

        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            before = tf.convert_to_tensor(moving)
            moving.assign(before + (batch - before) * (1.0 - self.momentum))

    def _normalize_single_pixels(self, inputs):
        values = ops.cast(inputs, "float32")  # [B, 1, 1, C]
        alone = ops.equal(ops.shape(inputs)[0], 1)
        mean = ops.where(alone, self.moving_mean, ops.mean(values, axis=(0, 1, 2)))
        variance = ops.where(alone, self.moving_variance, ops.var(values, axis=(0, 1, 2)))
        self._keep(mean, variance)
        outputs = (values - mean) * ops.rsqrt(variance + self.epsilon)
        outputs = outputs * self.gamma if self.scale else outputs
        return ops.cast(outputs + self.beta if self.center else outputs, self.compute_dtype)

    def _normalize(self, inputs, mean=None, variance=None):
        import tensorflow as tf

        scale = tf.cast(self.gamma, "float32") if self.scale else tf.ones([inputs.shape[-1]])
        offset = tf.cast(self.beta, "float32") if self.center else tf.zeros([inputs.shape[-1]])
        size = inputs.shape[1:]
        large = None not in size and math.prod(size) >= cpu_gradients.LARGE_MAP
        if mean is None and large and self.compute_dtype == "float32" and cpu_gradients.serve():
            return cpu_gradients.normalize_batch(tf.cast(inputs, "float32"), scale, offset, self.epsilon)
        return tf.compat.v1.nn.fused_batch_norm(
            tf.cast(inputs, self.compute_dtype),
            scale=scale,
            offset=offset,
            mean=None if mean is None else tf.cast(mean, "float32"),
            variance=None if variance is None else tf.cast(variance, "float32"),
            epsilon=self.epsilon,
            is_training=mean is None,
        )
