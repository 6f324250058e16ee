"""Atrous (dilated) convolutions whose dilation stays inside one operation.

Keras passes a dilated convolution to `tf.nn.convolution`, which becomes `SPACE_TO_BATCH_ND`, a convolution and
`BATCH_TO_SPACE_ND`: slower to train, unfused in TFLite, and refused by GPU delegates. These layers hold the same
weights under the same names as Keras's and call the operation with its `dilations` set.

Two further savings, exact in value. Taps that lie on padding alone, because the rate is at least the side of the map,
are not computed: at 192x256 and output stride 16, DeepLab's rate 18 leaves one tap of nine. And in training in float32
a 1x1 convolution is a matrix product, whose gradients are products too: TensorFlow's own gradient with respect to the
input takes 1.3 to 1.7 times as long where oneDNN is off.
"""

import functools

import keras

from kseg.layers import cpu_gradients
from kseg.types import Tensor


def _dilation_runs(kind, dtype):
    """Whether TensorFlow's `kind` ("conv" or "depthwise") takes a dilation on this machine, gradient included.

    On a CPU the kernels come from oneDNN: they are missing where TensorFlow was built or started without it, and for
    float16. Regrouping the pixels (space-to-batch) then serves.
    """
    return keras.backend.backend() == "tensorflow" and _probe(kind, dtype)


@functools.lru_cache(maxsize=None)
def _probe(kind, dtype):
    import tensorflow as tf

    with tf.init_scope():
        values, taps = tf.ones((1, 6, 6, 2), dtype), tf.ones((3, 3, 2, 1), dtype)
        try:
            if kind == "depthwise":  # its gradient is written with the forward operation
                _dilated_depthwise(values, taps, (2, 2))
            else:
                outputs = _dilated_convolution(values, taps, (2, 2), "SAME")
                for_input = {"input_sizes": values.shape, "filter": taps}
                for_kernel = {"input": values, "filter_sizes": taps.shape}
                shared = {"out_backprop": outputs, "strides": [1] * 4, "padding": "SAME", "dilations": [1, 2, 2, 1]}
                tf.raw_ops.Conv2DBackpropInput(**for_input, **shared)
                tf.raw_ops.Conv2DBackpropFilter(**for_kernel, **shared)
        except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
            return False
    return True


@keras.saving.register_keras_serializable(package="kseg")
class AtrousConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` that keeps `dilation_rate` inside the convolution (TensorFlow backend).

    Input: float `[B, H, W, C_in]`. Output: float `[B, H', W', filters]`, the size as Keras's layer gives it.
    """

    portable = False  # set while a graph for any machine is traced, by `kseg.export.graphs.portable`

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if max(self.strides) > 1 or self.data_format != "channels_last" or keras.backend.backend() != "tensorflow":
            return super().call(inputs)
        if self.groups > 1 and (max(self.dilation_rate) == 1 or not _dilation_runs("conv", self.compute_dtype)):
            return super().call(inputs)  # without oneDNN only Keras's layer has a gradient of grouped kernels
        import tensorflow as tf

        kernel, padding = tf.convert_to_tensor(self.kernel), self.padding.upper()
        if padding == "SAME":
            kernel = _without_taps_on_padding(kernel, inputs.shape[1:3], self.dilation_rate)
        rate = tuple(1 if side == 1 else step for side, step in zip(kernel.shape[:2], self.dilation_rate))
        runs = max(rate) == 1 or self.portable or _dilation_runs("conv", self.compute_dtype)
        if training and self.groups == 1 and tuple(kernel.shape[:2]) == (1, 1) and self.compute_dtype == "float32":
            outputs = _matrix_product(inputs, kernel)
        elif training and self._takes_cpu_gradients(kernel, rate, padding):
            outputs = cpu_gradients.convolve(inputs, kernel, rate, padding)
        elif runs:
            outputs = _dilated_convolution(inputs, kernel, rate, padding)
        else:
            outputs = _regrouped_convolution(inputs, kernel, rate, padding)
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return self.activation(outputs) if self.activation is not None else outputs

    def _takes_cpu_gradients(self, kernel, rate, padding):
        taken = max(rate) == 1 if padding == "VALID" else all(side % 2 == 1 for side in kernel.shape[:2])
        return taken and self.groups == 1 and self.compute_dtype == "float32" and cpu_gradients.serve()


@keras.saving.register_keras_serializable(package="kseg")
class AtrousDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` that keeps `dilation_rate` inside the convolution (TensorFlow backend).

    Input: float `[B, H, W, C]`. Output: float `[B, H', W', C * depth_multiplier]`.
    """

    portable = False  # set while a graph for any machine is traced, by `kseg.export.graphs.portable`

    def call(self, inputs: Tensor) -> Tensor:
        if not _takes_dilated_depthwise(self):
            return super().call(inputs)
        import tensorflow as tf

        outputs = _depthwise(self, inputs, tf.convert_to_tensor(self.kernel))
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return self.activation(outputs) if self.activation is not None else outputs


def _without_taps_on_padding(kernel, size, rate):
    """Return the kernel `[k, k, ...]` without the taps that lie outside a map of `size` at every position.

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
    return kernel


def _matrix_product(inputs, kernel):
    """The 1x1 convolution `[B, H, W, C_in] * [1, 1, C_in, C_out]` as one product of matrices."""
    import tensorflow as tf

    pixels = tf.reshape(inputs, (-1, kernel.shape[2]))  # [B * H * W, C_in]
    outputs = tf.matmul(pixels, tf.reshape(kernel, kernel.shape[2:]))
    shape = [tf.shape(inputs)[axis] if side is None else side for axis, side in enumerate(inputs.shape[:3])]
    return tf.reshape(outputs, (*shape, kernel.shape[3]))  # [B, H, W, C_out]


def _dilated_convolution(inputs, kernel, rate, padding):
    import tensorflow as tf

    return tf.nn.conv2d(inputs, kernel, strides=1, padding=padding, dilations=list(rate))


def _regrouped_convolution(inputs, kernel, rate, padding):
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


def _takes_dilated_depthwise(layer):
    return (keras.backend.backend() == "tensorflow" and max(layer.dilation_rate) > 1 and max(layer.strides) == 1
            and layer.padding == "same" and layer.depth_multiplier == 1 and layer.data_format == "channels_last"
            and all(side % 2 == 1 for side in layer.kernel_size))


def _depthwise(layer, inputs, kernel):
    """Depthwise convolution `[B, H, W, C] * [k, k, C, 1]` of `layer`: stride 1, SAME, k odd, dilated."""
    import tensorflow as tf

    kernel = _without_taps_on_padding(kernel, inputs.shape[1:3], layer.dilation_rate)
    rate = tuple(1 if side == 1 else step for side, step in zip(kernel.shape[:2], layer.dilation_rate))
    if tuple(kernel.shape[:2]) == (1, 1):
        return inputs * kernel[0, 0, :, 0]
    if max(rate) > 1 and not layer.portable and _dilation_runs("depthwise", layer.compute_dtype):
        return _dilated_depthwise(inputs, kernel, rate)
    return tf.nn.depthwise_conv2d(inputs, kernel, (1, 1, 1, 1), "SAME", dilations=rate)  # regroups the pixels


def _dilated_depthwise(inputs, kernel, rate):
    """Depthwise convolution `[B,H,W,C] * [k,k,C,1]`, stride 1, SAME, dilation `rate`.

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
            return to_values, _dilated_depthwise_kernel_gradient(values, upstream, weights.shape, rate)
        return forward(values, weights), gradient

    return convolve(inputs, kernel)


def _dilated_depthwise_kernel_gradient(values, upstream, kernel_shape, rate):
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


@keras.saving.register_keras_serializable(package="kseg")
class AtrousSeparableConv2D(keras.layers.SeparableConv2D):
    """`keras.layers.SeparableConv2D` that keeps `dilation_rate` inside the depthwise convolution (TensorFlow backend).

    Input: float `[B, H, W, C]`. Output: float `[B, H', W', filters]`.
    """

    portable = False  # set while a graph for any machine is traced, by `kseg.export.graphs.portable`

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not _takes_dilated_depthwise(self):
            return super().call(inputs)
        import tensorflow as tf

        kernel, pointwise = tf.convert_to_tensor(self.depthwise_kernel), tf.convert_to_tensor(self.pointwise_kernel)
        outputs = _depthwise(self, inputs, kernel)
        outputs = (_matrix_product(outputs, pointwise) if training and self.compute_dtype == "float32"
                   else tf.nn.conv2d(outputs, pointwise, strides=1, padding="VALID"))
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return self.activation(outputs) if self.activation is not None else outputs
