"""What an export starts from: the model, and what is decided of it once, before anything is written."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from kseg import checks
from kseg.data.pixel_range import PixelRange
from kseg.inference import metadata
from kseg.layers import MaxUnpooling2D
from kseg.layers.margins import RequireValidSize
from kseg.models.walk import layers_of
from kseg.types import ImageSize


@dataclasses.dataclass(frozen=True)
class Original:
    """A model to export.

    Attributes:
        model: from pixels to logits; for TFLite and ONNX in float32.
        layers: all of its layers, those inside others included.
        image_size: (height, width) the export is made for; None for any.
        channels: the bands of the pixels.
        keeps_size: whether the logits are as large as the pixels; networks of valid convolutions answer for less.
        pixel_range: by which the export scales the numbers it takes, inside its graph; None where it takes 0–255.
        description: what the export will say about itself (see `kseg.inference.metadata.describe`).
        limits: what the export is held against (see `kseg.export.parity.limits_for`).
    """

    model: keras.Model
    layers: tuple[keras.layers.Layer, ...]
    image_size: ImageSize
    channels: int
    keeps_size: bool
    pixel_range: PixelRange | None
    description: dict[str, Any]
    limits: dict[str, float | None]


def examined(model: Any, image_size: Sequence[int | None], evaluate_on: Any, limits: dict[str, float | None], *,
             kind: str, in_float32: bool = False, **details: Any) -> Original:
    """Return what an export starts from.

    A network that unpools by index has no limit on single logits: where two values of a pooling window are equal but
    for rounding, another index wins and moves a logit by a pixel. Its labels must agree as those of any network.

    Args:
        model, image_size, evaluate_on: what the caller of the export passed.
        limits: those of any other network.
        in_float32: whether a model of mixed precision is exported, and compared, in float32.
        kind, details: of the description (see `kseg.inference.metadata.describe`).
    Raises:
        TypeError: if `model` is no built `keras.Model` from one image to per-pixel scores.
        ValueError: if the model is of another, fixed size, or is a network of valid convolutions and no size that it
            takes is given, or labels to evaluate it on, which would be larger than its answers; or if the label set
            does not name as many classes as the model has.
    """
    checks.tensorflow_backend("exports", "Save the model with model.save, and export the file in a process with "
                              "KERAS_BACKEND=tensorflow: files load on every backend.")
    built = isinstance(model, keras.Model) and getattr(model, "inputs", None) and getattr(model, "outputs", None)
    if not built or len(model.inputs) != 1 or len(model.inputs[0].shape) != 4 or len(model.outputs[0].shape) != 4:
        shown = getattr(model, "name", None) or type(model).__name__
        raise TypeError(checks.sentence(
            "model", "must be a functional keras.Model from pixels [B, H, W, channels] to logits [B, H, W, classes]",
            shown, "Build one with kseg.models or load one with kseg.load_model."))
    size = checks.image_size(image_size, allow_none=True)
    given, made = (tuple(tensor.shape[1:3]) for tensor in (model.inputs[0], model.outputs[0]))
    chosen = tuple(own if wanted is None else wanted for own, wanted in zip(given, size))
    if any(own is not None and own != wanted for own, wanted in zip(given, chosen)):
        raise ValueError(checks.sentence(
            "image_size", f"must be {given}, the size this model was built for", size,
            "Build the model with image_size=(None, None) to export it at any size."))
    exported = _float32_twin(model) if in_float32 else model
    # Integers would keep 8 bits for all bands together: what takes them is given pixels scaled to 0–255.
    integers = details.get("quantize") in ("int8", "int8_float_io")
    pixel_range = None if integers else getattr(model, "pixel_range", None)
    description = metadata.describe(model, kind=kind, image_size=chosen, scales_inside=pixel_range is not None,
                                    **details)
    layers = tuple(layers_of(exported))
    if any(isinstance(layer, MaxUnpooling2D) for layer in layers):
        limits = {**limits, "relative_difference": None}
    valid = [layer for layer in layers if isinstance(layer, RequireValidSize)]
    for layer in valid:
        if None in chosen:
            raise ValueError(checks.sentence("image_size", "must be given for a network of valid convolutions", chosen,
                                             "Pass the size of its tiles, for example (572, 572)."))
        layer.check(chosen)
    keeps_size = not valid and (None in (*given, *made) or given == made)
    if evaluate_on is not None and not keeps_size:
        raise ValueError(checks.sentence(
            "evaluate_on", "must be None for a network of valid convolutions", type(evaluate_on).__name__,
            "Measure the exported model with kseg.evaluate, which tiles the images."))
    return Original(exported, layers, chosen, model.inputs[0].shape[-1], keeps_size, pixel_range,
                    description, limits)


def _float32_twin(model):
    """Return `model`, or its copy in float32 where a mixed-precision policy is set."""
    stored = keras.saving.serialize_keras_object(model)
    if "mixed_float16" not in str(stored) and "mixed_bfloat16" not in str(stored):
        return model
    twin = keras.saving.deserialize_keras_object(_without_mixed(stored))
    twin.set_weights(model.get_weights())
    return twin


def _without_mixed(value):
    if isinstance(value, dict):
        if value.get("class_name") in ("Functional", "Segmenter"):
            value = {**value, "compile_config": None}
        return {key: _without_mixed(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_without_mixed(entry) for entry in value)
    return "float32" if value in ("mixed_float16", "mixed_bfloat16") else value
