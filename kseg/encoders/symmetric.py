"""Cloning a library network in PyTorch's geometry.

PyTorch pads a strided convolution or pooling with `k // 2` zeros on all sides, whatever the size, where TensorFlow's
SAME pads an even size at its end alone: the same weights on the other geometry see every pixel shifted. Poolings and
convolutions without padding leave an incomplete window at the end out.
"""

import keras

from kseg.encoders.dilate import Cloner
from kseg.encoders.row import Encoder, Features, Pairs
from kseg.layers import BatchNormalization

_WINDOWS = ("Conv2D", "DepthwiseConv2D", "MaxPooling2D", "AveragePooling2D")


def symmetric(row: Encoder, tensor: keras.KerasTensor, output_stride: int, multi_grid: None,
              library: keras.Model) -> tuple[Features, Pairs]:
    """The layout of a library's network built at 512x512 pixels: its clone in PyTorch's geometry, for any size."""
    cloner = SymmetricCloner(library, output_stride, row.epsilon)
    cloner.run(tensor)
    return {key: cloner.tapped(tap) for key, tap in row.taps.items()}, cloner.pairs


class SymmetricCloner(Cloner):
    """A `Cloner` whose strided layers pad symmetrically, and whose batch normalisations have another epsilon.

    A traded stride needs nothing of its own: unstrided, SAME is symmetric.

    Args:
        library: functional `keras.Model`, `[None, 512, 512, 3]` to features.
        output_stride: int, input pixels per pixel of the last stage.
        epsilon: float or None, of every batch normalisation; None keeps the library's.
    """

    def __init__(self, library: keras.Model, output_stride: int, epsilon: float | None):
        super().__init__(library, output_stride, {}, shifted_shortcuts=False)
        self.epsilon = epsilon

    def _apply(self, layer, tensor, grid, stride):
        if self._strides(layer, grid * stride > self.output_stride):
            reach = self._window(layer) // 2 if self._window(layer) % 2 else 0  # an even window stands unpadded
            if reach:
                tensor = keras.layers.ZeroPadding2D(reach, name=f"{layer.name}_symmetric")(tensor)
        return super()._apply(layer, tensor, grid, stride)

    def _clone(self, layer, kind, rate, traded):
        clone = super()._clone(layer, kind, rate, traded)
        if self._strides(layer, traded):
            return type(clone).from_config({**clone.get_config(), "padding": "valid"})
        if kind == "BatchNormalization" and self.epsilon is not None:
            return BatchNormalization(**{**layer_arguments(clone), "epsilon": self.epsilon})
        return clone

    @staticmethod
    def _window(layer):
        return layer.kernel_size[0] if hasattr(layer, "kernel_size") else layer.pool_size[0]

    @staticmethod
    def _strides(layer, traded):
        """Whether `layer` moves a window by more than a pixel in the clone too."""
        return type(layer).__name__ in _WINDOWS and max(layer.strides) > 1 and not traded

    def _recomputed(self, layer):
        return True  # every padding layer of the library gives way to the one above

    def _keeps_padding(self, layer):
        return False


def layer_arguments(layer: keras.layers.BatchNormalization) -> dict:
    """Return the arguments that a batch normalisation was made with, as far as they change its values."""
    return {key: layer.get_config()[key] for key in ("name", "axis", "epsilon", "center", "scale")}
