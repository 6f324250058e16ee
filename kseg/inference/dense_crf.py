"""The fully connected CRF as post-processing, without a compiler.

Mean field over all pairs of pixels, with an appearance kernel on (x, y, red, green, blue) and a smoothness kernel on
(x, y): `Q ← softmax(log P + w1 · K1 Q + w2 · K2 Q)`, where both kernels are filtered in full range, on permutohedral
lattices; exactly on small images, and where the smoothness kernel is narrow. As in the reference libraries a pixel's
message includes its own value.
Reference: Krähenbühl, Koltun, Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials, NIPS 2011,
arXiv:1210.5644, Algorithm 1; Chen et al., DeepLab, arXiv:1412.7062 section 3.2 and arXiv:1606.00915 section 4.
"""

import dataclasses

import numpy as np

from kseg import checks
from kseg.inference.pairwise_messages import message_function

NORMALIZATIONS = ("symmetric", "after")
_SMALLEST_PROBABILITY = 1e-5  # as pydensecrf clips its softmax
_SAFE_EXPONENT = 80.0  # below log of float32's largest number
_ROWS_AT_ONCE = 4096  # pixels, few enough to stay in the cache


@dataclasses.dataclass(frozen=True)
class CRFParameters:
    """Weights and widths of the two kernels.

    Args:
        appearance_weight: w1, weight of the message between pixels near in place and alike in colour.
        appearance_position_sigma: σα, in pixels.
        appearance_color_sigma: σβ, in grey levels of 0–255.
        smoothness_weight: w2, weight of the message between near pixels.
        smoothness_sigma: σγ, in pixels.
        normalization: "symmetric" or "after", the filter's normalisation for which the weights were tuned.
    Raises:
        ValueError: if a weight is negative, a sigma is not positive, or the normalisation is unknown.
    """

    appearance_weight: float
    appearance_position_sigma: float
    appearance_color_sigma: float
    smoothness_weight: float
    smoothness_sigma: float
    normalization: str = "symmetric"

    def __post_init__(self):
        for field in dataclasses.fields(self)[:5]:
            low = 0.0 if field.name.endswith("weight") else 0.01
            checks.number_between(field.name, getattr(self, field.name), low, 1e4)
        checks.one_of("normalization", self.normalization, NORMALIZATIONS)


# The DeepLab scripts ran the 2011 library, which divides after filtering; the ResNet-101 values come from a port that
# used pydensecrf (the 2013 library), which normalises symmetrically.
PARAMETERS = {
    "deeplabv1_largefov": CRFParameters(4, 49, 5, 3, 3, "after"),
    "deeplabv2_vgg16": CRFParameters(4, 65, 3, 2, 2, "after"),
    "deeplabv2_resnet101": CRFParameters(4, 67, 3, 3, 1, "symmetric"),
    "deeplab_library": CRFParameters(10, 60, 20, 3, 3, "after"),  # defaults of DeepLab's refinement program
    "pydensecrf": CRFParameters(10, 80, 13, 3, 3, "symmetric"),  # pydensecrf's example
}


class DenseCRF:
    """Sharpens a model's probabilities to the edges of the image.

    Time is linear in pixels and classes. Memory beyond the two inputs is bounded: at most about `2300 + 20 · classes`
    bytes per pixel (colour noise, where no two pixels share a lattice cell); on photographs about `400 + 20 · classes`,
    0.1 GB for 21 classes at 375×500.

    Args:
        parameters: a name of `PARAMETERS` or a `CRFParameters`. Default the ResNet-101 DeepLab v2 values.
        iterations: int, mean-field updates. Default 10 (arXiv:1606.00915, section 4).
        normalization: "symmetric" (D^-1/2 K D^-1/2, pydensecrf's default), "after" (each pixel's message divided by its
            summed kernel, DeepLab's library) or None for the one that belongs to `parameters`. The same weights mean
            different things under the two.
        exact_pixels: int, images of at most so many pixels are filtered by the full matrix of pairs, without the
            lattice's error (float64 `[H·W, H·W]`: 34 MB at the default 2048). 0 always takes the lattice.
    Raises:
        ValueError: if a name is not known, or `iterations` is not positive.
        TypeError: if `parameters` is neither a name nor a `CRFParameters`.
    """

    def __init__(self, parameters: str | CRFParameters = "deeplabv2_resnet101", iterations: int = 10,
                 normalization: str | None = None, exact_pixels: int = 2048):
        if isinstance(parameters, str):
            parameters = PARAMETERS[checks.one_of("parameters", parameters, PARAMETERS)]
        if not isinstance(parameters, CRFParameters):
            raise TypeError(checks.sentence("parameters", "must be a name or a CRFParameters", parameters,
                                            f"Choose one of {tuple(PARAMETERS)}."))
        if normalization is not None:
            checks.one_of("normalization", normalization, NORMALIZATIONS)
        self.parameters = parameters
        self.iterations = checks.positive_integer("iterations", iterations)
        self.normalization = normalization or parameters.normalization
        self.exact_pixels = checks.positive_integer("exact_pixels", exact_pixels, minimum=0,
                                                    advice="Pass 0 to always use the lattice.")

    def __call__(self, image: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Return the refined probabilities.

        Args:
            image: uint8 `[H, W, 3]`, RGB, 0–255, at the resolution of `probabilities`.
            probabilities: float `[H, W, C]`, summing to 1 over the classes at every pixel; or `[H, W, 1]` of a binary
                model, whose other class is the background. The classes of a multi-label model do not exclude each
                other: refine each by itself, `probabilities[..., index:index + 1]`.
        Returns:
            float32 `[H, W, C]`, summing to 1 over the classes; `[H, W, 1]` of a binary model.
        Raises:
            ValueError: if shapes or types differ from the above, or the probabilities do not sum to 1.
        """
        if np.shape(probabilities)[2:] == (1,):
            foreground = np.asarray(probabilities)[..., 0]
            return self(image, np.stack([1 - foreground, foreground], axis=-1))[..., 1:]
        image, probabilities = _checked(image, probabilities)
        height, width, classes = probabilities.shape
        message = message_function(image, self.parameters, self.normalization, height * width <= self.exact_pixels)
        largest = float(message(np.ones((height * width, 1), np.float32)).max())
        unary = probabilities.reshape(-1, classes).astype(np.float32)  # [H·W, C]
        np.maximum(unary, _SMALLEST_PROBABILITY, out=unary)
        np.log(unary, out=unary)
        current = _update(np.zeros_like(unary), unary, 0)
        for _ in range(self.iterations):
            current = _update(message(current), unary, largest)
        return current.reshape(height, width, classes)


def _checked(image, probabilities):
    image, probabilities = np.asarray(image), np.asarray(probabilities)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(checks.sentence(
            "image", "must be a uint8 RGB array of shape (height, width, 3)", f"{image.dtype} array {image.shape}",
            "Pass the pixels as decoded, 0-255, not normalised."))
    if probabilities.ndim != 3 or not np.issubdtype(probabilities.dtype, np.floating) or probabilities.shape[2] < 1:
        raise ValueError(checks.sentence(
            "probabilities", "must be a float array of shape (height, width, classes)",
            f"{probabilities.dtype} array {probabilities.shape}", "Pass one image's softmax output."))
    if probabilities.shape[:2] != image.shape[:2]:
        raise ValueError(checks.sentence(
            "probabilities.shape[:2]", f"must equal the image's height and width {image.shape[:2]}",
            probabilities.shape[:2], "Resize the logits to the image before the softmax."))
    sums = probabilities.sum(axis=-1, dtype=np.float32)
    error = np.abs(sums - 1)
    worst = float(sums.ravel()[np.argmax(np.where(np.isnan(error), np.inf, error))])
    if not abs(worst - 1) <= 1e-2:
        raise ValueError(checks.sentence("probabilities.sum(axis=-1)", "must be 1 at every pixel", round(worst, 4),
                                         "Apply softmax to logits first. The classes of a multilabel model are refined "
                                         "one by one: probabilities[..., index:index + 1]."))
    smallest = float(probabilities.min())
    if smallest < 0:
        raise ValueError(checks.sentence("probabilities.min()", "must be at least 0", smallest,
                                         "Apply softmax to logits first."))
    return image, probabilities


def _update(logits, unary, largest):
    """Turn the messages into softmax(messages + unary) in place; no message exceeds `largest`, no unary exceeds 0."""
    ones = np.ones(logits.shape[1], np.float32)
    for start in range(0, len(logits), _ROWS_AT_ONCE):
        part = logits[start:start + _ROWS_AT_ONCE]
        part += unary[start:start + _ROWS_AT_ONCE]
        if largest > _SAFE_EXPONENT:
            part -= part.max(axis=1, keepdims=True)
        np.exp(part, out=part)
        part /= (part @ ones)[:, None]
    return logits
