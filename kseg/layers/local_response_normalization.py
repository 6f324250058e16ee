"""Local response normalisation across channels."""

from typing import Any

import keras
from keras import ops

from kseg.types import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseg")
class LocalResponseNormalization(keras.layers.Layer):
    """Return x / (1 + alpha / size * sum of x^2 over the `size` nearest channels) ^ beta, in float32.

    Caffe's "across channels" form, which divides alpha by the window.
    Reference: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3.3; on the input of SegNet-Basic (released prototxt).

    Args:
        size: int, odd, channels in the window.
        alpha: float.
        beta: float.

    Input and output: `[B, H, W, C]`.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.size = size
        self.alpha = alpha
        self.beta = beta

    def call(self, inputs: Tensor) -> Tensor:
        values = ops.cast(inputs, "float32")
        if inputs.shape[-1] <= self.size // 2 + 1:  # the window holds all channels, at each of them
            # One factor a pixel. (One a channel would lose int8: TFLite's calibration reads the factor after the
            # product has overwritten it in place, and gives it the range of the product.)
            energy = ops.sum(ops.square(values), axis=-1, keepdims=True)  # [B, H, W, 1]
        else:
            channel = ops.arange(inputs.shape[-1], dtype="int32")
            near = ops.abs(channel[:, None] - channel[None, :]) <= self.size // 2  # [C, C]
            energy = ops.matmul(ops.square(values), ops.cast(near, "float32"))  # [B, H, W, C]
        scaled = values * ops.power(1.0 + self.alpha / self.size * energy, -self.beta)
        return ops.cast(scaled, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> Config:
        return {**super().get_config(), "size": self.size, "alpha": self.alpha, "beta": self.beta}
