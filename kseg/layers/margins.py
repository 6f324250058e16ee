"""Margins: what is cut off a map to fit another, put around an image, or left over by valid convolutions."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kseg import checks
from kseg.types import Config, ImageSize, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseg")
class CropTo(keras.layers.Layer):
    """Cut `inputs` to the height and width of `reference`.

    Args:
        offset: int, rows cut at the top and columns at the left; or "center" to cut as much on either side.

    Inputs: `[B, H, W, C]` and any tensor `[B, h, w, ...]` with h + offset <= H. Output: `[B, h, w, C]`.
    """

    def __init__(self, offset: int | str = 0, **kwargs: Any):
        super().__init__(**kwargs)
        if offset != "center":
            checks.positive_integer("offset", offset, 'Pass 0 for the top left corner, or "center".', minimum=0)
        self.offset = offset

    def call(self, inputs: Tensor, reference: Tensor) -> Tensor:
        have, want = inputs.shape[1:3], reference.shape[1:3]
        if None not in (*have, *want) and tuple(have) == tuple(want):
            return inputs
        have, want = ops.shape(inputs), ops.shape(reference)
        if self.offset == "center":
            top, left = (have[1] - want[1]) // 2, (have[2] - want[2]) // 2
        else:
            top = left = self.offset
        return inputs[:, top:top + want[1], left:left + want[2]]

    def compute_output_shape(self, inputs_shape: Shape, reference_shape: Shape) -> Shape:
        return (inputs_shape[0], *reference_shape[1:3], inputs_shape[3])

    def compute_output_spec(self, inputs: Tensor, reference: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape, reference.shape), dtype=inputs.dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), "offset": self.offset}


@keras.saving.register_keras_serializable(package="kseg")
class PadPixels(keras.layers.Layer):
    """Put `margin` pixels of one colour around images.

    With the mean an encoder subtracts as colour, this is zero padding of its normalised input. Images with fewer bands
    than the colour are repeated up to that number first, as `NormalizePixels` does.

    Args:
        margin: int, pixels on each side.
        color: sequence of float, 0-255, one per band; repeated if the image has more bands.

    Input: `[B, H, W, bands]` 0-255. Output: float32 `[B, H + 2 margin, W + 2 margin, max(bands, len(color))]`.
    """

    def __init__(self, margin: int, color: Sequence[float], **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.margin = checks.positive_integer("margin", margin, minimum=0)
        self.color = [float(value) for value in color]

    def call(self, inputs: Tensor) -> Tensor:
        bands, wanted = inputs.shape[-1], len(self.color)
        pixels = ops.cast(inputs, "float32")
        if bands < wanted:
            pixels = ops.concatenate([pixels] * -(-wanted // bands), axis=-1)[..., :wanted]  # [B, H, W, wanted]
        color = ops.convert_to_tensor([self.color[band % wanted] for band in range(max(bands, wanted))], "float32")
        side = (self.margin, self.margin)
        inside = ops.pad(ops.ones_like(pixels[..., :1]), [(0, 0), side, side, (0, 0)])  # 1 on the image, 0 around it
        return ops.pad(pixels, [(0, 0), side, side, (0, 0)]) + (1.0 - inside) * color

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        grown = [None if length is None else length + 2 * self.margin for length in input_shape[1:3]]
        return (input_shape[0], *grown, max(input_shape[3], len(self.color)))

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype="float32")

    def get_config(self) -> Config:
        return {**super().get_config(), "margin": self.margin, "color": self.color}


@keras.saving.register_keras_serializable(package="kseg")
class RequireValidSize(keras.layers.Layer):
    """Pass images on whose sides suit a U-Net of valid convolutions; raise for others, naming the nearest that do.

    Args:
        depth: int, 2x2 poolings of the network (Ronneberger et al. 2015: 4).

    Input and output: `[B, H, W, C]`. Sizes unknown until run time are not checked.
    """

    def __init__(self, depth: int = 4, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.depth = depth

    def call(self, inputs: Tensor) -> Tensor:
        self.check(inputs.shape[1:3])
        return inputs

    def check(self, size: ImageSize) -> None:
        """Raise ValueError unless every known side of `size` is legal."""
        for side in size:
            if side is None or valid_sizes(side, self.depth) == (side, side):
                continue
            below, above = valid_sizes(side, self.depth)
            nearest = f"{above}" if below is None else f"{below} or {above}"
            raise ValueError(checks.sentence(
                "image_size", f"must leave an even map at each of {self.depth} poolings of valid convolutions",
                tuple(size), f"Nearest legal side to {side}: {nearest}; or build with padding=\"same\" for any size."))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        self.check(inputs.shape[1:3])
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), "depth": self.depth}


def valid_sizes(side: int, depth: int = 4) -> tuple[int | None, int]:
    """Return the nearest input sides below and above `side`, in pixels, that a U-Net of valid convolutions takes.

    With two 3x3 convolutions a level, a side suits if every pooling sees an even map and the output is not empty: for
    depth 4, 16 k + 12 from 188 on. "Below" may be None; both are `side` if it suits.
    """
    factor = 2 ** depth
    smallest = (3 if depth == 1 else 4) * factor + valid_loss(depth) - 4 * (factor - 1)
    if side < smallest:
        return None, smallest
    below = smallest + (side - smallest) // factor * factor
    return below, below if below == side else below + factor


def valid_loss(depth: int = 4) -> int:
    """Return by how many pixels the output of a U-Net of valid convolutions is smaller than its input (184)."""
    # Every level costs 4 pixels of its own on the way down and, but for the lowest, 4 on the way up.
    return 4 * 2 ** depth + 8 * (2 ** depth - 1)
