"""VGG16 and VGG19 laid out once: five stages, in which each network puts its own convolutions and poolings.

Reference: Simonyan, Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015,
arXiv:1409.1556, table 1.
"""

from collections.abc import Callable, Sequence

import keras

from kseg.encoders.row import Encoder, Features, Pairs
from kseg.layers import AtrousConv2D, AtrousPooling2D, BatchNormalization

FILTERS = (64, 128, 256, 512, 512)


def vgg_stages(tensor: keras.KerasTensor, convolutions: Sequence[int], filters: Sequence[int],
               convolve: Callable[..., keras.KerasTensor],
               pool: Callable[..., keras.KerasTensor]) -> list[keras.KerasTensor]:
    """Return what each of the five stages ends in.

    Args:
        tensor: `KerasTensor` `[B, H, W, bands]`, pixels already normalised.
        convolutions: sequence of five int, how many stand in each stage.
        filters: sequence of five int, their channels.
        convolve: function (tensor, channels, stage, name), a convolution and what follows it.
        pool: function (tensor, stage, name), the end of a stage.
    """
    ends = []
    for stage, (count, width) in enumerate(zip(convolutions, filters, strict=True), start=1):
        for index in range(1, count + 1):
            tensor = convolve(tensor, width, stage, f"block{stage}_conv{index}")
        tensor = pool(tensor, stage, f"block{stage}_pool")
        ends.append(tensor)
    return ends


def vgg_normalized(row: Encoder, tensor: keras.KerasTensor, output_stride: int, multi_grid: None,
                   library: None, *, full_rates: bool = False) -> tuple[Features, Pairs]:
    """The layout of torchvision's VGG with batch normalisation, which no library of Keras has.

    Its poolings are what strides, so that the convolutions of a stage have one rate in any case.
    """
    tensors = {}

    def rate_of(stage):  # of a stage's convolutions, and of its pooling
        return max(1, 2 ** (stage - 1) // output_stride)

    def convolve(tensor, width, stage, name):
        outputs = AtrousConv2D(width, 3, padding="same", dilation_rate=rate_of(stage), kernel_initializer="he_normal",
                               name=name)(tensor)
        outputs = BatchNormalization(epsilon=row.epsilon, name=f"{name}_bn")(outputs)
        tensors[name] = keras.layers.ReLU(name=f"{name}_relu")(outputs)
        return tensors[name]

    def pool(tensor, stage, name):
        traded = 2 ** stage > output_stride
        layer = (AtrousPooling2D(2, rate_of(stage), name=name) if traded
                 else keras.layers.MaxPooling2D(2, 2, "valid", name=name))
        tensors[name] = layer(tensor)
        return tensors[name]

    vgg_stages(tensor, row.units, FILTERS, convolve, pool)
    return {key: tensors[tap] for key, tap in row.taps.items()}, []
