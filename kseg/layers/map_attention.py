"""Attention of the pixels of one map to those of another."""

import math
from typing import Any

import keras
from keras import ops

from kseg.types import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseg")
class MapAttention(keras.layers.Layer):
    """Scaled dot-product attention of every pixel of a map to all pixels of another, for maps of any size.

    Args:
        heads: int, into which the channels are divided.

    Input: queries, float `[B, H, W, C]`; keys and, after them, values, float `[B, h, w, 2 C]`.
    Output: float `[B, H, W, C]`.
    """

    def __init__(self, heads: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads = heads

    def call(self, queries: Tensor, keys_and_values: Tensor) -> Tensor:
        keys, values = ops.split(keys_and_values, 2, axis=-1)
        width = queries.shape[-1] // self.heads
        # The scale goes to the queries, which are fewer than the products.
        asked, known, told = (self._by_head(tensor, width) for tensor in (queries / math.sqrt(width), keys, values))
        shares = ops.softmax(ops.matmul(asked, ops.transpose(known, (0, 1, 3, 2))), axis=-1)  # [B, heads, HW, hw]
        outputs = ops.transpose(ops.matmul(shares, told), (0, 2, 1, 3))  # [B, HW, heads, C / heads]
        return ops.reshape(outputs, ops.shape(queries))  # [B, H, W, C]

    def _by_head(self, tensor, width):
        split = ops.reshape(tensor, (ops.shape(tensor)[0], -1, self.heads, width))  # [B, HW, heads, C / heads]
        return ops.transpose(split, (0, 2, 1, 3))

    def compute_output_shape(self, queries_shape: Shape, keys_and_values_shape: Shape) -> Shape:
        return queries_shape

    def compute_output_spec(self, queries: Tensor, keys_and_values: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(queries.shape, dtype=self.compute_dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), "heads": self.heads}
