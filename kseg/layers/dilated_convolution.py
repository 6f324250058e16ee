"""The operations of atrous convolutions, TensorFlow's: stride 1, dilated in one operation or by regrouping the pixels.

A regrouped convolution is `SPACE_TO_BATCH_ND`, a convolution and `BATCH_TO_SPACE_ND`: every machine has it.
"""

import functools

import keras

from kseg.types import Tensor

Sides = tuple[int, int]


def runs_here(kind: str, dtype: str) -> bool:
    """Whether TensorFlow's `kind` ("conv" or "depthwise") takes a dilation on this machine, gradient included.

    On a CPU the kernels come from oneDNN: they are missing where TensorFlow was built or started without it, and for
    float16. Regrouping the pixels then serves.
    """
    return keras.backend.backend() == "tensorflow" and _probe(kind, dtype)


@functools.lru_cache(maxsize=None)
def _probe(kind, dtype):
    import tensorflow as tf

    with tf.init_scope():
        values, taps = tf.ones((1, 6, 6, 2), dtype), tf.ones((3, 3, 2, 1), dtype)
        try:
            if kind == "depthwise":  # its gradient is written with the forward operation
                depthwise(values, taps, (2, 2))
            else:
                outputs = convolution(values, taps, (2, 2), "SAME")
                for_input = {"input_sizes": values.shape, "filter": taps}
                for_kernel = {"input": values, "filter_sizes": taps.shape}
                shared = {"out_backprop": outputs, "strides": [1] * 4, "padding": "SAME", "dilations": [1, 2, 2, 1]}
                tf.raw_ops.Conv2DBackpropInput(**for_input, **shared)
                tf.raw_ops.Conv2DBackpropFilter(**for_kernel, **shared)
        except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
            return False
    return True


def without_taps_on_padding(kernel: Tensor, size: tuple[int | None, ...], rate: Sides) -> tuple[Tensor, Sides]:
    """Return the kernel `[k, k, ...]` without taps that lie outside a map of `size` at every position, and its rate.

    Only where the size is known and the kernel is odd: its middle tap then lies on the pixel itself.
    """
    for axis, (length, step) in enumerate(zip(size, rate)):
        taps = kernel.shape[axis]
        if length is None or taps % 2 == 0:
            continue
        reach = min(taps // 2, (length - 1) // step)  # taps on either side of the middle that can meet the map
        if reach < taps // 2:
            kept = slice(taps // 2 - reach, taps // 2 + reach + 1)
            kernel = kernel[kept] if axis == 0 else kernel[:, kept]
    return kernel, rate_of(kernel, rate)


def rate_of(kernel: Tensor, rate: Sides) -> Sides:
    """Return `rate`, but 1 along a side of `kernel` that has one tap."""
    return tuple(1 if side == 1 else step for side, step in zip(kernel.shape[:2], rate))


def matrix_product(inputs: Tensor, kernel: Tensor) -> Tensor:
    """The 1x1 convolution `[B, H, W, C_in] * [1, 1, C_in, C_out]` as one product of matrices."""
    import tensorflow as tf

    pixels = tf.reshape(inputs, (-1, kernel.shape[2]))  # [B * H * W, C_in]
    outputs = tf.matmul(pixels, tf.reshape(kernel, kernel.shape[2:]))
    shape = [tf.shape(inputs)[axis] if side is None else side for axis, side in enumerate(inputs.shape[:3])]
    return tf.reshape(outputs, (*shape, kernel.shape[3]))  # [B, H, W, C_out]


def convolution(inputs: Tensor, kernel: Tensor, rate: Sides, padding: str) -> Tensor:
    """Convolution `[B, H, W, C_in] * [k, k, C_in, C_out]` in one operation; `padding`: "SAME" or "VALID"."""
    import tensorflow as tf

    return tf.nn.conv2d(inputs, kernel, strides=1, padding=padding, dilations=list(rate))


def regrouped_convolution(inputs: Tensor, kernel: Tensor, rate: Sides, padding: str) -> Tensor:
    """The same convolution without a dilated kernel: pixels regrouped by their position modulo `rate`."""
    import tensorflow as tf

    size, reach = tf.shape(inputs), [(side - 1) * step for side, step in zip(kernel.shape[:2], rate)]
    before = [r // 2 if padding == "SAME" else 0 for r in reach]
    after = [r - b if padding == "SAME" else 0 for r, b in zip(reach, before)]
    fill = [-(size[axis + 1] + before[axis] + after[axis]) % rate[axis] for axis in (0, 1)]
    paddings = [[before[axis], after[axis] + fill[axis]] for axis in (0, 1)]
    grouped = tf.space_to_batch(inputs, list(rate), paddings)
    outputs = tf.nn.conv2d(grouped, kernel, strides=1, padding="VALID")
    return tf.batch_to_space(outputs, list(rate), [[0, fill[0]], [0, fill[1]]])


def depthwise(inputs: Tensor, kernel: Tensor, rate: Sides) -> Tensor:
    """Depthwise convolution `[B, H, W, C] * [k, k, C, 1]`, SAME, k odd, in one operation.

    TensorFlow's CPU kernel computes the dilated forward pass in one operation (2-3x faster than space-to-batch), but
    its registered gradient ignores the dilation without a word, so the gradient is written out here.
    """
    import tensorflow as tf

    def forward(values, weights):
        return tf.raw_ops.DepthwiseConv2dNative(input=values, filter=weights, strides=[1, 1, 1, 1], padding="SAME",
                                                dilations=[1, rate[0], rate[1], 1])

    @tf.custom_gradient
    def convolve(values, weights):
        def gradient(upstream):
            # SAME with an odd kernel and stride 1 pads symmetrically: the adjoint is the flipped kernel.
            to_values = forward(upstream, tf.reverse(weights, [0, 1]))
            return to_values, _depthwise_kernel_gradient(values, upstream, weights.shape, rate)
        return forward(values, weights), gradient

    return convolve(inputs, kernel)


def regrouped_depthwise(inputs: Tensor, kernel: Tensor, rate: Sides) -> Tensor:
    """The same depthwise convolution with the pixels regrouped, by TensorFlow itself, where `rate` is above 1."""
    import tensorflow as tf

    return tf.nn.depthwise_conv2d(inputs, kernel, (1, 1, 1, 1), "SAME", dilations=rate)


def _depthwise_kernel_gradient(values, upstream, kernel_shape, rate):
    """Return d loss / d kernel, `[k, k, C, 1]`.

    Only here, in training, are the pixels regrouped by their position modulo `rate`: summing shifted products tap by
    tap inside one graph was 1-3x slower than TensorFlow's filter gradient on the regrouped maps.
    """
    import tensorflow as tf

    size = tf.shape(values)
    fill = [[0, -size[1] % rate[0]], [0, -size[2] % rate[1]]]
    grouped = [tf.space_to_batch(tensor, list(rate), fill) for tensor in (values, upstream)]
    return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
        input=grouped[0], filter_sizes=kernel_shape, out_backprop=grouped[1], strides=[1, 1, 1, 1], padding="SAME")
