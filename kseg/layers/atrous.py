"""Atrous (dilated) convolutions whose dilation stays inside one operation.

Keras passes a dilated convolution to `tf.nn.convolution`, which becomes `SPACE_TO_BATCH_ND`, a convolution and
`BATCH_TO_SPACE_ND`: slower to train, unfused in TFLite, and refused by GPU delegates. These layers hold the same
weights under the same names as Keras's and call the operation with its `dilations` set.
"""

import contextlib
import contextvars
import functools

import keras

_PORTABLE = contextvars.ContextVar("portable", default=False)


@contextlib.contextmanager
def portable():
    """Have dilated depthwise convolutions traced as every machine runs them: with their pixels regrouped.

    Only oneDNN has them as one operation. A graph that holds that operation fails on a GPU, and on processors for
    which TensorFlow leaves oneDNN off.
    """
    token = _PORTABLE.set(True)
    try:
        yield
    finally:
        _PORTABLE.reset(token)


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

    def call(self, inputs):
        plain = max(self.dilation_rate) == 1 or max(self.strides) > 1 or self.data_format != "channels_last"
        if plain or keras.backend.backend() != "tensorflow":
            return super().call(inputs)
        runs = _dilation_runs("conv", self.compute_dtype)
        if self.groups > 1 and not runs:  # regrouped, TensorFlow has no gradient of grouped kernels; Keras's layer has
            return super().call(inputs)
        import tensorflow as tf

        convolve = _dilated_convolution if runs else _regrouped_convolution
        outputs = convolve(inputs, tf.convert_to_tensor(self.kernel), tuple(self.dilation_rate), self.padding.upper())
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return self.activation(outputs) if self.activation is not None else outputs


@keras.saving.register_keras_serializable(package="kseg")
class AtrousDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` that keeps `dilation_rate` inside the convolution (TensorFlow backend).

    Input: float `[B, H, W, C]`. Output: float `[B, H', W', C * depth_multiplier]`.
    """

    def call(self, inputs):
        if not _takes_dilated_depthwise(self):
            return super().call(inputs)
        import tensorflow as tf

        outputs = _dilated_depthwise(inputs, tf.convert_to_tensor(self.kernel), tuple(self.dilation_rate))
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return self.activation(outputs) if self.activation is not None else outputs


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
    return (max(layer.dilation_rate) > 1 and max(layer.strides) == 1 and layer.padding == "same"
            and layer.depth_multiplier == 1 and layer.data_format == "channels_last"
            and all(side % 2 == 1 for side in layer.kernel_size) and not _PORTABLE.get()
            and _dilation_runs("depthwise", layer.compute_dtype))


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

    def call(self, inputs):
        if not _takes_dilated_depthwise(self):
            return super().call(inputs)
        import tensorflow as tf

        outputs = _dilated_depthwise(inputs, tf.convert_to_tensor(self.depthwise_kernel), tuple(self.dilation_rate))
        outputs = tf.nn.conv2d(outputs, tf.convert_to_tensor(self.pointwise_kernel), strides=1, padding="VALID")
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return self.activation(outputs) if self.activation is not None else outputs
