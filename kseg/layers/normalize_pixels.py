"""Pixels 0-255 to the range an encoder was trained on: the first layer of every model."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kseg import checks
from kseg.types import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseg")
class NormalizePixels(keras.layers.Layer):
    """Return `(pixels - mean) / std`, band by band, in float32 and then the layer's compute dtype.

    Images with fewer bands than `mean` has entries are repeated up to that number, so that a grey image gives what
    its three equal channels would give; with more bands, mean and std repeat.

    Args:
        mean: sequence of float, 0-255 scale, one per band (RGB order).
        std: sequence of float, 0-255 scale, one per band.
        geometry: str or None, how the network behind it pads and normalises. It is saved with the weights, so that they
            are not loaded into a network of another geometry, whose arrays have the same names and shapes.

    Input: uint8 or float `[B, H, W, bands]`, 0-255. Output: float `[B, H, W, max(bands, len(mean))]`.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], geometry: str | None = None, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.mean = [float(value) for value in mean]
        self.std = [float(value) for value in std]
        self.geometry = geometry

    @property
    def expected(self) -> str:
        """What weights must have been trained with."""
        return expected(self.geometry, self.mean, self.std)

    def save_own_variables(self, store: dict[str, Any]) -> None:
        super().save_own_variables(store)
        if self.geometry is not None:
            store["geometry"] = as_array(self.expected)

    def load_own_variables(self, store: dict[str, Any]) -> None:
        saved = as_text(store["geometry"]) if "geometry" in store and self.geometry is not None else self.expected
        if saved != self.expected:
            raise ValueError(checks.sentence("weights", f"must come from a network of {self.expected}", saved,
                                             "Build the network that they were trained in."))

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
        return {**super().get_config(), "mean": self.mean, "std": self.std, "geometry": self.geometry}


def expected(geometry: str | None, mean: Sequence[float], std: Sequence[float]) -> str:
    """Return the text that is saved beside weights: the geometry, and the mean and deviation of their pixels."""
    return f"{geometry}, mean {tuple(round(value, 3) for value in mean)}, " \
           f"deviation {tuple(round(value, 3) for value in std)}"


def as_array(text: str) -> np.ndarray:
    """Return `text` as uint8, which every file of weights can hold."""
    return np.frombuffer(text.encode(), "uint8")


def as_text(array: Any) -> str:
    """Return the text that `as_array` made an array of."""
    return np.asarray(array, "uint8").tobytes().decode("utf-8", "replace")
