"""The stem's kernel for other input bands than it was trained on, and weights copied layer by layer."""

import numpy as np

from kseg import checks
from kseg.encoders.row import Pairs


def copy_pairs(pairs: Pairs, bgr: bool = False) -> None:
    """Copy each library layer's weights to its clone; the first convolution is adapted to the input bands."""
    for index, (original, clone) in enumerate(pairs):
        values = original.get_weights()
        if index == 0 and values:
            kernel = values[0]
            values[0] = adapt_stem(kernel, clone.weights[0].shape[2], kernel.shape[2] // 3, bgr)
        clone.set_weights(values)


def adapt_stem(kernel: np.ndarray, bands: int, groups: int = 1, bgr: bool = False) -> np.ndarray:
    """Return the stem's kernel `[k, k, 3 groups, F]` for `bands` input channels, `[k, k, bands, F]`.

    Band i takes the kernel of colour i mod 3, divided by the number of bands that share it: equal bands give the
    response of a grey RGB image. `bgr` turns kernels that expect blue first around. A space-to-depth stem has four
    groups of channels, one per pixel of its cells, treated one by one; other stems have one.

    Raises:
        ValueError: if the kernel is for neither `bands` nor three bands: what its bands show is unknown.
    """
    if kernel.shape[2] == bands and not bgr:
        return kernel
    if kernel.shape[2] != 3 * groups:
        raise ValueError(checks.sentence(
            "in_channels", f"must fit the weights, whose stem reads {kernel.shape[2]} channels (only stems that read "
            f"{3 * groups} are adapted to other bands)", bands // groups,
            "Pass as many bands as the weights were trained on, or take weights of RGB images."))
    if bgr:
        kernel = kernel[:, :, ::-1]
    if kernel.shape[2] == bands:
        return kernel
    source = np.arange(bands // groups) % 3
    shares = np.bincount(source, minlength=3)[source]
    columns = [kernel[:, :, 3 * group + source] / shares[None, None, :, None] for group in range(groups)]
    return np.concatenate(columns, axis=2)
