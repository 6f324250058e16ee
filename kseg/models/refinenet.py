"""RefineNet: four cascaded blocks refine an encoder's features from coarse to fine.

Reference: Lin, Milan, Shen, Reid, RefineNet: Multi-Path Refinement Networks for High-Resolution Semantic Segmentation,
CVPR 2017, arXiv:1611.06612; released code (guosheng/refinenet).
"""

import keras

from kseg import checks
from kseg.layers import ChainedResidualPooling, ResizeTo
from kseg.models.arguments import documented
from kseg.models.assembly import encoder_for, finish, pixels_input
from kseg.models.blocks import classify
from kseg.models.segmenter import Segmenter
from kseg.models.walk import layers_of
from kseg.types import EncoderName, EncoderWeights, ImageSize


@documented(encoder_name="str, see `kseg.encoders.names()`; or a keras_cv / KerasHub backbone. It is not dilated.",
            compile="bool, compile with AdamW (rate 1e-4), cross-entropy and mean IoU.")
def RefineNet(classes: int, encoder_name: EncoderName = "resnet101", encoder_weights: EncoderWeights = None,
              in_channels: int = 3, image_size: ImageSize = (None, None), *, filters: int = 256,
              convention: str = "code", pooling_stages: int | None = None, output_units: int | None = None,
              last_output_units: int | None = None, pool_first: bool = True, dropout: float = 0.5,
              freeze_batch_norm: bool = False, task: str = "multiclass",
              compile: bool = True, name: str = "refinenet") -> Segmenter:
    """Return the 4-cascaded RefineNet, pixels to logits.

    Each block adapts its inputs with two residual units, fuses them at the finest size, pools in a residual chain, and
    convolves with output units. No batch normalisation outside the encoder.

    Args:
        Arguments of every builder: `kseg.models.arguments`.
        filters: int, channels of the blocks; the first one, on c5, has twice as many (256: section 3.2).
        convention: "code" (4 poolings, 3 output units in each block) or "paper" (2, and 1 with 2 more in the last).
        pooling_stages: int or None, replaces the convention's poolings in a chain.
        output_units: int or None, replaces the convention's output units of a block.
        last_output_units: int or None, replaces the convention's output units of the last block.
        pool_first: bool, chains pool before they convolve; False is the released code's improved version.
        dropout: float, rate on c4 and c5 (taps of more than 512 channels) and before the classifier (released: 0.5).
        freeze_batch_norm: bool, batch normalisation of the encoder stands still, as in the paper; for pretrained
            encoders.
    Returns:
        `Segmenter`: pixels `[B, H, W, in_channels]` 0-255 to float32 logits `[B, H, W, classes]`.
    Raises:
        ValueError: for an unknown encoder or one without the stages c2…c5.
    """
    checks.one_of("convention", convention, ("code", "paper"))
    checks.number_between("dropout", dropout, 0, 1)
    checks.positive_integer("filters", filters)
    chosen = {"code": (4, 3, 3), "paper": (2, 1, 3)}[convention]
    given = (pooling_stages, output_units, last_output_units)
    names = ("pooling_stages", "output_units", "last_output_units")
    poolings, units, last_units = (
        default if value is None else checks.positive_integer(argument, value)
        for argument, default, value in zip(names, chosen, given, strict=True))
    pixels = pixels_input(in_channels, image_size, classes, task)
    stages = ("c5", "c4", "c3", "c2")
    encoder = encoder_for(pixels, encoder_name, encoder_weights, builder="RefineNet", stages=stages)
    if freeze_batch_norm:
        _freeze_batch_norm(encoder)
    features, refined = encoder(pixels), None
    for number, stage in zip((4, 3, 2, 1), stages, strict=True):
        tap = features[stage]
        if tap.shape[-1] > 512:
            tap = keras.layers.Dropout(dropout, name=f"refine{number}_dropout")(tap)
        width = 2 * filters if number == 4 else filters
        refined = _refine(tap, refined, width, f"refine{number}", poolings=poolings, pool_first=pool_first,
                          output_units=last_units if number == 1 else units)
    refined = keras.layers.Dropout(dropout, name="head_dropout")(refined)  # [B, H/4, W/4, filters]
    logits = classify(refined, classes, like=pixels, kernel_size=3, kernel_initializer=_normal(filters))
    return finish(pixels, logits, task=task, compile=compile, name=name, learning_rate=1e-4)


def _refine(tap, coarser, width, name, *, poolings, output_units, pool_first):
    """One block (figure 3b) on an encoder's `tap` `[B, h, w, C]` and the former block's output or None."""
    features = _conv(tap, width, f"{name}_adapt")
    for unit in (1, 2):
        features = residual_unit(features, f"{name}_unit{unit}")
    if coarser is not None:
        width = min(width, coarser.shape[-1])
        raised = ResizeTo(name=f"{name}_up")(_conv(coarser, width, f"{name}_fuse_coarser"), features)
        features = keras.layers.Add(name=f"{name}_sum")([_conv(features, width, f"{name}_fuse"), raised])
    features = ChainedResidualPooling(width, poolings, pool_first, _normal(width),
                                      name=f"{name}_pooling")(features)
    for unit in range(1, output_units + 1):
        features = residual_unit(features, f"{name}_output_unit{unit}")
    return features


def residual_unit(inputs: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Return x + conv(ReLU(conv(ReLU(x)))): 3x3, the first with a bias (section 3.2, without BN)."""
    outputs = keras.layers.ReLU(name=f"{name}_relu1")(inputs)
    outputs = _conv(outputs, inputs.shape[-1], f"{name}_conv1", use_bias=True)
    outputs = keras.layers.ReLU(name=f"{name}_relu2")(outputs)
    outputs = _conv(outputs, inputs.shape[-1], f"{name}_conv2")
    return keras.layers.Add(name=f"{name}_add")([inputs, outputs])


def _conv(inputs, filters, name, use_bias=False):
    return keras.layers.Conv2D(filters, 3, padding="same", use_bias=use_bias,
                               kernel_initializer=_normal(inputs.shape[-1]), name=name)(inputs)


def _normal(channels):
    # Released code: 0.01 for every convolution of the decoder, most of which read 256 channels. Fewer channels get
    # more, so that signals keep the size they have in the published network.
    return keras.initializers.RandomNormal(stddev=0.01 * max(1.0, (256 / channels) ** 0.5))


def _freeze_batch_norm(encoder):
    for layer in layers_of(encoder):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
