"""A Keras model as a TensorFlow function whose weights are constants."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kseg import checks
from kseg.layers.margins import RequireValidSize
from kseg.models.portable import portable
from kseg.models.walk import layers_of


def check_model(model: Any) -> None:
    """Raise the error sentence unless `model` is a built `keras.Model` from one image to per-pixel scores."""
    built = isinstance(model, keras.Model) and getattr(model, "inputs", None) and getattr(model, "outputs", None)
    if not built or len(model.inputs) != 1 or len(model.inputs[0].shape) != 4 or len(model.outputs[0].shape) != 4:
        shown = getattr(model, "name", None) or type(model).__name__
        raise TypeError(checks.sentence(
            "model", "must be a functional keras.Model from pixels [B, H, W, channels] to logits [B, H, W, classes]",
            shown, "Build one with kseg.models or load one with kseg.load_model."))


def keeps_size(model: keras.Model) -> bool:
    """Whether the logits are as large as the pixels; networks of valid convolutions answer for the middle alone."""
    given, made = (tuple(tensor.shape[1:3]) for tensor in (model.inputs[0], model.outputs[0]))
    return not _valid_sizes(model) and (None in (*given, *made) or given == made)


def _valid_sizes(model):
    return [layer for layer in layers_of(model) if isinstance(layer, RequireValidSize)]


def exported_size(model: keras.Model, image_size: Sequence[int | None],
                  evaluate_on: Any = None) -> tuple[int | None, int | None]:
    """Return the (height, width) an export is made for; None for any size.

    Raises:
        ValueError: if the model is of another, fixed size, or is a network of valid convolutions and no size that it
            takes is given, or labels to evaluate it on, which would be larger than its answers.
    """
    height, width = checks.image_size(image_size, allow_none=True)
    fixed = tuple(model.inputs[0].shape[1:3])
    chosen = tuple(own if wanted is None else wanted for own, wanted in zip(fixed, (height, width)))
    if any(own is not None and own != wanted for own, wanted in zip(fixed, chosen)):
        raise ValueError(checks.sentence(
            "image_size", f"must be {fixed}, the size this model was built for", (height, width),
            "Build the model with image_size=(None, None) to export it at any size."))
    for layer in _valid_sizes(model):
        if None in chosen:
            raise ValueError(checks.sentence("image_size", "must be given for a network of valid convolutions", chosen,
                                             "Pass the size of its tiles, for example (572, 572)."))
        layer.check(chosen)
    if evaluate_on is not None and not keeps_size(model):
        raise ValueError(checks.sentence(
            "evaluate_on", "must be None for a network of valid convolutions", type(evaluate_on).__name__,
            "Measure the exported model with kseg.evaluate, which tiles the images."))
    return chosen


def float32_twin(model: keras.Model) -> keras.Model:
    """Return `model`, or its copy computing in float32 where a mixed-precision policy is set (same weights)."""
    text = str(keras.saving.serialize_keras_object(model))
    if "mixed_float16" not in text and "mixed_bfloat16" not in text:
        return model
    twin = keras.saving.deserialize_keras_object(_without_mixed(keras.saving.serialize_keras_object(model)))
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


def captured_logits(model: keras.Model, image_size: Sequence[int | None], batch_size: int | None = None,
                    anywhere: bool = False) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a `tf.function`, float32 pixels `[batch_size, *image_size, channels]` to logits, no variables.

    The weights are tensors that the function captures: a SavedModel holds them once, however many signatures call it,
    and TensorFlow Serving and TFLite's converter, which inline functions before they fold constants, see constants.
    Variables would cost a read each at every call, and keep TFLite's kernels from packing weights. Always traced with
    `training=False`. With `anywhere` it holds no operation that only some machines have.
    """
    trainable = [tf.constant(weight.numpy()) for weight in model.trainable_variables]
    others = [tf.constant(weight.numpy()) for weight in model.non_trainable_variables]
    spec = tf.TensorSpec([batch_size, *image_size, model.inputs[0].shape[-1]], tf.float32, "pixels")

    def traced(pixels):
        with portable(model, anywhere):
            outputs, _ = model.stateless_call(trainable, others, pixels, training=False)
        return tf.cast(outputs[0] if isinstance(outputs, (list, tuple)) else outputs, tf.float32)

    concrete = tf.function(traced, autograph=False).get_concrete_function(spec)
    run, weights = _stripped(concrete), concrete.captured_inputs
    sides = image_size if keeps_size(model) else concrete.outputs[0].shape[1:3]

    @tf.function(input_signature=[spec], autograph=False)
    def logits(pixels):
        return tf.ensure_shape(run(pixels, *weights), [batch_size, *sides, model.outputs[0].shape[-1]])

    return logits


def _stripped(concrete):
    """Return the function of `concrete` (inputs and captured tensors, in order, to its output) less gradient marks."""
    feeds, fetch = [tensor.name for tensor in concrete.inputs], concrete.outputs[0].name
    graph_def = concrete.graph.as_graph_def()
    _strip_gradient_marks(graph_def)
    imported = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph_def, name=""), [])
    tensor = imported.graph.get_tensor_by_name
    return imported.prune([tensor(name) for name in feeds], tensor(fetch))


def _strip_gradient_marks(graph_def):
    """Remove the `IdentityN` nodes of `graph_def`, in place.

    They carry hand-written gradients, which a saved function cannot hold and inference does not need, and they stand
    between convolution and batch normalisation where the two would be fused.
    """
    sources = {}
    for node in graph_def.node:
        if node.op == "IdentityN":
            for index, name in enumerate(node.input):
                sources[f"{node.name}:{index}" if index else node.name] = name

    def source(name):
        while name in sources:
            name = sources[name]
        return name

    for position in range(len(graph_def.node) - 1, -1, -1):
        node = graph_def.node[position]
        if node.op == "IdentityN":
            del graph_def.node[position]
        else:
            node.input[:] = [source(name) for name in node.input]
