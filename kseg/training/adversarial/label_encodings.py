"""What a discriminator is shown of label maps and of predictions, on a grid of one pixel in every `stride`×`stride`.

Reference: Luc et al., arXiv:1611.08408, section 3.3 (basic, product, scaling).
"""

import typing

from keras import ops

Tensor = typing.Any  # a tensor of the backend


def on_grid(values: Tensor, stride: int) -> Tensor:
    """Return the middle pixel of every block of `stride`×`stride`, `[B, H, W, ...]` → `[B, h, w, ...]`."""
    return values[:, stride // 2::stride, stride // 2::stride]


def one_hot(labels: Tensor, classes: int, valid: Tensor) -> Tensor:
    """Return float32 `[B, h, w, classes]`, zeros where not `valid`."""
    maps = ops.one_hot(ops.where(valid, labels, 0), classes, dtype="float32")
    return maps * ops.cast(ops.expand_dims(valid, -1), "float32")


def probabilities(logits: Tensor, valid: Tensor) -> Tensor:
    """Return softmax probabilities, float32 `[B, h, w, classes]`; zeros, without gradient, where not `valid`."""
    shown = ops.expand_dims(valid, -1)
    return ops.where(shown, ops.softmax(ops.where(shown, ops.cast(logits, "float32"), 0.0), axis=-1), 0.0)


def scaled(truth: Tensor, predicted: Tensor, threshold: float) -> Tensor:
    """Return label maps that are no longer one-hot: the true class at `max(threshold, its predicted probability)`.

    The other classes share the rest in the proportions of the prediction: `s_c (1 - y_l) / (1 - s_l)`. So the
    discriminator cannot tell annotations by their zeros and ones. All are float32 `[B, h, w, classes]`, distributions
    but for zeros at ignored pixels; `threshold` is tau.
    """
    own = ops.sum(truth * predicted, axis=-1, keepdims=True)
    rest = (1.0 - ops.maximum(own, threshold)) / ops.maximum(1.0 - own, 1e-7)
    others = (1.0 - truth) * predicted * ops.minimum(rest, 1.0)
    return truth * ops.maximum(own, threshold) + others


def product(maps: Tensor, image: Tensor) -> Tensor:
    """Return each map times each band of the image, float32 `[B, h, w, classes * bands]`."""
    maps, image = ops.expand_dims(maps, -1), ops.expand_dims(image, -2)
    both = maps * image  # [B, h, w, classes, bands]
    return ops.reshape(both, (*ops.shape(maps)[:3], maps.shape[-2] * image.shape[-1]))
