"""Max pooling that remembers where each maximum stood, and the unpooling that puts values back there.

Both work on the four phases of 2x2 blocks (top left, top right, bottom left, bottom right) with comparisons and
selections alone. `tf.nn.max_pool_with_argmax` and a scatter give the same values and gradients, but neither has a
TFLite built-in operator.
Reference: Badrinarayanan, Kendall, Cipolla, SegNet, PAMI 2017, arXiv:1511.00561, section 3.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kseg")
class MaxPoolingWithArgmax2D(keras.layers.Layer):
    """Pool 2x2 windows of stride 2 to their maximum and the place of that maximum.

    An odd height or width counts as padded at the end (TensorFlow SAME, Caffe's rounding up). Of equal values the
    first in reading order wins, and it alone receives the gradient: after a ReLU whole windows tie at zero.

    Input: float `[B, H, W, C]`.
    Output: `(maxima, places)`, float and int32 `[B, ceil(H / 2), ceil(W / 2), C]`; a place is 0, 1, 2 or 3, the
    index in the window in reading order.
    """

    def call(self, inputs):
        phases = _split(_pad_to_even(inputs))
        maxima, places = phases[0], ops.zeros_like(phases[0], dtype="int32")
        for place, phase in enumerate(phases[1:], start=1):
            larger = phase > maxima
            maxima = ops.where(larger, phase, maxima)
            places = ops.where(larger, place, places)
        return maxima, places

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        half = (batch, _half(height), _half(width), channels)
        return half, half

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape(inputs.shape)[0]
        return keras.KerasTensor(shape, dtype=self.compute_dtype), keras.KerasTensor(shape, dtype="int32")


@keras.saving.register_keras_serializable(package="kseg")
class MaxUnpooling2D(keras.layers.Layer):
    """Put each value at its remembered place in a 2x2 window; the other three positions are zero.

    Inputs: values float `[B, h, w, C]`; places int32 `[B, h, w, C]` of `MaxPoolingWithArgmax2D`; a tensor
    `[B, H, W, ...]` whose height and width the output takes, the one that was pooled (2h or 2h - 1 high).
    Output: float `[B, H, W, C]`.
    """

    def call(self, values, places, reference):
        zeros = ops.zeros_like(values)
        phases = [ops.where(ops.equal(places, place), values, zeros) for place in range(4)]
        outputs = _interleave(phases)  # [B, 2h, 2w, C]
        if None not in outputs.shape[1:3] and outputs.shape[1:3] == reference.shape[1:3]:
            return outputs
        size = ops.shape(reference)
        return outputs[:, :size[1], :size[2]]  # [B, H, W, C]

    def compute_output_shape(self, values_shape, places_shape, reference_shape):
        return (values_shape[0], *reference_shape[1:3], values_shape[3])

    def compute_output_spec(self, values, places, reference):
        shape = self.compute_output_shape(values.shape, places.shape, reference.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


def _half(length):
    return None if length is None else -(-length // 2)


def _pad_to_even(inputs):
    """Repeat the last row and column where the size is odd: the copy ties with the original, which comes first.

    A copy, unlike minus infinity, leaves the range that int8 quantisation sees alone.
    """
    if all(length is not None and length % 2 == 0 for length in inputs.shape[1:3]):
        return inputs
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        size = tf.shape(inputs)
        return tf.pad(inputs, [[0, 0], [0, size[1] % 2], [0, size[2] % 2], [0, 0]], mode="SYMMETRIC")
    size = ops.shape(inputs)
    return ops.pad(inputs, [[0, 0], [0, size[1] % 2], [0, size[2] % 2], [0, 0]], mode="symmetric")


def _split(inputs):
    """Return the four phases `[B, H / 2, W / 2, C]` of even-sized `inputs`, in reading order."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.split(tf.nn.space_to_depth(inputs, 2), 4, axis=-1)
    return [inputs[:, row::2, column::2] for row in range(2) for column in range(2)]


def _interleave(phases):
    """Return `[B, 2h, 2w, C]` from its four phases: the inverse of `_split`."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.nn.depth_to_space(tf.concat(phases, axis=-1), 2)
    batch, height, width, channels = ops.shape(phases[0])
    rows = [ops.stack(phases[row:row + 2], axis=3) for row in (0, 2)]  # each [B, h, w, 2, C]
    return ops.reshape(ops.stack(rows, axis=2), (batch, 2 * height, 2 * width, channels))
