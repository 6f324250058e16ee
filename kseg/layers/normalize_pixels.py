"""Pixels 0-255 to the range an encoder was trained on: the first layer of every model."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kseg.types import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseg")
class NormalizePixels(keras.layers.Layer):
    """Return `(pixels - mean) / std`, band by band, in float32 and then the layer's compute dtype.

    Images with fewer bands than `mean` has entries are repeated up to that number, so that a grey image gives what
    its three equal channels would give; with more bands, mean and std repeat.

    Args:
        mean: sequence of float, 0-255 scale, one per band (RGB order).
        std: sequence of float, 0-255 scale, one per band.

    Input: uint8 or float `[B, H, W, bands]`, 0-255. Output: float `[B, H, W, max(bands, len(mean))]`.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.mean = [float(value) for value in mean]
        self.std = [float(value) for value in std]

    def call(self, inputs: Tensor) -> Tensor:
        bands, wanted = inputs.shape[-1], len(self.mean)
        pixels = ops.cast(inputs, "float32")
        if bands < wanted:
            pixels = ops.concatenate([pixels] * -(-wanted // bands), axis=-1)[..., :wanted]  # [B, H, W, wanted]
        count = max(bands, wanted)
        mean = ops.convert_to_tensor([self.mean[band % wanted] for band in range(count)], "float32")
        scale = ops.convert_to_tensor([1.0 / self.std[band % wanted] for band in range(count)], "float32")
        return ops.cast((pixels - mean) * scale, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], max(input_shape[-1], len(self.mean)))

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), "mean": self.mean, "std": self.std}
