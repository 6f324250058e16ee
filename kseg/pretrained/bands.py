"""The input of a converted network: its bands, and the mean and deviation that it was trained with."""

import warnings
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from kseg import checks
from kseg.models import Segmenter
from kseg.pretrained.origins.plan import Arrays, Plan

Normalization: TypeAlias = tuple[float | Sequence[float], float | Sequence[float]]

# The first convolutions of ResNets, MobileNets, EfficientNets, DenseNets, VGGs and MiTs, whose input is the image.
_STEMS = ("conv1", "conv1.0", "stem.0", "stem_0", "features.0.0", "0.0", "conv_stem", "_conv_stem", "features.conv0",
          "features.0", "patch_embed1.proj")


def stem_of(arrays: Arrays, plan: Plan) -> str | None:
    """Return the name of the kernel `[filters, bands, h, w]` that reads the image, or None if there is none."""
    return next((name for name in (f"{plan.encoder}{stem}.weight" for stem in _STEMS) if name in arrays), None)


def for_repeated_bands(kernel: np.ndarray) -> np.ndarray:
    """Return a stem's kernel for the encoders of kseg, which repeat one or two bands until there are three."""
    bands = kernel.shape[1]
    source = np.arange(max(3, bands)) % bands
    return kernel[:, source] / np.bincount(source)[source][:, None, None].astype("float32")


def normalize(model: Segmenter, of_origin: Normalization | None, normalization: Normalization | None,
              path: str) -> None:
    """Have `model` normalise its pixels by `normalization`, or by what its origin does on RGB.

    Args:
        model: the converted model.
        of_origin: (mean, std), each of three numbers, for RGB, or None for what the model's encoder has.
        normalization: (mean, std), each a number or one per band, on the scale 0-255; or None. A network of other bands
            than RGB then takes the averages of the origin's three (one or two bands) or repeats them (more), and a
            warning says so, because the file does not tell how it was trained.
        path: str, the file, for the warning.
    Raises:
        ValueError: if `normalization` is not two numbers or sequences of one per band, or a deviation is not positive.
    """
    layer, bands = model.encoder.get_layer("normalize"), model.in_channels
    mean, std = (layer.mean, layer.std) if of_origin is None else of_origin
    if normalization is not None:
        mean, std = _per_band(normalization, bands)
    elif bands != 3:
        mean, std = ([float(np.mean(values))] * bands if bands < 3 else np.resize(values, bands).tolist()
                     for values in (mean, std))
        shown = [np.round(values[0] if bands < 3 else values, 3).tolist() for values in (mean, std)]
        warnings.warn(f"{path!r} holds a network of {bands} band{'s' * (bands > 1)}, and does not tell how its pixels "
                      f"were normalised: mean {shown[0]} and deviation {shown[1]} on the scale 0-255 are taken. If it "
                      "was trained otherwise, pass normalization=(mean, std): (0, 255) for pixels divided by 255.",
                      stacklevel=4)
    layer.mean, layer.std = ([values[band % bands] for band in range(max(3, bands))] for values in (mean, std))


def _per_band(normalization, bands):
    try:
        mean, std = (np.broadcast_to(np.asarray(values, "float64"), (bands,)).tolist() for values in normalization)
    except (TypeError, ValueError):
        mean = std = [np.nan]
    if not np.isfinite(mean + std).all() or min(std) <= 0:
        raise ValueError(checks.sentence(
            "normalization", f"must be (mean, std), each a number or {bands}, one per band, std above 0", normalization,
            "Write for example (0, 255) for a network trained on pixels divided by 255."))
    return mean, std
