"""Gradients for processors on which TensorFlow runs without oneDNN (no AVX512), in float32.

There TensorFlow's own gradients of convolutions and of batch normalisation take two to three times as long as their
forward passes. What stands here computes the same numbers, but for the order of additions, from faster operations.
With oneDNN, and on a GPU, TensorFlow's own are the faster ones. `examples/step_time_benchmark.py` measures a step.
"""

import functools

import keras

from kseg.types import Tensor

# Values in one image's map from which a compiled batch normalisation gradient is worth compiling (0.1 s per shape).
LARGE_MAP = 2 ** 18
# Up to so many pixels of a map, and from so many pairs of channels, the input gradient is computed tap by tap.
SMALL_MAP, MANY_CHANNELS = 2 ** 8, 2 ** 17


@functools.lru_cache(maxsize=None)
def serve() -> bool:
    """Whether the gradients of this file are the faster ones here: TensorFlow, a CPU, and no oneDNN."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    with tf.init_scope():
        values, taps = tf.ones((1, 6, 6, 2)), tf.ones((3, 3, 2, 1))
        outputs = tf.nn.conv2d(values, taps, strides=1, padding="SAME", dilations=(2, 2))
        try:  # only oneDNN and GPUs have this gradient
            tf.raw_ops.Conv2DBackpropFilter(
                input=values, filter_sizes=taps.shape, out_backprop=outputs, strides=[1] * 4, padding="SAME",
                dilations=[1, 2, 2, 1])
        except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
            return True
    return False


def convolve(inputs: Tensor, kernel: Tensor, rate: tuple[int, int] = (1, 1), padding: str = "SAME") -> Tensor:
    """Convolution `[B, H, W, C_in] * [k, k, C_in, C_out]`, stride 1, dilation `rate`, with gradients of its own.

    Args:
        inputs: float32 tensor.
        kernel: float32 tensor; with "SAME" padding its sides are odd.
        rate: pair of ints; (1, 1) with "VALID" padding.
        padding: "SAME" or "VALID".
    Returns:
        float32 tensor `[B, H', W', C_out]`.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def convolution(values, taps):
        def gradient(upstream):
            return (_input_gradient(upstream, taps, rate, padding),
                    _kernel_gradient(values, upstream, taps.shape, rate, padding))
        return tf.nn.conv2d(values, taps, 1, padding, dilations=rate), gradient

    return convolution(inputs, kernel)


def _input_gradient(upstream, kernel, rate, padding):
    """Return d loss / d inputs, float32 `[B, H, W, C_in]`.

    The adjoint of a convolution is that with the flipped kernel; an odd kernel pads symmetrically. It takes 0.35 to 0.8
    of Conv2DBackpropInput's time, and 0.05 of it on pixels regrouped for a dilation.
    """
    import tensorflow as tf

    size = upstream.shape[1:3]
    small = None not in size and size[0] * size[1] <= SMALL_MAP
    if padding == "SAME" and small and kernel.shape[2] * kernel.shape[3] >= MANY_CHANNELS:
        return _input_gradient_of_small_map(upstream, kernel, rate)
    adjoint = tf.transpose(tf.reverse(kernel, (0, 1)), (0, 1, 3, 2))
    margins = [side - 1 if padding == "VALID" else 0 for side in kernel.shape[:2]]
    padded = tf.pad(upstream, [(0, 0), *((m, m) for m in margins), (0, 0)]) if any(margins) else upstream
    return tf.nn.conv2d(padded, adjoint, 1, padding, dilations=rate)


def _input_gradient_of_small_map(upstream, kernel, rate):
    """One product of matrices per tap, of the pixels it reaches: flipping a kernel of many channels takes longer."""
    import tensorflow as tf

    height, width, channels, filters = kernel.shape
    parts = []
    for row, column, offsets in _taps((height, width), rate):
        left = [side - abs(offset) for side, offset in zip(upstream.shape[1:3], offsets)]
        if min(left) > 0:
            meeting = _cut(upstream, [-offset for offset in offsets])
            part = tf.matmul(tf.reshape(meeting, (-1, filters)), kernel[row, column], transpose_b=True)
            margins = [(max(offset, 0), max(-offset, 0)) for offset in offsets]
            parts.append(tf.pad(tf.reshape(part, (-1, *left, channels)), ((0, 0), *margins, (0, 0))))
    return tf.add_n(parts)


def _kernel_gradient(inputs, upstream, shape, rate, padding):
    """Return d loss / d kernel, float32 `[k, k, C_in, C_out]`."""
    import tensorflow as tf

    if max(rate) > 1:
        return _kernel_gradient_of_dilated(inputs, upstream, shape, rate)
    large = None not in inputs.shape[1:3] and inputs.shape[1] * inputs.shape[2] >= 2 ** 12
    if padding == "SAME" and large and shape[2] >= 2 * shape[3]:
        return _kernel_gradient_of_few_filters(inputs, upstream, shape)
    return tf.raw_ops.Conv2DBackpropFilter(
        input=inputs, filter_sizes=shape, out_backprop=upstream, strides=[1] * 4, padding=padding)


def _kernel_gradient_of_dilated(inputs, upstream, shape, rate):
    """One product of matrices per tap, of the pixels that meet: 0.02 (large rates) to 1 of the time when regrouped."""
    import tensorflow as tf

    taps = []
    for _, _, offsets in _taps(shape[:2], rate):
        pixels = tf.reshape(_cut(inputs, offsets), (-1, shape[2]))
        meeting = tf.reshape(_cut(upstream, [-offset for offset in offsets]), (-1, shape[3]))
        taps.append(tf.matmul(pixels, meeting, transpose_a=True))
    return tf.reshape(tf.stack(taps), shape)


def _taps(sides, rate):
    """Yield each tap's row and column, and its offset in pixels from the middle of the kernel."""
    for row in range(sides[0]):
        for column in range(sides[1]):
            yield row, column, ((row - sides[0] // 2) * rate[0], (column - sides[1] // 2) * rate[1])


def _cut(values, offsets):
    """Return `[B, H, W, C]` without its first rows and columns, as many as `offsets` say; negative: the last ones."""
    cuts = [slice(offset, None) if offset >= 0 else slice(None, offset) for offset in offsets]
    return values[:, cuts[0], cuts[1]]


def _kernel_gradient_of_few_filters(inputs, upstream, shape):
    """One product of matrices per tap, where filters are few and the map is large: 0.5 to 0.6 of the time.

    Both maps are padded alike and laid out as rows of pixels: a tap is an offset between them, and needs no copy.
    """
    import tensorflow as tf

    height, width, channels, filters = shape
    down, right = height // 2, width // 2
    stride = inputs.shape[2] + 2 * right
    pixels = tf.reshape(tf.pad(inputs, ((0, 1), (down, down), (right, right), (0, 0))), (-1, channels))
    upstream = tf.reshape(tf.pad(upstream, ((0, 0), (0, 2 * down), (0, 2 * right), (0, 0))), (-1, filters))
    count = tf.shape(upstream)[0]
    taps = [tf.matmul(upstream, pixels[row * stride + column:row * stride + column + count], transpose_a=True)
            for row in range(height) for column in range(width)]
    return tf.reshape(tf.transpose(tf.stack(taps), (0, 2, 1)), shape)


def normalize_batch(inputs: Tensor, scale: Tensor, offset: Tensor,
                    epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalisation of `[B, H, W, C]` in training, with a gradient compiled by XLA: half of the fused one's time.

    Args:
        inputs: float32 tensor.
        scale, offset: float32 tensors `[C]`.
        epsilon: float, added to the variance.
    Returns:
        float32 outputs `[B, H, W, C]`, mean `[C]` and unbiased variance `[C]`; the latter two carry no gradient.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def normalize(values, gamma, beta):
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(values, gamma, beta, epsilon=epsilon)
        count = tf.cast(tf.reduce_prod(tf.shape(values)[:3]), "float32")

        def gradient(upstream, *_):
            deviation = tf.sqrt(variance * (count - 1) / count + epsilon)
            return _compiled_normalization_gradient()(values, upstream, gamma, mean, deviation)
        return (outputs, mean, variance), gradient

    return normalize(inputs, scale, offset)


@functools.lru_cache(maxsize=None)
def _compiled_normalization_gradient():
    import tensorflow as tf

    def gradient(inputs, upstream, scale, mean, deviation):
        batch, channels = tf.shape(inputs)[0], inputs.shape[-1]
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), "float32")
        # Image by image, then over the batch: both cores share the sums, and rounding grows less.
        rows = [tf.reshape(values, (batch, -1, channels)) for values in (upstream, inputs - mean)]  # [B, H * W, C]
        to_offset = tf.reduce_sum(tf.reduce_sum(rows[0], 1), 0)
        to_scale = tf.reduce_sum(tf.reduce_sum(rows[0] * rows[1], 1), 0) / deviation
        slope = to_scale / deviation / count
        to_inputs = scale / deviation * (upstream - to_offset / count - (inputs - mean) * slope)
        return to_inputs, to_scale, to_offset

    return tf.function(gradient, jit_compile=True)
