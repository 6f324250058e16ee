"""Average pooling into a fixed number of bins, at any size."""

from typing import Any

import keras
from keras import ops

from kseg.types import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseg")
class AdaptiveAveragePooling2D(keras.layers.Layer):
    """Average `[B, H, W, C]` over a grid of `bins` x `bins` windows; H and W may be unknown until run time.

    Bin i covers rows floor(i H / bins) to ceil((i + 1) H / bins): windows overlap where bins does not divide H, and a
    map smaller than `bins` repeats. Pooling is two small matrix products, so it needs no window of a size known in
    advance and exports to built-in operators.
    Reference: Zhao et al., Pyramid Scene Parsing Network, CVPR 2017, section 3.2.

    Args:
        bins: int, side of the output grid.

    Output: float `[B, bins, bins, C]`.
    """

    def __init__(self, bins: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.bins = bins

    def call(self, inputs: Tensor) -> Tensor:
        values = ops.cast(inputs, "float32")
        if self.bins == 1:
            return ops.cast(ops.mean(values, axis=(1, 2), keepdims=True), self.compute_dtype)
        height, width, channels = ops.shape(inputs)[1], ops.shape(inputs)[2], inputs.shape[3]
        rows, columns = self._weights(height), self._weights(width)  # [bins, H], [bins, W]
        pooled = ops.matmul(rows[None], ops.reshape(values, (-1, height, width * channels)))  # [B, bins, W * C]
        pooled = ops.reshape(pooled, (-1, self.bins, width, channels))
        pooled = ops.matmul(columns[None, None], pooled)  # [B, bins, bins, C]
        return ops.cast(pooled, self.compute_dtype)

    def _weights(self, length):
        """Return the averaging matrix `[bins, length]`: 1 / window length inside each window, 0 outside."""
        bin_index = ops.arange(self.bins, dtype="int32")[:, None]
        position = ops.arange(length, dtype="int32")[None, :]
        start = bin_index * length // self.bins
        end = ((bin_index + 1) * length + self.bins - 1) // self.bins
        inside = ops.cast(ops.logical_and(position >= start, position < end), "float32")
        return inside / ops.cast(end - start, "float32")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.bins, self.bins, input_shape[3])

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), "bins": self.bins}
