"""Max pooling that remembers where each maximum stood, and the unpooling that puts values back there.

Both work on the four phases of 2x2 blocks (top left, top right, bottom left, bottom right) with comparisons and
selections alone. `tf.nn.max_pool_with_argmax` and a scatter give the same values and gradients, but neither has a
TFLite built-in operator.
Reference: Badrinarayanan, Kendall, Cipolla, SegNet, PAMI 2017, arXiv:1511.00561, section 3.
"""

import keras
from keras import ops

from kseg.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="kseg")
class MaxPoolingWithArgmax2D(keras.layers.Layer):
    """Pool 2x2 windows of stride 2 to their maximum and the place of that maximum.

    An odd height or width counts as padded at the end (TensorFlow SAME, Caffe's rounding up). Of equal values the
    first in reading order wins, and it alone receives the gradient: after a ReLU whole windows tie at zero.

    Input: float `[B, H, W, C]`.
    Output: `(maxima, places)`, float and int32 `[B, ceil(H / 2), ceil(W / 2), C]`; a place is 0, 1, 2 or 3, the
    index in the window in reading order.
    """

    def call(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return _pool_on_tensorflow(inputs) if keras.backend.backend() == "tensorflow" else _pool(inputs)

    def compute_output_shape(self, input_shape: Shape) -> tuple[Shape, Shape]:
        batch, height, width, channels = input_shape
        half = (batch, _half(height), _half(width), channels)
        return half, half

    def compute_output_spec(self, inputs: Tensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        shape = self.compute_output_shape(inputs.shape)[0]
        return keras.KerasTensor(shape, dtype=self.compute_dtype), keras.KerasTensor(shape, dtype="int32")


@keras.saving.register_keras_serializable(package="kseg")
class MaxUnpooling2D(keras.layers.Layer):
    """Put each value at its remembered place in a 2x2 window; the other three positions are zero.

    Inputs: values float `[B, h, w, C]`; places int32 `[B, h, w, C]` of `MaxPoolingWithArgmax2D`; a tensor
    `[B, H, W, ...]` whose height and width the output takes, the one that was pooled (2h or 2h - 1 high).
    Output: float `[B, H, W, C]`.
    """

    def call(self, values: Tensor, places: Tensor, reference: Tensor) -> Tensor:
        if keras.backend.backend() == "tensorflow":
            return _unpool_on_tensorflow(values, places, reference)
        return _unpool(values, places, reference)

    def compute_output_shape(self, values_shape: Shape, places_shape: Shape, reference_shape: Shape) -> Shape:
        return (values_shape[0], *reference_shape[1:3], values_shape[3])

    def compute_output_spec(self, values: Tensor, places: Tensor, reference: Tensor) -> keras.KerasTensor:
        shape = self.compute_output_shape(values.shape, places.shape, reference.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


def _half(length):
    return None if length is None else -(-length // 2)


def _pool(inputs):
    phases = _phases(_pad_to_even(inputs))
    maxima, places = phases[0], ops.zeros_like(phases[0], dtype="int32")
    for place, phase in enumerate(phases[1:], start=1):
        larger = phase > maxima  # strictly: of equal values the first stays
        maxima = ops.where(larger, phase, maxima)
        places = ops.where(larger, place, places)
    return maxima, places


def _unpool(values, places, reference):
    """Put `values` at their `places` and cut the result to the height and width of `reference`."""
    _, height, width, channels = ops.shape(values)
    windows = (-1, 1, width, 1, channels)
    pattern = ops.reshape(ops.arange(4, dtype="int32"), (1, 2, 1, 2, 1))  # the place of each pixel of a window
    chosen = ops.equal(ops.reshape(places, windows), pattern)  # [B * h, 2, w, 2, C]
    values = ops.reshape(values, windows)
    outputs = ops.where(chosen, values, ops.zeros((), values.dtype))
    outputs = ops.reshape(outputs, (-1, 2 * height, 2 * width, channels))  # [B, 2h, 2w, C]
    return _cut(outputs, reference)


def _take(inputs, places):
    """Return what stands at `places` in the windows of `inputs` `[B, H, W, C]`: the adjoint of `_unpool`."""
    phases = _phases(_pad_to_even(inputs))
    taken = phases[0]
    for place, phase in enumerate(phases[1:], start=1):
        taken = ops.where(ops.equal(places, place), phase, taken)
    return taken


def _pool_on_tensorflow(inputs):
    """`_pool` with its gradient written out: autodiff pays for every slice and selection again."""
    import tensorflow as tf

    @tf.custom_gradient
    def pool(values):
        maxima, places = _pool(values)
        return (maxima, places), lambda upstream, _: _unpool(upstream, places, values)

    return pool(inputs)


def _unpool_on_tensorflow(values, places, reference):
    import tensorflow as tf

    @tf.custom_gradient
    def unpool(maxima):
        return _unpool(maxima, places, reference), lambda upstream: _take(upstream, places)

    return unpool(values)


def _pad_to_even(inputs):
    """Repeat the last row and column where the size is odd: the copy ties with the original, which comes first.

    A copy, unlike minus infinity, leaves the range that int8 quantisation sees alone.
    """
    for axis in (1, 2):
        length = inputs.shape[axis]
        if length is not None and length % 2 == 0:
            continue
        last = inputs[:, -1:] if axis == 1 else inputs[:, :, -1:]
        if length is None:  # none or one copy, known at run time
            odd = ops.shape(inputs)[axis] % 2
            last = last[:, :odd] if axis == 1 else last[:, :, :odd]
        inputs = ops.concatenate([inputs, last], axis=axis)
    return inputs


def _phases(inputs):
    """Return the four phases `[B, H / 2, W / 2, C]` of even-sized `inputs`, in reading order."""
    _, height, width, channels = ops.shape(inputs)
    # Rows to an axis of their own and column pairs into the channels: contiguous slices, faster than strided ones.
    pairs = ops.reshape(inputs, (-1, 2, width // 2, 2 * channels))  # [B * H / 2, 2, W / 2, 2 * C]
    shape = (-1, height // 2, width // 2, channels)
    return [ops.reshape(pairs[:, row, :, column * channels:(column + 1) * channels], shape)
            for row in range(2) for column in range(2)]


def _cut(outputs, reference):
    if None not in outputs.shape[1:3] and tuple(outputs.shape[1:3]) == tuple(reference.shape[1:3]):
        return outputs
    size = ops.shape(reference)
    return outputs[:, :size[1], :size[2]]
