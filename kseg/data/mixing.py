"""CutMix and ClassMix on batches: pixels and ids of one image pasted into its neighbour; ids are never blended."""

import tensorflow as tf

from kseg.data.draws import uniform
from kseg.labels import IGNORE_CLASS


def cutmix(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor,
           probability: float = 1.0) -> tuple[tf.Tensor, tf.Tensor]:
    """Paste a random rectangle of the previous example of the batch into each example.

    Reference: Yun et al., CutMix, arXiv:1905.04899, §3.1 (area uniform, position uniform), on ids as French et al.,
    arXiv:1906.01916.

    Args:
        pixels: `[B, H, W, channels]`.
        labels: integer `[B, H, W]`, or `[B, H, W, classes]`.
        seed: int `[2]`, stateless seed of the batch.
        probability: float, of each example to be changed.
    Returns:
        pixels and labels of the same shapes and dtypes.
    """
    count, height, width = tf.shape(labels)[0], tf.shape(labels)[1], tf.shape(labels)[2]
    side = tf.sqrt(uniform(seed, 61, shape=(count, 1, 1)))
    start_y = uniform(seed, 62, shape=(count, 1, 1)) * (1.0 - side)
    start_x = uniform(seed, 63, shape=(count, 1, 1)) * (1.0 - side)
    y = ((tf.range(tf.cast(height, tf.float32)) + 0.5) / tf.cast(height, tf.float32))[None, :, None]
    x = ((tf.range(tf.cast(width, tf.float32)) + 0.5) / tf.cast(width, tf.float32))[None, None, :]
    inside = (y >= start_y) & (y < start_y + side) & (x >= start_x) & (x < start_x + side)  # [B, H, W]
    return _pasted(pixels, labels, inside, seed, probability)


def classmix(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor,
             probability: float = 1.0) -> tuple[tf.Tensor, tf.Tensor]:
    """Paste half of the classes of the previous example of the batch, at their places, into each example.

    Reference: Olsson et al., ClassMix, arXiv:2007.07936, §3.2. Arguments and result as `cutmix`; ignored pixels are
    not pasted. Of labels `[B, H, W, classes]` the pixels are pasted that have one of the chosen classes.
    """
    donors = tf.cast(tf.roll(labels, 1, axis=0), tf.int32)
    if labels.shape.rank == 4:
        present = tf.reduce_any(donors == 1, (1, 2))  # [B, classes]
        chosen = _half_of(present, seed)
        return _pasted(pixels, labels, tf.reduce_any((donors == 1) & chosen[:, None, None], -1), seed, probability)
    count = tf.shape(labels)[0]
    flat = tf.reshape(donors, [count, -1])  # [B, H*W]
    present = tf.math.bincount(flat, minlength=256, maxlength=256, axis=-1)[:, :IGNORE_CLASS] > 0  # [B, 255]
    chosen = tf.concat([_half_of(present, seed), tf.zeros((count, 1), tf.bool)], -1)  # [B, 256]
    inside = tf.reshape(tf.gather(chosen, flat, batch_dims=1), tf.shape(labels))  # [B, H, W]
    return _pasted(pixels, labels, inside, seed, probability)


def _half_of(present, seed):
    """Return half of the classes that are `present`, drawn: bool `[B, classes]`."""
    scores = tf.where(present, uniform(seed, 64, shape=tf.shape(present)), 2.0)
    rank = tf.argsort(tf.argsort(scores, axis=-1), axis=-1)
    half = (tf.reduce_sum(tf.cast(present, tf.int32), -1, keepdims=True) + 1) // 2
    return (rank < half) & present


def _pasted(pixels, labels, inside, seed, probability):
    inside = inside & (uniform(seed, 60, shape=(tf.shape(labels)[0], 1, 1)) < probability)
    mixed = tf.where(inside[..., None], tf.roll(pixels, 1, axis=0), pixels)
    ids = tf.where(inside if labels.shape.rank == 3 else inside[..., None], tf.roll(labels, 1, axis=0), labels)
    return tf.ensure_shape(mixed, pixels.shape), tf.ensure_shape(ids, labels.shape)
