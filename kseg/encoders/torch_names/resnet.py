"""ResNet under the names of torchvision, timm, mmsegmentation and semseg."""

import keras
import numpy as np

# The stem of three convolutions under timm's names, by mmsegmentation's (or semseg's PSPNet's) and by semseg's.
_STEM = {"0": "conv1.0", "1": "conv1.1", "3": "conv1.3", "4": "conv1.4", "6": "conv1.6", "7": "bn1"}
_PLAIN_STEM = {"0": "conv1", "1": "bn1"}  # of semseg's PSPNet on a ResNet with one convolution of 7x7
_STEM_OF_SEMSEG = {"conv1": "conv1.0", "bn1": "conv1.1", "conv2": "conv1.3", "bn2": "conv1.4", "conv3": "conv1.6",
                   "bn3": "bn1"}
_TORCH_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def names(arrays: dict[str, np.ndarray], encoder: keras.Model | None) -> dict[str, np.ndarray]:
    """Rename and transpose ResNet arrays of torchvision, timm, mmsegmentation or semseg; the classifier is left out.

    "layer1.0.conv1.weight" becomes "layer1_0_conv1/kernel", and OIHW becomes HWIO.
    """
    semseg = "conv3.weight" in arrays
    stem = _STEM if "layer0.3.weight" in arrays or "stem.3.weight" in arrays else _PLAIN_STEM
    renamed = {}
    for key, value in arrays.items():
        module, _, kind = key.rpartition(".")
        if module == "fc" or kind == "num_batches_tracked":
            continue
        if module.startswith(("stem.", "layer0.")):
            module = stem.get(module.partition(".")[2], module)
        elif semseg:
            module = _STEM_OF_SEMSEG.get(module, module)
        layer = module.replace(".", "_")
        if value.ndim == 4:
            renamed[f"{layer}/kernel"] = value.transpose(2, 3, 1, 0)
        else:
            renamed[f"{layer}/{_TORCH_NORM.get(kind, kind)}"] = value
    return renamed
