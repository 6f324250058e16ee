"""Atrous (dilated) convolutions whose dilation stays inside one operation.

Keras passes a dilated convolution to `tf.nn.convolution`, which becomes `SPACE_TO_BATCH_ND`, a convolution and
`BATCH_TO_SPACE_ND`: slower to train, unfused in TFLite, and refused by GPU delegates. These layers hold the same
weights under the same names as Keras's and call the operation with its `dilations` set.

Two further savings, exact in value. Taps that lie on padding alone, because the rate is at least the side of the map,
are not computed: at 192x256 and output stride 16, DeepLab's rate 18 leaves one tap of nine. And in training in float32
a 1x1 convolution is a matrix product, whose gradients are products too: TensorFlow's own gradient with respect to the
input takes 1.3 to 1.7 times as long where oneDNN is off.

Each layer is `traced_for` None, this machine, unless `kseg.export.graphs.traced_for` says otherwise: "any machine"
(no dilated depthwise operation, which only oneDNN has) or "a converter" (a dilation is always in the operation).
"""

import keras

from kseg.layers import cpu_gradients
from kseg.layers import dilated_convolution as dilated
from kseg.types import Tensor


@keras.saving.register_keras_serializable(package="kseg")
class AtrousConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` that keeps `dilation_rate` inside the convolution (TensorFlow backend).

    Input: float `[B, H, W, C_in]`. Output: float `[B, H', W', filters]`, the size as Keras's layer gives it.
    """

    traced_for: str | None = None

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if max(self.strides) > 1 or self.data_format != "channels_last" or keras.backend.backend() != "tensorflow":
            return super().call(inputs)
        if self.groups > 1 and (max(self.dilation_rate) == 1 or not dilated.runs_here("conv", self.compute_dtype)):
            return super().call(inputs)  # without oneDNN only Keras's layer has a gradient of grouped kernels
        import tensorflow as tf

        kernel, padding = tf.convert_to_tensor(self.kernel), self.padding.upper()
        kernel, rate = (dilated.without_taps_on_padding(kernel, inputs.shape[1:3], self.dilation_rate)
                        if padding == "SAME" else (kernel, dilated.rate_of(kernel, self.dilation_rate)))
        if training and self.groups == 1 and tuple(kernel.shape[:2]) == (1, 1) and self.compute_dtype == "float32":
            outputs = dilated.matrix_product(inputs, kernel)
        elif training and self._takes_cpu_gradients(kernel, rate, padding):
            outputs = cpu_gradients.convolve(inputs, kernel, rate, padding)
        elif max(rate) == 1 or self.traced_for or dilated.runs_here("conv", self.compute_dtype):
            outputs = dilated.convolution(inputs, kernel, rate, padding)
        else:
            outputs = dilated.regrouped_convolution(inputs, kernel, rate, padding)
        return _finished(self, outputs)

    def _takes_cpu_gradients(self, kernel, rate, padding):
        taken = max(rate) == 1 if padding == "VALID" else all(side % 2 == 1 for side in kernel.shape[:2])
        return taken and self.groups == 1 and self.compute_dtype == "float32" and cpu_gradients.serve()


@keras.saving.register_keras_serializable(package="kseg")
class AtrousDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` that keeps `dilation_rate` inside the convolution (TensorFlow backend).

    Input: float `[B, H, W, C]`. Output: float `[B, H', W', C * depth_multiplier]`.
    """

    traced_for: str | None = None

    def call(self, inputs: Tensor) -> Tensor:
        if not _takes_dilated_depthwise(self):
            return super().call(inputs)
        return _finished(self, _depthwise(self, inputs, self.kernel))


@keras.saving.register_keras_serializable(package="kseg")
class AtrousSeparableConv2D(keras.layers.SeparableConv2D):
    """`keras.layers.SeparableConv2D` that keeps `dilation_rate` inside the depthwise convolution (TensorFlow backend).

    Input: float `[B, H, W, C]`. Output: float `[B, H', W', filters]`.
    """

    traced_for: str | None = None

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not _takes_dilated_depthwise(self):
            return super().call(inputs)
        import tensorflow as tf

        outputs = _depthwise(self, inputs, self.depthwise_kernel)
        pointwise = tf.convert_to_tensor(self.pointwise_kernel)
        outputs = (dilated.matrix_product(outputs, pointwise) if training and self.compute_dtype == "float32"
                   else dilated.convolution(outputs, pointwise, (1, 1), "VALID"))
        return _finished(self, outputs)


def _takes_dilated_depthwise(layer):
    return (keras.backend.backend() == "tensorflow" and max(layer.dilation_rate) > 1 and max(layer.strides) == 1
            and layer.padding == "same" and layer.depth_multiplier == 1 and layer.data_format == "channels_last"
            and all(side % 2 == 1 for side in layer.kernel_size))


def _depthwise(layer, inputs, kernel):
    """Depthwise convolution `[B, H, W, C] * [k, k, C, 1]` of `layer`: stride 1, SAME, k odd, dilated."""
    import tensorflow as tf

    kernel, rate = dilated.without_taps_on_padding(tf.convert_to_tensor(kernel), inputs.shape[1:3],
                                                   layer.dilation_rate)
    if tuple(kernel.shape[:2]) == (1, 1):
        return inputs * kernel[0, 0, :, 0]
    here = layer.traced_for is None and dilated.runs_here("depthwise", layer.compute_dtype)
    if max(rate) > 1 and (here or layer.traced_for == "a converter"):
        return dilated.depthwise(inputs, kernel, rate)
    return dilated.regrouped_depthwise(inputs, kernel, rate)


def _finished(layer, outputs):
    """Return the outputs of a convolution with the bias and activation of `layer`."""
    import tensorflow as tf

    if layer.use_bias:
        outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(layer.bias))
    return layer.activation(outputs) if layer.activation is not None else outputs
