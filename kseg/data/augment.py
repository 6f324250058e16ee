"""Recipes: which augmentations run, in which order and how strongly; the papers' by name.

A recipe is data (`to_dict`), so that a run can be repeated from its record. The single steps are in `geometry`,
`photometry` and `mixing` and are offered here by name.
"""

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from kseg import checks
from kseg.data import geometry
from kseg.data.geometry import elastic, flip, resize, rotate, scale_and_crop
from kseg.data.mixing import classmix, cutmix
from kseg.data.photometry import blur, colour_jitter, with_blur, with_jitter

__all__ = ["RECIPES", "Recipe", "augment_batch", "augment_example", "blur", "classmix", "colour_jitter", "cutmix",
           "elastic", "flip", "recipe", "resize", "rotate", "scale_and_crop"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Strength of every augmentation; the defaults of the fields switch all of them off.

    Args:
        scale: (least, greatest) factor relative to `image_size`; at 1 the whole image fills it, only above 1 it is
            cropped, below 1 it is padded.
        scale_step: float, step of the factor; 0 is continuous.
        class_aware: float, probability of centring the crop on a class drawn evenly; needs scales above 1.
        elastic: float, pixels, standard deviation of the 3×3 grid's displacements.
        rotation: float, degrees, to both sides.
        shift: float, fraction of each side, to both sides.
        flip, flip_vertical: float, probability.
        brightness, contrast, saturation, hue: as `colour_jitter`; the last two change RGB alone.
        blur: float, probability.
        mix: None, "cutmix" or "classmix", on the batch.
        mix_probability: float.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    scale_step: float = 0.0
    class_aware: float = 0.0
    elastic: float = 0.0
    rotation: float = 0.0
    shift: float = 0.0
    flip: float = 0.0
    flip_vertical: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    blur: float = 0.0
    mix: str = None
    mix_probability: float = 1.0

    def __post_init__(self) -> None:
        scale = self.scale
        if not isinstance(scale, (tuple, list)) or len(scale) != 2 or not 0 < scale[0] <= scale[1]:
            raise ValueError(checks.sentence("scale", "must be (least, greatest), both above 0", scale,
                                             "Write for example scale=(0.5, 2.0)."))
        object.__setattr__(self, "scale", (float(scale[0]), float(scale[1])))
        for field in ("class_aware", "shift", "flip", "flip_vertical", "brightness", "contrast", "saturation", "blur",
                      "mix_probability"):
            checks.number_between(field, getattr(self, field), 0, 1)
        if self.class_aware and scale[1] <= 1:
            raise ValueError(checks.sentence(
                "class_aware", f"must be 0 where no scale is above 1, {self.scale}, for nothing is cropped then",
                self.class_aware, "Write for example scale=(0.5, 2.0)."))
        checks.number_between("scale_step", self.scale_step, 0, scale[1])
        checks.number_between("hue", self.hue, 0, 0.5)
        checks.number_between("rotation", self.rotation, 0, 180)
        checks.number_between("elastic", self.elastic, 0, 1000)
        checks.one_of("mix", self.mix, (None, "cutmix", "classmix"))

    def to_dict(self) -> dict:
        """Return the fields as JSON-ready values; `Recipe(**values)` reads them."""
        return {**dataclasses.asdict(self), "scale": list(self.scale)}


RECIPES = {
    "default": Recipe(scale=(0.5, 2.0), flip=0.5, brightness=0.2, contrast=0.2, saturation=0.2),
    # Chen et al., DeepLabv3, arXiv:1706.05587, §4.1; step 0.25 in the released code.
    "deeplab": Recipe(scale=(0.5, 2.0), scale_step=0.25, flip=0.5),
    # Zhao et al., PSPNet, arXiv:1612.01105, §5.1: scale 0.5–2, rotation ±10°, mirror, Gaussian blur.
    "pspnet": Recipe(scale=(0.5, 2.0), rotation=10.0, flip=0.5, blur=0.5),
    # Ronneberger et al., U-Net, arXiv:1505.04597, §3.1: shift, rotation, elastic (3×3 grid, 10 px), grey values.
    "unet": Recipe(elastic=10.0, rotation=180.0, shift=0.1, flip=0.5, flip_vertical=0.5, brightness=0.2,
                   contrast=0.2),
}


def recipe(augment: bool | str | dict | Recipe | None) -> Recipe | None:
    """Return the `Recipe` of an `augment` argument: True (default), a name, a `Recipe`, a dict of its fields, or None.

    Raises:
        ValueError: if the name is unknown.
    """
    if augment is None or augment is False:
        return None
    if isinstance(augment, Recipe):
        return augment
    if isinstance(augment, dict):
        return Recipe(**augment)
    return RECIPES[checks.one_of("augment", "default" if augment is True else augment, tuple(RECIPES))]


def augment_example(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, plan: Recipe,
                    size: tuple[int, int] | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return one example augmented by the `Recipe` `plan` and brought to `size`.

    Args:
        pixels: uint8 or float `[H, W, channels]`.
        labels: integer `[H, W]`.
        seed: int `[2]`, stateless; the same seed gives the same result, eagerly, in a graph and in parallel.
        plan: `Recipe`.
        size: (height, width) of the result.
    Returns:
        pixels of `size` in the same dtype, labels int32; uncovered pixels are mean colour and 255.
    """
    return geometry.called(cutter(plan), pixels, labels, seed, size)


def cutter(plan: Recipe) -> Callable:
    """Return the `geometry.cutter` of a `Recipe`: all of it but `mix`, in NumPy.

    Colour and blur come before anything is uncovered, which has to stay mean colour.
    """
    colour = {name: getattr(plan, name) for name in ("brightness", "contrast", "saturation", "hue")}
    warp = {"degrees": plan.rotation, "shift": plan.shift, "sigma": plan.elastic}
    return geometry.cutter(
        plan.scale, plan.scale_step, plan.class_aware, mirror=(plan.flip_vertical, plan.flip),
        colour=functools.partial(with_jitter, **colour) if any(colour.values()) else None,
        sharpness=functools.partial(with_blur, probability=plan.blur) if plan.blur else None,
        warp=functools.partial(geometry.with_warps, **warp) if any(warp.values()) else None)


def augment_batch(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, plan: Recipe) -> tuple[tf.Tensor, tf.Tensor]:
    """Return a batch mixed as `plan.mix` says; shapes and dtypes as `cutmix`."""
    if plan.mix is None:
        return pixels, labels
    return {"cutmix": cutmix, "classmix": classmix}[plan.mix](pixels, labels, seed, plan.mix_probability)
