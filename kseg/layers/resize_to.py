"""Resizing to the size of another tensor; the one owner of the resize convention."""

from typing import Any

import keras
from keras import ops

from kseg import checks
from kseg.types import Config, Shape, Tensor

METHODS = ("bilinear", "bilinear_align_corners", "nearest")


@keras.saving.register_keras_serializable(package="kseg")
class ResizeTo(keras.layers.Layer):
    """Resize `inputs` to the height and width of `reference`, without antialiasing.

    `keras.ops.image.resize` tests the size in Python, so it fails where the size is known only at run time; here
    TensorFlow's own operation takes it.

    Args:
        method: str. "bilinear" has half-pixel centres and is what every network of kseg uses. The others repeat what
            converted PyTorch decoders were trained with: "bilinear_align_corners" puts the centres of the corner
            pixels on each other, "nearest" takes the pixel `floor(i * h / H)`.
        dtype: pass "float32" for logits, so that mixed precision does not round them.

    Inputs: float `[B, h, w, C]` and any tensor `[B, H, W, ...]`. Output: float `[B, H, W, C]`.
    """

    def __init__(self, method: str = "bilinear", **kwargs: Any):
        super().__init__(**kwargs)
        self.method = checks.one_of("method", method, METHODS)

    def get_config(self) -> Config:
        return {**super().get_config(), "method": self.method}

    def call(self, inputs: Tensor, reference: Tensor) -> Tensor:
        size, target = inputs.shape[1:3], reference.shape[1:3]
        if None not in target and tuple(size) == tuple(target):
            return inputs
        if keras.backend.backend() != "tensorflow":
            if self.method == "bilinear":
                return ops.image.resize(inputs, target, interpolation="bilinear")
            return ops.cast(resize_by_gathering(inputs, target, self.method), self.compute_dtype)
        import tensorflow as tf

        target = tf.shape(reference)[1:3] if None in target else target
        resize = resize_by_gathering if _compiled_by_xla() else _resize_in_tensorflow
        return tf.cast(resize(inputs, target, self.method), self.compute_dtype)  # [B, H, W, C]

    def compute_output_shape(self, inputs_shape: Shape, reference_shape: Shape) -> Shape:
        return (inputs_shape[0], *reference_shape[1:3], inputs_shape[3])

    def compute_output_spec(self, inputs: Tensor, reference: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape, reference.shape), dtype=self.compute_dtype)


def _compiled_by_xla():
    """Whether the TensorFlow function being traced is one that XLA will compile (`jit_compile=True`)."""
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    return GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def _resize_in_tensorflow(inputs, target, method):
    """Return `inputs` resized by one operation, which TFLite knows too."""
    import tensorflow as tf

    if method == "bilinear":
        return tf.image.resize(inputs, target)
    if method == "nearest":
        return tf.raw_ops.ResizeNearestNeighbor(images=inputs, size=target)
    return tf.raw_ops.ResizeBilinear(images=tf.cast(inputs, "float32"), size=target, align_corners=True)


def resize_by_gathering(inputs: Tensor, target: Tensor, method: str = "bilinear") -> Tensor:
    """Return `inputs` `[B, h, w, C]` resized to `target` (height, width), float32, by gathering rows and columns.

    XLA's own resize takes the wrong neighbour where a coordinate falls on a whole pixel and is rounded two ways (5 to
    9 rows, 33 to 65), so coordinates are computed in whole numbers here. Elsewhere TensorFlow's operation is faster.
    """
    return _resized_side(_resized_side(ops.cast(inputs, "float32"), target[0], 1, method), target[1], 2, method)


def _resized_side(values, length, axis, method):
    """Return float32 `values` resized to `length` along `axis`; coordinates are quotients of integers."""
    size, index = ops.shape(values)[axis], ops.arange(length, dtype="int32")
    if method == "nearest":
        return ops.take(values, index * size // length, axis=axis)
    if method == "bilinear":
        numerator, denominator = ops.clip((2 * index + 1) * size - length, 0, 2 * length * (size - 1)), 2 * length
    else:
        numerator, denominator = index * (size - 1), ops.maximum(length - 1, 1)
    before = numerator // denominator
    share = ops.cast(numerator - denominator * before, "float32") / ops.cast(denominator, "float32")
    share = ops.reshape(share, [-1 if one == axis else 1 for one in range(4)])
    near, far = (ops.take(values, index, axis=axis) for index in (before, ops.minimum(before + 1, size - 1)))
    return near + (far - near) * share
