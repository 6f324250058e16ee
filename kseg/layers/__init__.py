"""Keras layers: everything with weights or a `get_config` that a model of kseg is made of."""

from typing import TYPE_CHECKING

from kseg._lazy import attach

if TYPE_CHECKING:  # the same names for editors and type checkers; a test holds the two equal
    from kseg.layers.adaptive_pooling import AdaptiveAveragePooling2D as AdaptiveAveragePooling2D
    from kseg.layers.argmax_pooling import MaxPoolingWithArgmax2D as MaxPoolingWithArgmax2D
    from kseg.layers.argmax_pooling import MaxUnpooling2D as MaxUnpooling2D
    from kseg.layers.atrous import AtrousConv2D as AtrousConv2D
    from kseg.layers.atrous import AtrousDepthwiseConv2D as AtrousDepthwiseConv2D
    from kseg.layers.atrous import AtrousSeparableConv2D as AtrousSeparableConv2D
    from kseg.layers.batch_normalization import BatchNormalization as BatchNormalization
    from kseg.layers.bilinear_upsampling import BilinearUpsampling2D as BilinearUpsampling2D
    from kseg.layers.chained_residual_pooling import ChainedResidualPooling as ChainedResidualPooling
    from kseg.layers.conv_crf import ConvCRF as ConvCRF
    from kseg.layers.dense_grids import AtrousPooling2D as AtrousPooling2D
    from kseg.layers.dense_grids import ShiftToStridedPhase as ShiftToStridedPhase
    from kseg.layers.dense_grids import SpaceToDepth as SpaceToDepth
    from kseg.layers.local_response_normalization import LocalResponseNormalization as LocalResponseNormalization
    from kseg.layers.map_attention import MapAttention as MapAttention
    from kseg.layers.margins import CropTo as CropTo
    from kseg.layers.margins import PadPixels as PadPixels
    from kseg.layers.margins import RequireValidSize as RequireValidSize
    from kseg.layers.multi_scale import ScaleImages as ScaleImages
    from kseg.layers.normalize_pixels import NormalizePixels as NormalizePixels
    from kseg.layers.resize_to import ResizeTo as ResizeTo

_PUBLIC = {
    "AdaptiveAveragePooling2D": "kseg.layers.adaptive_pooling",
    "AtrousConv2D": "kseg.layers.atrous",
    "AtrousDepthwiseConv2D": "kseg.layers.atrous",
    "AtrousPooling2D": "kseg.layers.dense_grids",
    "AtrousSeparableConv2D": "kseg.layers.atrous",
    "BatchNormalization": "kseg.layers.batch_normalization",
    "BilinearUpsampling2D": "kseg.layers.bilinear_upsampling",
    "ChainedResidualPooling": "kseg.layers.chained_residual_pooling",
    "ConvCRF": "kseg.layers.conv_crf",
    "CropTo": "kseg.layers.margins",
    "LocalResponseNormalization": "kseg.layers.local_response_normalization",
    "MapAttention": "kseg.layers.map_attention",
    "MaxPoolingWithArgmax2D": "kseg.layers.argmax_pooling",
    "MaxUnpooling2D": "kseg.layers.argmax_pooling",
    "NormalizePixels": "kseg.layers.normalize_pixels",
    "ShiftToStridedPhase": "kseg.layers.dense_grids",
    "SpaceToDepth": "kseg.layers.dense_grids",
    "PadPixels": "kseg.layers.margins",
    "RequireValidSize": "kseg.layers.margins",
    "ResizeTo": "kseg.layers.resize_to",
    "ScaleImages": "kseg.layers.multi_scale",
}
__all__ = sorted(_PUBLIC)
if not TYPE_CHECKING:  # else every misspelt name would pass
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
