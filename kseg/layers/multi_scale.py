"""Images at another scale, for networks that look at several."""

import math
from typing import Any

import keras
from keras import ops

from kseg.layers.resize_to import ResizeTo
from kseg.types import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseg")
class ScaleImages(ResizeTo):
    """Resize images bilinearly to `scale` times their size, rounded to whole pixels; any size, known or not.

    Reference: Chen et al., DeepLab, PAMI 2018, arXiv:1606.00915, section 4.1.2 (multi-scale inputs).

    Args:
        scale: float above 0, output pixels per input pixel.
        dtype: pass "float32" for pixels 0-255, so that mixed precision does not round them.

    Input: float `[B, H, W, C]`. Output: float `[B, round(scale H), round(scale W), C]`.
    """

    def __init__(self, scale: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Tensor) -> Tensor:
        shape = ops.shape(inputs)
        height, width = self._scaled(shape[1]), self._scaled(shape[2])
        return super().call(inputs, ops.zeros((1, height, width, 1), dtype=self.compute_dtype))

    def _scaled(self, side):
        if side is None:
            return None
        if isinstance(side, int):
            return max(1, math.floor(side * self.scale + 0.5))
        return ops.maximum(1, ops.cast(ops.floor(ops.cast(side, "float32") * self.scale + 0.5), "int32"))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self._scaled(input_shape[1]), self._scaled(input_shape[2]), input_shape[3])

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), "scale": self.scale}
