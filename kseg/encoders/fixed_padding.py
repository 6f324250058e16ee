"""Cloning a library network in the geometry of PyTorch's libraries, whose padding does not depend on the image's size.

PyTorch pads a strided convolution or pooling with `k // 2` zeros on all sides, where TensorFlow's SAME pads an even
size at its end alone: the same weights on the other geometry see every pixel shifted. efficientnet-pytorch (and smp)
pads every size as SAME pads the image that a network was designed for. Poolings and convolutions without padding leave
an incomplete window at the end out.
"""

import math

import keras

from kseg.encoders.dilate import Cloner
from kseg.encoders.row import Encoder, Features, Pairs
from kseg.layers import BatchNormalization

_WINDOWS = ("Conv2D", "DepthwiseConv2D", "MaxPooling2D", "AveragePooling2D")
_LOWEST = -3.0e38


def fixed_padding(row: Encoder, tensor: keras.KerasTensor, output_stride: int, multi_grid: None,
                  library: keras.Model, *, full_rates: bool = False) -> tuple[Features, Pairs]:
    """The layout of a library's network built at 512x512 pixels: its clone with fixed padding, for any size."""
    cloner = FixedPaddingCloner(library, output_stride, row, full_rates)
    cloner.run(tensor)
    return {key: cloner.tapped(tap) for key, tap in row.taps.items()}, cloner.pairs


class FixedPaddingCloner(Cloner):
    """A `Cloner` whose strided layers have a padding of their own, and whose batch normalisations another epsilon.

    A traded stride needs nothing of its own: without strides, SAME is symmetric.

    Args:
        library: functional `keras.Model`, `[None, 512, 512, 3]` to features.
        output_stride: int, input pixels per pixel of the last stage.
        row: `Encoder`, which tells the padding and the epsilon.
        full_rates: bool, whether a convolution that gives up its stride takes the rate of those after it.
    """

    def __init__(self, library: keras.Model, output_stride: int, row: Encoder, full_rates: bool = False):
        super().__init__(library, output_stride, {}, False, full_rates)
        self.row = row

    def _apply(self, layer, tensor, grid, stride):
        if self._strides(layer, grid * stride > self.output_stride):
            margins = self._margins(layer, grid)
            if any(margins):
                tensor = self._padded(layer, tensor, margins)
        return super()._apply(layer, tensor, grid, stride)

    def _margins(self, layer, grid):
        """Return the padding (before, after) of a strided layer; an even window stands unpadded."""
        window, stride = self._window(layer), layer.strides[0]
        if window % 2 == 0:
            return 0, 0
        if self.row.padded_for is None:
            return window // 2, window // 2
        side = math.ceil(self.row.padded_for / grid)
        total = max(0, (math.ceil(side / stride) - 1) * stride + window - side)
        return total // 2, total - total // 2

    @staticmethod
    def _padded(layer, tensor, margins):
        of_normalized = type(layer.input._keras_history.operation).__name__ == "BatchNormalization"
        if isinstance(layer, keras.layers.MaxPooling2D) and of_normalized:  # a zero would win among negative values
            return keras.ops.pad(tensor, ((0, 0), margins, margins, (0, 0)), constant_values=_LOWEST)
        return keras.layers.ZeroPadding2D((margins, margins), name=f"{layer.name}_margin")(tensor)

    def _clone(self, layer, kind, rate, traded):
        if self.full_rates and layer.name.startswith(self.row.ahead):
            rate = max(1, 32 // self.output_stride)
        clone = super()._clone(layer, kind, rate, traded)
        if self._strides(layer, traded):
            return type(clone).from_config({**clone.get_config(), "padding": "valid"})
        if kind == "BatchNormalization" and self.row.epsilon is not None:
            config = clone.get_config()
            kept = {key: config[key] for key in ("name", "axis", "center", "scale")}
            return BatchNormalization(**kept, epsilon=self.row.epsilon)
        return clone

    @staticmethod
    def _window(layer):
        return layer.kernel_size[0] if hasattr(layer, "kernel_size") else layer.pool_size[0]

    @staticmethod
    def _strides(layer, traded):
        """Whether `layer` moves a window by more than a pixel in the clone too."""
        return type(layer).__name__ in _WINDOWS and max(layer.strides) > 1 and not traded

    def _recomputed(self, layer):
        return True  # every padding layer of the library gives way to the margins above

    def _keeps_padding(self, layer):
        return False
