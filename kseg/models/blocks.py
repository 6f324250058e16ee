"""Parts that two or more papers share."""

from typing import Any

import keras

from kseg.layers import AtrousConv2D, AtrousDepthwiseConv2D, BatchNormalization, ResizeTo


def conv_bn_relu(inputs: keras.KerasTensor, filters: int, kernel_size: int = 3, *, dilation_rate: int = 1,
                 epsilon: float = 1e-5, name: str) -> keras.KerasTensor:
    """Convolution without bias, batch normalisation, ReLU: `[B, H, W, C]` to `[B, H, W, filters]`."""
    outputs = AtrousConv2D(filters, kernel_size, padding="same", dilation_rate=dilation_rate, use_bias=False,
                           kernel_initializer="he_normal", name=f"{name}_conv")(inputs)
    outputs = BatchNormalization(epsilon=epsilon, name=f"{name}_bn")(outputs)
    return keras.layers.ReLU(name=f"{name}_relu")(outputs)


def separable_conv_bn_relu(inputs: keras.KerasTensor, filters: int, kernel_size: int = 3, *, dilation_rate: int = 1,
                           epsilon: float = 1e-5, normalize_depthwise: bool = True,
                           name: str) -> keras.KerasTensor:
    """Depthwise convolution, BN, ReLU, pointwise convolution, BN, ReLU: the separable form of DeepLab v3+.

    `normalize_depthwise=False` leaves the first BN and ReLU out.
    """
    outputs = AtrousDepthwiseConv2D(kernel_size, padding="same", dilation_rate=dilation_rate, use_bias=False,
                                    depthwise_initializer="he_normal", name=f"{name}_depthwise")(inputs)
    if normalize_depthwise:
        outputs = BatchNormalization(epsilon=epsilon, name=f"{name}_depthwise_bn")(outputs)
        outputs = keras.layers.ReLU(name=f"{name}_depthwise_relu")(outputs)
    return conv_bn_relu(outputs, filters, 1, epsilon=epsilon, name=f"{name}_pointwise")


def classify(features: keras.KerasTensor, classes: int, like: keras.KerasTensor, *, kernel_size: int = 1,
             method: str = "bilinear", name: str = "logits", **arguments: Any) -> keras.KerasTensor:
    """Class scores at the size of `like`: `[B, h, w, C]` to float32 logits `[B, H, W, classes]`.

    Its weights start as Keras draws them. DeepLab's released code starts them at a deviation of 0.01 for SGD; under
    AdamW at 1e-3 that lags: after the 450 steps of `examples/camvid_table.py`, DeepLabV3Plus had a validation loss of
    0.71 instead of 0.60, and a mean IoU of 0.557 instead of 0.636.
    `method` is `ResizeTo`'s; `arguments` go to the convolution.
    """
    scores = AtrousConv2D(classes, kernel_size, padding="same", dtype="float32", name=f"{name}_scores",
                          **arguments)(features)
    return ResizeTo(method, dtype="float32", name=name)(scores, like)


def auxiliary_head(features: keras.KerasTensor, classes: int, like: keras.KerasTensor, *, filters: int,
                   dropout: float, method: str = "bilinear") -> keras.KerasTensor:
    """Class scores of a middle stage, in training only: 3x3 convolution, BN, ReLU, dropout, classifier.

    `method` is `ResizeTo`'s.
    """
    hidden = conv_bn_relu(features, filters, 3, name="aux")
    hidden = keras.layers.Dropout(dropout, name="aux_dropout")(hidden)
    return classify(hidden, classes, like=like, method=method, name="aux_logits")
