"""Batch normalisation that computes the statistics of a training step over all devices."""

import keras

from kseg import checks
from kseg.models.walk import batch_normalization_of


def synchronize_batch_normalization(model: keras.Model) -> keras.Model:
    """Have every batch normalisation of `model` compute its statistics over the batch of all replicas.

    Call it before training under a `tf.distribute` strategy, where each replica else normalises by the statistics of
    its own part, which is noisy where that is few images (DeepLabv3, arXiv:1706.05587, section 4.1, wants 16). Names
    and weights stay; the state is saved with the model. On one device nothing changes, nor on JAX, which computes over
    the whole batch anyway.

    Returns:
        `model`.
    Raises:
        ValueError: if the model has no batch normalisation.
    """
    layers = batch_normalization_of(model)
    if not layers:
        raise ValueError(checks.sentence("model", "must hold batch normalisation", model.name,
                                         "There is nothing to synchronise."))
    if keras.backend.backend() == "tensorflow":
        for layer in layers:
            layer.synchronized = True
    return model
