"""Keras layers: everything with weights or a `get_config` that a model of kseg is made of."""

from kseg._lazy import attach

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
__getattr__, __dir__ = attach(__name__, _PUBLIC)
