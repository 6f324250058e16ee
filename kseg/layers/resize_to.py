"""Bilinear resizing to the size of another tensor; the one owner of the resize convention."""

import keras
from keras import ops

from kseg.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseg")
class ResizeTo(keras.layers.Layer):
    """Resize `inputs` bilinearly to the height and width of `reference` (half-pixel centres, no antialiasing).

    `keras.ops.image.resize` tests the size in Python, so it fails where the size is known only at run time; here
    TensorFlow's own operation takes it.

    Args:
        dtype: pass "float32" for logits, so that mixed precision does not round them.

    Inputs: float `[B, h, w, C]` and any tensor `[B, H, W, ...]`. Output: float `[B, H, W, C]`.
    """

    def call(self, inputs: Tensor, reference: Tensor) -> Tensor:
        size, target = inputs.shape[1:3], reference.shape[1:3]
        if None not in target and tuple(size) == tuple(target):
            return inputs
        if keras.backend.backend() != "tensorflow":
            return ops.image.resize(inputs, target, interpolation="bilinear")
        import tensorflow as tf

        target = tf.shape(reference)[1:3] if None in target else target
        resize = resize_for_xla if _compiled_by_xla() else tf.image.resize
        return tf.cast(resize(inputs, target), self.compute_dtype)  # [B, H, W, C]

    def compute_output_shape(self, inputs_shape: Shape, reference_shape: Shape) -> Shape:
        return (inputs_shape[0], *reference_shape[1:3], inputs_shape[3])

    def compute_output_spec(self, inputs: Tensor, reference: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape, reference.shape), dtype=self.compute_dtype)


def _compiled_by_xla():
    """Whether the TensorFlow function being traced is one that XLA will compile (`jit_compile=True`)."""
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    return GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def resize_for_xla(inputs: Tensor, target: Tensor) -> Tensor:
    """Return `inputs` `[B, h, w, C]` resized bilinearly to `target` (height, width), float32.

    XLA's own resize takes the wrong neighbour where a coordinate falls on a whole pixel and is rounded two ways (5 to
    9 rows, 33 to 65), so coordinates are computed in whole numbers here. Elsewhere TensorFlow's operation is faster,
    and one that TFLite knows.
    """
    import tensorflow as tf

    return _resized_side(_resized_side(tf.cast(inputs, "float32"), target[0], 1), target[1], 2)


def _resized_side(values, length, axis):
    """Return float32 `values` resized to `length` along `axis`; coordinates are integers over 2 `length`."""
    import tensorflow as tf

    size = tf.shape(values)[axis]
    numerator = tf.clip_by_value((2 * tf.range(length) + 1) * size - length, 0, 2 * length * (size - 1))
    before = numerator // (2 * length)
    share = tf.cast(numerator - 2 * length * before, "float32") / tf.cast(2 * length, "float32")
    share = tf.reshape(share, [-1 if one == axis else 1 for one in range(4)])
    near, far = (tf.gather(values, index, axis=axis) for index in (before, tf.minimum(before + 1, size - 1)))
    return near + (far - near) * share
