"""A Keras model as a TensorFlow function whose weights are constants."""

import contextlib
from collections.abc import Callable, Iterable, Iterator

import keras
import tensorflow as tf

from kseg.data.pixel_range import PixelRange
from kseg.export.original import Original
from kseg.layers import AtrousConv2D, AtrousDepthwiseConv2D, AtrousSeparableConv2D


def captured_logits(original: Original, runtime: str,
                    batch_size: int | None = None) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a `tf.function`, float32 pixels `[batch_size, *image_size, channels]` to logits, no variables.

    With a `pixel_range` the numbers are taken as they are stored, and scaled first.

    The weights are tensors that the function captures: a SavedModel holds them once, however many signatures call it,
    and TensorFlow Serving and TFLite's converter, which inline functions before they fold constants, see constants.
    Variables would cost a read each at every call, and keep TFLite's kernels from packing weights. Always traced with
    `training=False`, for `runtime` (see `traced_for`).
    """
    spec = _pixels(original, batch_size)
    concrete = _traced(original, spec, runtime)
    graph_def, feeds, fetch = _without_gradient_marks(concrete)
    imported = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph_def, name=""), [])
    tensor = imported.graph.get_tensor_by_name
    run, weights = imported.prune([tensor(name) for name in feeds], tensor(fetch)), concrete.captured_inputs
    sides = [made or given for made, given in zip(concrete.outputs[0].shape[1:3], original.image_size)]

    @tf.function(input_signature=[spec], autograph=False)
    def logits(pixels):
        return tf.ensure_shape(run(pixels, *weights), [batch_size, *sides, original.model.outputs[0].shape[-1]])

    return logits


def scaled(stored: tf.Tensor, pixel_range: PixelRange | None) -> tf.Tensor:
    """Return `pixel_range.scaled` of stored numbers as a graph, float32; pixels as they are without a range."""
    if pixel_range is None:
        return stored
    low, factor = pixel_range.factors()
    stored = tf.where(stored == stored, stored, low)  # NaN, no data, equals nothing
    return tf.minimum(tf.maximum((stored - low) * factor, 0.0), 255.0)


def constant_graph(original: Original, answer: Callable[[tf.Tensor], tf.Tensor], name: str) -> tf.compat.v1.GraphDef:
    """Return a graph for a converter, float32 `pixels` `[B, *image_size, channels]` to `answer(logits)` as `name`.

    It holds no function, and the weights are constants in it.
    """
    spec = _pixels(original)
    concrete = _traced(original, spec, "a converter")
    graph_def, feeds, fetch = _without_gradient_marks(concrete)
    with tf.Graph().as_default() as graph:
        weights = [tf.constant(weight.numpy()) for weight in concrete.captured_inputs]
        pixels = tf.compat.v1.placeholder(spec.dtype, spec.shape, spec.name)
        logits, = tf.import_graph_def(graph_def, dict(zip(feeds, [pixels, *weights], strict=True)), [fetch], name="")
        tf.identity(answer(logits), name)
    return graph.as_graph_def()


def _pixels(original, batch_size=None):
    return tf.TensorSpec([batch_size, *original.image_size, original.channels], tf.float32, "pixels")


def _traced(original, spec, runtime):
    """Return the model as a concrete function, pixels to float32 logits, that captures its weights as tensors."""
    model = original.model
    trainable = [tf.constant(weight.numpy()) for weight in model.trainable_variables]
    others = [tf.constant(weight.numpy()) for weight in model.non_trainable_variables]

    def logits(pixels):
        pixels = scaled(pixels, original.pixel_range)
        with traced_for(original.layers, runtime):
            outputs, _ = model.stateless_call(trainable, others, pixels, training=False)
        return tf.cast(outputs[0] if isinstance(outputs, (list, tuple)) else outputs, tf.float32)

    return tf.function(logits, autograph=False).get_concrete_function(spec)


@contextlib.contextmanager
def traced_for(layers: Iterable[keras.layers.Layer], runtime: str) -> Iterator[None]:
    """Have the dilated ones of `layers` traced for `runtime`, "any machine" or "a converter"; no gradient is needed.

    Depthwise ones have their pixels regrouped for any machine: only oneDNN has them as one operation, and a graph that
    holds it fails on a GPU, and on processors for which TensorFlow leaves oneDNN off. A converter, which runs nothing,
    takes that operation, and gives its own runtime one. Others are one operation, also where this machine, without
    oneDNN, has no gradient of it. After the block they are traced as before.
    """
    dilated = [layer for layer in layers
               if isinstance(layer, (AtrousConv2D, AtrousDepthwiseConv2D, AtrousSeparableConv2D))]
    for layer in dilated:
        layer.traced_for = runtime
    try:
        yield
    finally:
        for layer in dilated:
            layer.traced_for = None


def _without_gradient_marks(concrete):
    """Return the graph of `concrete` less its gradient marks, and the names of its inputs and output there.

    These, `IdentityN` nodes, carry hand-written gradients, which a saved function cannot hold and inference does not
    need, and they stand between convolution and batch normalisation where the two would be fused.
    """
    graph_def, sources = concrete.graph.as_graph_def(), {}
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
    return graph_def, [tensor.name for tensor in concrete.inputs], concrete.outputs[0].name
