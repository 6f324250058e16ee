"""Upsampling by a transposed convolution that starts as bilinear interpolation."""

from typing import Any

import keras
import numpy as np

from kseg import checks
from kseg.types import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseg")
class BilinearUpsampling2D(keras.layers.Layer):
    """Transposed convolution of kernel 2 x `factor` and stride `factor`, without bias, that starts as bilinear.

    The kernel mixes all channels, as Caffe's does; it starts with the bilinear filter between equal channels and zero
    elsewhere. With `trainable=False` it stays so.
    Reference: Long, Shelhamer, Darrell, FCN, CVPR 2015, arXiv:1411.4038, section 3.3.

    Args:
        channels: int, channels of input and output.
        factor: int, times by which the map grows.
        padding: "same" gives factor * H; "valid" gives factor * (H + 1).

    Input: float `[B, H, W, channels]`. Output: float `[B, H', W', channels]`.
    """

    def __init__(self, channels: int, factor: int, padding: str = "same", **kwargs: Any):
        super().__init__(**kwargs)
        self.channels = checks.positive_integer("channels", channels)
        self.factor = checks.positive_integer("factor", factor)
        self.padding = checks.one_of("padding", padding, ("same", "valid"))
        self.convolution = keras.layers.Conv2DTranspose(
            self.channels, 2 * self.factor, strides=self.factor, padding=padding, use_bias=False,
            kernel_initializer=bilinear_kernel, dtype=self.dtype_policy, trainable=self.trainable, name="transposed")

    def build(self, input_shape: Shape) -> None:
        self.convolution.build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return self.convolution(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(self.convolution.compute_output_shape(input_shape))

    def get_config(self) -> Config:
        return {**super().get_config(), "channels": self.channels, "factor": self.factor, "padding": self.padding}


def bilinear_kernel(shape: tuple[int, int, int, int], dtype: str | None = None) -> Tensor:
    """Return the kernel `[k, k, C_out, C_in]` that interpolates each channel bilinearly and mixes none."""
    size, columns, outputs, inputs = shape
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 == 1 else factor - 0.5
    weights = 1 - np.abs(np.arange(size) - center) / factor
    kernel = np.zeros((size, columns, outputs, inputs), np.float32)
    channels = np.arange(min(outputs, inputs))
    kernel[:, :, channels, channels] = (weights[:, None] * weights[None, :])[:, :, None]
    return keras.ops.convert_to_tensor(kernel, dtype or "float32")
