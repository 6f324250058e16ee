"""What the table of encoders says about one network."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import keras

from kseg.types import ImageSize

Features: TypeAlias = dict[str, keras.KerasTensor]
Pairs: TypeAlias = list[tuple[keras.layers.Layer, keras.layers.Layer]]  # (library layer, its clone) with weights


@dataclasses.dataclass(frozen=True)
class Encoder:
    """One row of the table: all that is special about a network.

    Args:
        name: str, its name in the table.
        library: str, "keras.applications", "keras_cv" or "kseg".
        layout: function that lays the network out, `(row, tensor, output_stride, multi_grid, library, full_rates=)` to
            (features, pairs of layers whose weights are copied from the library's network). `tensor` `[B, H, W, bands]`
            are pixels already normalised, `multi_grid` is None or the factors on the rates of the last stage's units
            (DeepLab v3 section 3.2.1), `library` what `build` returns.
        pixels: (mean, std), three numbers each, 0-255 scale, RGB.
        parameters: int, up to c5, moving statistics included; `kseg models` prints it and a test counts some again.
        class_name: str, the constructor in the library; empty for a network of kseg's own.
        arguments: mapping, its keyword arguments.
        taps: mapping, "c1"…"c5" (and "low_level") to a layer name of the library's network.
        preset: str or None, name of the library's ImageNet weights in keras_cv.
        url: str, the file of ImageNet weights of PyTorch's libraries in this geometry; empty for none.
        imagenet_row: str, the sibling that is built for "imagenet", where only its geometry has weights.
        imagenet_source: str, who publishes the weights of "imagenet": the library, "torchvision" or "timm"; empty if
            nobody does.
        licence: str, of these weights; empty for none.
        bgr: bool, whether the library's weights expect blue first.
        strides: tuple of int, output strides it can give.
        multi_grid: tuple of str, the 3x3 convolutions of c5's three units, for DeepLab v3; empty: it has no such units.
        shifted_shortcuts: bool, whether strided 1x1 shortcuts meet strided 3x3 kernels (see `ShiftToStridedPhase`).
        side_multiple: int or None; None takes images of any size, a number one square size that it divides.
        bands: tuple of int, the numbers of input bands it takes; empty for any.
        convolutions: tuple of int, how many stand in each of the five stages of a VGG; empty for another network.
        padding: str, "same"; "symmetric" as PyTorch pads, `k // 2` on all sides of strided layers at every size; or
            "static": that of SAME at `padded_for`, at every size.
        padded_for: int or None, side of an image in pixels.
        ahead: tuple of str, how the layers of c4's stride begin that `full_rates` gives the rate of c5.
        epsilon: float or None, of every batch normalisation instead of the library's.
        origins: tuple of str, whose arrays have this geometry: "torchvision", "timm" or "timm tf" (its networks named
            `tf_…`), "efficientnet_pytorch"; see `kseg.encoders.origin`.
        names: function from (PyTorch's arrays, encoder) to arrays by Keras's paths, or None.
        siblings: tuple of str, the rows of the same network in the geometry of other origins.
        units: tuple of int, how many stand in each of the four stages of a ResNet of kseg's, or convolutions in those
            of a VGG with batch normalisation (which SegNet and DeepLab v1 do not take); empty for another network.
        bottleneck: bool, whether these are of three convolutions instead of two.
        stem: tuple of int, the channels of its convolutions before the pooling: one of 7x7, or several of 3x3.
        with_holes: bool, whether DeepLab v1 and v2 lay it out with holes and keep its fully connected layers (VGG16).
    """

    name: str
    library: str
    layout: Callable[..., tuple[Features, Pairs]]
    pixels: tuple[tuple[float, ...], tuple[float, ...]]
    parameters: int
    class_name: str = ""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    taps: Mapping[str, str] = dataclasses.field(default_factory=dict)
    preset: str | None = None
    url: str = ""
    imagenet_row: str = ""
    imagenet_source: str = ""
    licence: str = ""
    bgr: bool = False
    strides: tuple[int, ...] = (8, 16, 32)
    multi_grid: tuple[str, ...] = ()
    shifted_shortcuts: bool = False
    side_multiple: int | None = None
    bands: tuple[int, ...] = ()
    convolutions: tuple[int, ...] = ()
    units: tuple[int, ...] = ()
    padding: str = "same"
    padded_for: int | None = None
    ahead: tuple[str, ...] = ()
    epsilon: float | None = None
    origins: tuple[str, ...] = ()
    names: Callable[..., Any] | None = None
    siblings: tuple[str, ...] = ()
    bottleneck: bool = False
    stem: tuple[int, ...] = ()
    with_holes: bool = False

    @property
    def geometry(self) -> str:
        """How it pads and normalises, in words; the rows of one network differ in it or in their pixels."""
        padding = self.padding if self.padded_for is None else f"{self.padding} for {self.padded_for} pixels"
        return f"padding {padding}, epsilon {self.epsilon or 'of ' + self.library}"

    def build(self, weights: str | None = None, size: ImageSize = (512, 512)) -> keras.Model | None:
        """Return the library's network without its classifier at `size` pixels; None for a network of kseg's own.

        Args:
            weights: None or "imagenet".
            size: (height, width) in pixels.
        """
        if not self.class_name:
            return None
        if self.library == "keras.applications":
            constructor = getattr(keras.applications, self.class_name)
            return constructor(include_top=False, weights=weights, input_shape=(*size, 3), **self.arguments)
        constructor = getattr(importlib.import_module("keras_cv.models"), self.class_name)
        shared = {"include_rescaling": False, "input_shape": (*size, 3)}  # NormalizePixels rescales
        if weights:
            return constructor.from_preset(self.preset, load_weights=True, **shared)
        return constructor(**shared, **self.arguments)
