"""Weights that an FCN begins with beyond its encoder's: the classifier it was made of, or an FCN of a coarser stage."""

from collections.abc import Mapping

import keras
import numpy as np

from kseg import checks
from kseg.encoders.checkpoint import read_checkpoint
from kseg.encoders.downloads import fetch
from kseg.encoders.row import Encoder
from kseg.encoders.weights import load_classifier
from kseg.models.load import load_model
from kseg.models.segmenter import Segmenter
from kseg.types import Path


def copy_classifier(row: Encoder, model: keras.Model) -> None:
    """Copy the dense layers of the ImageNet classifier of a VGG, `row`, to fc6 and fc7 of an FCN."""
    if row.url:  # of torchvision: its convolutions were trained with its own classifier
        copy_torch_dense_layers(read_checkpoint(fetch(row.url, "encoder_weights")), model)
    else:
        copy_dense_layers(load_classifier(row), model)


def copy_dense_layers(dense: keras.Model, model: keras.Model) -> keras.Model:
    """Copy the dense fc1 and fc2 of a VGG classifier to the convolutions fc6 (7x7) and fc7 (1x1) of an FCN.

    Args:
        dense: `keras.applications.VGG16(include_top=True)` or VGG19.
        model: an FCN with `fc_filters=4096`.
    Returns:
        `model`.
    """
    for source, target in (("fc1", "fc6"), ("fc2", "fc7")):
        kernel, bias = dense.get_layer(source).get_weights()  # [7 * 7 * 512, 4096]
        layer = model.get_layer(target)
        layer.set_weights([kernel.reshape(layer.kernel.shape), bias])  # [7, 7, 512, 4096]
    return model


def copy_torch_dense_layers(arrays: Mapping[str, np.ndarray], model: keras.Model) -> None:
    """Copy the dense layers "classifier.0" and "classifier.3" of torchvision's VGG to fc6 and fc7 of an FCN.

    Args:
        arrays: mapping of PyTorch's name to array; the first layer reads channels, rows and columns, in this order.
        model: an FCN with as many `fc_filters` as these layers have outputs.
    """
    for source, target in (("classifier.0", "fc6"), ("classifier.3", "fc7")):
        layer = model.get_layer(target)
        side, _, channels, filters = layer.kernel.shape
        kernel = arrays[f"{source}.weight"].reshape(filters, channels, side, side)
        layer.set_weights([kernel.transpose(2, 3, 1, 0), arrays[f"{source}.bias"]])


def start_from(model: Segmenter, path: Path) -> Segmenter:
    """Copy the weights of the layers that `model` has in common with the FCN saved at `path`; return `model`."""
    path = checks.existing_file("start_from", path, "Give the best.keras of the stage before.")
    source = load_model(path, compile=False)
    layers = {layer.name: layer for layer in source.layers}
    if source.output_shape[-1] != model.classes:
        raise ValueError(checks.sentence("start_from", f"must be a model of {model.classes} classes, not of "
                                         f"{source.output_shape[-1]}", path, "Train all stages on the same classes."))
    for layer in model.layers:
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if layer.name in layers and shapes != [tuple(weight.shape) for weight in layers[layer.name].weights]:
            raise ValueError(checks.sentence("start_from", f"must have the same {layer.name!r} as the new model", path,
                                             "Build both with the same encoder, bands and filters."))
    if "encoder" not in layers or "score_c5" not in layers:
        raise ValueError(checks.sentence("start_from", "must be an FCN", path, "Give an FCN-32s or FCN-16s."))
    for layer in model.layers:
        if layer.name in layers:
            layer.set_weights(layers[layer.name].get_weights())
    return model
