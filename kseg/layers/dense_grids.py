"""What stands in for the strided layers of a network that is made dense: other grids, the same values."""

import functools
from typing import Any

import keras
from keras import ops

from kseg.types import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseg")
class AtrousPooling2D(keras.layers.Layer):
    """Pooling of stride 1 whose window samples every `dilation_rate`-th pixel; it replaces a strided pooling.

    Subsampled by the traded stride it equals the strided SAME pooling: padding lies at the end, never counts in a
    mean and never wins a maximum.

    Args:
        pool_size: int, window side in samples.
        dilation_rate: int, distance between samples in pixels.
        mode: "max" or "average".

    Input and output: float `[B, H, W, C]`.
    """

    def __init__(self, pool_size: int = 2, dilation_rate: int = 1, mode: str = "max", **kwargs: Any):
        super().__init__(**kwargs)
        self.pool_size = pool_size
        self.dilation_rate = dilation_rate
        self.mode = mode

    def call(self, inputs: Tensor) -> Tensor:
        # A strided SAME window of side k over stride 2 reaches (k - 2) / 2 samples before its own and the rest after.
        before = (self.pool_size - 1) // 2 * self.dilation_rate
        after = (self.pool_size - 1) * self.dilation_rate - before
        paddings = [[0, 0], [before, after], [before, after], [0, 0]]
        if self.mode == "max":
            lowest = -65504.0 if self.compute_dtype == "float16" else -3.0e38
            return self._pool(ops.maximum, ops.pad(inputs, paddings, constant_values=lowest), inputs)
        total = self._pool(ops.add, ops.pad(inputs, paddings), inputs)
        ones = ops.ones_like(inputs[:1, :, :, :1])
        return total / self._pool(ops.add, ops.pad(ones, paddings), inputs)

    def _pool(self, combine, padded, like):
        """Combine the samples of each window, first down the columns, then along the rows."""
        height, width = ops.shape(like)[1], ops.shape(like)[2]
        offsets = [tap * self.dilation_rate for tap in range(self.pool_size)]
        columns = functools.reduce(combine, [padded[:, top:top + height] for top in offsets])  # [B, H, padded W, C]
        return functools.reduce(combine, [columns[:, :, left:left + width] for left in offsets])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> Config:
        return {**super().get_config(), "pool_size": self.pool_size, "dilation_rate": self.dilation_rate,
                "mode": self.mode}


@keras.saving.register_keras_serializable(package="kseg")
class SpaceToDepth(keras.layers.Layer):
    """Stack the four pixels of every 2x2 cell as channels; an odd last row or column is filled with zeros.

    The stem of CSPDarkNet ("focus"), whose library layer fails at odd sizes.
    Input: float `[B, H, W, C]`. Output: float `[B, ceil(H / 2), ceil(W / 2), 4 C]`, in the order top left,
    bottom left, top right, bottom right.
    """

    def call(self, inputs: Tensor) -> Tensor:
        height, width = (ops.shape(inputs)[1] + 1) // 2, (ops.shape(inputs)[2] + 1) // 2
        padded = ops.pad(inputs, [[0, 0], [0, 1], [0, 1], [0, 0]])
        corners = [padded[:, top::2, left::2][:, :height, :width] for left in (0, 1) for top in (0, 1)]
        return ops.concatenate(corners, axis=-1)  # [B, ceil(H/2), ceil(W/2), 4C]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        half = [None if side is None else (side + 1) // 2 for side in input_shape[1:3]]
        return (input_shape[0], *half, 4 * input_shape[3])

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package="kseg")
class ShiftToStridedPhase(keras.layers.Layer):
    """Shift a map by `rate` pixels to the right and down wherever its coarse size is even.

    TensorFlow's SAME lets a strided 3x3 kernel sample the odd pixels of an even size and the even pixels of an odd one,
    but a strided 1x1 shortcut always the even ones. A dense network samples all pixels, so that its shortcut, to meet
    the same 3x3 outputs as in the strided network, must be shifted just there.

    Args:
        rate: int, pixels between neighbours of the coarse map.

    Input and output: float `[B, H, W, C]`.
    """

    def __init__(self, rate: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, inputs: Tensor) -> Tensor:
        rate, (height, width) = self.rate, ops.shape(inputs)[1:3]
        padded = ops.pad(inputs, [[0, 0], [rate, 0], [rate, 0], [0, 0]])
        top, left = (rate * (((side + rate - 1) // rate) % 2) for side in (height, width))
        return padded[:, top:top + height, left:left + width]  # [B, H, W, C]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), "rate": self.rate}
