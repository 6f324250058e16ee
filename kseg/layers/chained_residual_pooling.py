"""Chained residual pooling: background context from a chain of poolings, each added to the features."""

from typing import Any

import keras

from kseg import checks
from kseg.types import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kseg")
class ChainedResidualPooling(keras.layers.Layer):
    """ReLU, then a chain of 5x5 max-poolings of stride 1 and 3x3 convolutions; every stage's output joins the sum.

    Stage i reads the output of stage i - 1 and the sum starts from the rectified input. The convolutions have neither
    bias nor normalisation.
    Reference: Lin, Milan, Shen, Reid, RefineNet, CVPR 2017, arXiv:1611.06612, section 3.2.

    Args:
        filters: int, channels of the convolutions; the input must have as many.
        stages: int, poolings in the chain. Default 4 (released code); figure 2 of the paper draws 2.
        pool_first: bool, pool before the convolution (paper); False convolves first (the code's improved version).
        kernel_initializer: initialiser of the convolutions.

    Input and output: float `[B, H, W, filters]`.
    """

    def __init__(self, filters: int, stages: int = 4, pool_first: bool = True,
                 kernel_initializer: str | dict | keras.initializers.Initializer = "he_normal", **kwargs: Any):
        super().__init__(**kwargs)
        self.filters = checks.positive_integer("filters", filters)
        self.stages = checks.positive_integer("stages", stages, "The paper uses 2, the released code 4.")
        self.pool_first = pool_first
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.pools = [keras.layers.MaxPooling2D(5, strides=1, padding="same", dtype=self.dtype_policy,
                                                name=f"pool{stage}") for stage in range(1, self.stages + 1)]
        self.convolutions = [
            keras.layers.Conv2D(self.filters, 3, padding="same", use_bias=False, dtype=self.dtype_policy,
                                kernel_initializer=self.kernel_initializer.clone(), name=f"conv{stage}")
            for stage in range(1, self.stages + 1)
        ]

    def build(self, input_shape: Shape) -> None:
        if input_shape[-1] != self.filters:
            raise ValueError(checks.sentence("filters", f"must be {input_shape[-1]}, the channels of the input",
                                             self.filters, "The stages are added to the input."))
        for convolution in self.convolutions:
            convolution.build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        total = stage = keras.ops.relu(inputs)
        for pool, convolution in zip(self.pools, self.convolutions, strict=True):
            stage = convolution(pool(stage)) if self.pool_first else pool(convolution(stage))  # [B, H, W, filters]
            total = total + stage
        return total

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> Config:
        return {**super().get_config(), "filters": self.filters, "stages": self.stages, "pool_first": self.pool_first,
                "kernel_initializer": keras.initializers.serialize(self.kernel_initializer)}
