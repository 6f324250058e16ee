"""Bilinear resizing to the size of another tensor; the one owner of the resize convention."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kseg")
class ResizeTo(keras.layers.Layer):
    """Resize `inputs` bilinearly to the height and width of `reference` (half-pixel centres, no antialiasing).

    `keras.ops.image.resize` tests the size in Python, so it fails where the size is known only at run time; here
    TensorFlow's own operation takes it.

    Args:
        dtype: pass "float32" for logits, so that mixed precision does not round them.

    Inputs: float `[B, h, w, C]` and any tensor `[B, H, W, ...]`. Output: float `[B, H, W, C]`.
    """

    def call(self, inputs, reference):
        size, target = inputs.shape[1:3], reference.shape[1:3]
        if None not in target and tuple(size) == tuple(target):
            return inputs
        if keras.backend.backend() != "tensorflow":
            return ops.image.resize(inputs, target, interpolation="bilinear")
        import tensorflow as tf

        target = tf.shape(reference)[1:3] if None in target else target
        resized = tf.image.resize(inputs, target, method="bilinear")  # [B, H, W, C] float32
        return tf.cast(resized, self.compute_dtype)

    def compute_output_shape(self, inputs_shape, reference_shape):
        return (inputs_shape[0], *reference_shape[1:3], inputs_shape[3])

    def compute_output_spec(self, inputs, reference):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape, reference.shape), dtype=self.compute_dtype)
