"""Networks that tell annotated label maps from predicted ones: LargeFOV, SmallFOV and the two-branch network.

3×3 convolutions with ReLU, 2×2 max pools of stride 2, no batch normalisation; the last convolution has two outputs,
whose averages over the map are the logits of (predicted, annotated).
Reference: Luc, Couprie, Chintala, Verbeek, Semantic Segmentation using Adversarial Networks, NIPS workshop 2016,
arXiv:1611.08408, section 3.3 and its figure of the architectures.
"""

import keras

from kseg import checks
from kseg.models.segmenter import Segmenter
from kseg.training.adversarial.recipe import DISCRIMINATORS, LABEL_ENCODINGS


def discriminator(name: str, classes: int, label_encoding: str = "basic", in_channels: int = 3) -> keras.Model:
    """Return the discriminator `name` for segmenters of `classes` classes.

    Args:
        name: str, one of "LargeFOV", "LargeFOV-light", "SmallFOV", "SmallFOV-light", "Stanford".
        classes: int, classes of the segmenter.
        label_encoding: str, as in `AdversarialTrainer`; "product" makes `classes * in_channels` channels.
        in_channels: int, bands of the images.
    Returns:
        `keras.Model`, label maps float `[B, h, w, channels]` (and for "Stanford" the image `[B, h, w, in_channels]` as
        second input) → logits float32 `[B, 2]` of (predicted, annotated).
    Raises:
        ValueError: for an unknown name or encoding, or "Stanford" with "product", which holds the image already.
    """
    checks.one_of("discriminator", name, DISCRIMINATORS)
    checks.one_of("label_encoding", label_encoding, LABEL_ENCODINGS)
    if name == "Stanford":
        checks.one_of("label_encoding", label_encoding, ("basic", "scaling"), context=" for discriminator 'Stanford'",
                      advice="It sees the image in a branch of its own.")
        return TwoBranch(classes, in_channels)
    family, _, variant = name.partition("-")
    channels = classes * in_channels if label_encoding == "product" else classes
    return {"LargeFOV": LargeFOV, "SmallFOV": SmallFOV}[family](channels, light=variant == "light")


def LargeFOV(channels: int, light: bool = False) -> keras.Model:
    """Return the discriminator with a receptive field of 34 label-map pixels.

    96, 128, 128, pool, 256, 256, pool, 512, 2; light: 128, 128 and 256 in the place of 256, 256 and 512.

    Args:
        channels: int, of the label maps: 2,351,170 parameters with 21 (light 871,490).
        light: bool.
    Returns:
        `keras.Model`, float `[B, h, w, channels]` → logits float32 `[B, 2]` of (predicted, annotated).
    """
    middle, deep = (128, 256) if light else (256, 512)
    plan = [(96, 3), (128, 3), (128, 3), None, (middle, 3), (middle, 3), None, (deep, 3)]
    return _chain(channels, plan, 3, "large_fov_light" if light else "large_fov")


def SmallFOV(channels: int, light: bool = False) -> keras.Model:
    """Return the discriminator with a receptive field of 18 label-map pixels: `LargeFOV` with 1×1 in part.

    96, 1×1-128, pool, 256, 1×1-256, pool, 512, 1×1-2; light: 128, 128 and 256 in the place of 256, 256 and 512.

    Args:
        channels: int, of the label maps: 1,572,802 parameters with 21 (light 490,434).
        light: bool.
    Returns:
        `keras.Model`, float `[B, h, w, channels]` → logits float32 `[B, 2]` of (predicted, annotated).
    """
    middle, deep = (128, 256) if light else (256, 512)
    plan = [(96, 3), (128, 1), None, (middle, 3), (middle, 1), None, (deep, 3)]
    return _chain(channels, plan, 1, "small_fov_light" if light else "small_fov")


def TwoBranch(classes: int, in_channels: int = 3) -> keras.Model:
    """Return the discriminator of the Stanford Background experiments: a branch of label maps and one of the image.

    Label maps 5×5-64; image 5×5-16, 5×5-64; together 128, pool, 256, pool, 512, 2.

    Args:
        classes: int, of the label maps: 1,671,874 parameters with 8.
        in_channels: int, bands of the image.
    Returns:
        `keras.Model`, [maps float `[B, h, w, classes]`, image float `[B, h, w, in_channels]`, 0–1] → logits float32
        `[B, 2]` of (predicted, annotated).
    """
    maps = keras.Input((None, None, checks.positive_integer("classes", classes)), name="label_maps")
    image = keras.Input((None, None, checks.positive_integer("in_channels", in_channels)), name="image")
    seen = _convolution(_convolution(image, 16, 5, "image1"), 64, 5, "image2")
    both = keras.layers.Concatenate(name="both")([_convolution(maps, 64, 5, "labels1"), seen])
    scores = _scores(_layers(both, [(128, 3), None, (256, 3), None, (512, 3)]), 3)
    return keras.Model([maps, image], scores, name="two_branch")


def checked(discriminator: keras.Model, segmenter: Segmenter, label_encoding: str) -> keras.Model:
    """Return the discriminator if it fits the maps it will be shown."""
    bands = segmenter.in_channels
    channels = segmenter.classes * (bands if label_encoding == "product" else 1)
    inputs = [one.shape[-1] for one in getattr(discriminator, "inputs", None) or ()]
    if inputs not in ([channels], [channels, bands]) or discriminator.outputs[0].shape[1:] != (2,):
        raise ValueError(checks.sentence(
            "discriminator", f"must be a name, or a functional model of maps [B, h, w, {channels}] (and the image "
            f"[B, h, w, {bands}]) to logits [B, 2]", discriminator, "See kseg.training.discriminator."))
    return discriminator


def _chain(channels, plan, score_kernel, name):
    maps = keras.Input((None, None, checks.positive_integer("channels", channels)), name="label_maps")
    return keras.Model(maps, _scores(_layers(maps, plan), score_kernel), name=name)


def _layers(values, plan):
    """Apply a list of (filters, kernel size), or None for a pool."""
    for index, step in enumerate(plan, start=1):
        if step is None:
            values = keras.layers.MaxPooling2D(2, padding="same", name=f"pool{index}")(values)
        else:
            values = _convolution(values, *step, f"conv{index}")
    return values


def _convolution(values, filters, kernel_size, name):
    return keras.layers.Conv2D(filters, kernel_size, padding="same", activation="relu",
                               kernel_initializer="he_normal", name=name)(values)


def _scores(values, kernel_size):
    scores = keras.layers.Conv2D(2, kernel_size, padding="same", name="scores")(values)  # [B, h/4, w/4, 2]
    return keras.layers.GlobalAveragePooling2D(dtype="float32", name="logits")(scores)  # [B, 2]
