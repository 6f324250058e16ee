"""Which weights stand still: the encoder, or the batch normalisation of the whole model."""

import keras

from kseg import checks
from kseg.models.walk import batch_normalization_of, layers_of


def freeze_batch_normalization(model: keras.Model) -> keras.Model:
    """Freeze every batch normalisation of `model`: moving statistics and affine weights.

    DeepLab v2 and small-batch fine-tuning train so (DeepLabv3, arXiv:1706.05587, section 4.1, second phase). The
    state is saved with the model. A compiled model is compiled again; its optimiser starts anew.

    Returns:
        `model`.
    Raises:
        ValueError: if the model has no batch normalisation.
    """
    layers = batch_normalization_of(model)
    if not layers:
        raise ValueError(checks.sentence("model", "must hold batch normalisation", model.name,
                                         "There is nothing to freeze."))
    for layer in layers:
        layer.trainable = False
    return _compiled_again(model)


def freeze_encoder(model: keras.Model) -> keras.Model:
    """Freeze the encoder of `model`: its weights, and the moving statistics of its batch normalisation.

    The state is saved with the model. A compiled model is compiled again; its optimiser starts anew. To undo it, set
    `model.encoder.trainable = True` and compile.

    Returns:
        `model`.
    Raises:
        ValueError: if the model has no layer named "encoder".
    """
    encoder = next((layer for layer in model.layers if layer.name == "encoder"), None)
    if encoder is None:
        raise ValueError(checks.sentence("model", "must have an encoder of its own", model.name,
                                         "Set `trainable = False` on the layers to freeze instead."))
    for layer in layers_of(encoder):
        layer.trainable = False
    encoder.trainable = False  # else setting it to True would change nothing
    return _compiled_again(model)


def _compiled_again(model):
    """Compile once more: the optimiser must not keep slots for frozen weights, nor `fit` its old graph."""
    if model.compiled:
        model.compile_from_config(model.get_compile_config())
    return model
