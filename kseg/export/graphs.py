"""A Keras model as a TensorFlow function whose weights are constants."""

import contextlib
from collections.abc import Callable, Iterable, Iterator

import keras
import tensorflow as tf

from kseg.export.original import Original
from kseg.layers import AtrousConv2D, AtrousDepthwiseConv2D, AtrousSeparableConv2D


def captured_logits(original: Original, batch_size: int | None = None,
                    anywhere: bool = False) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a `tf.function`, float32 pixels `[batch_size, *image_size, channels]` to logits, no variables.

    The weights are tensors that the function captures: a SavedModel holds them once, however many signatures call it,
    and TensorFlow Serving and TFLite's converter, which inline functions before they fold constants, see constants.
    Variables would cost a read each at every call, and keep TFLite's kernels from packing weights. Always traced with
    `training=False`. With `anywhere` it holds no operation that only some machines have.
    """
    model, size = original.model, original.image_size
    trainable = [tf.constant(weight.numpy()) for weight in model.trainable_variables]
    others = [tf.constant(weight.numpy()) for weight in model.non_trainable_variables]
    spec = tf.TensorSpec([batch_size, *size, original.channels], tf.float32, "pixels")

    def traced(pixels):
        with portable(original.layers, anywhere):
            outputs, _ = model.stateless_call(trainable, others, pixels, training=False)
        return tf.cast(outputs[0] if isinstance(outputs, (list, tuple)) else outputs, tf.float32)

    concrete = tf.function(traced, autograph=False).get_concrete_function(spec)
    run, weights = _stripped(concrete), concrete.captured_inputs
    sides = [made or given for made, given in zip(concrete.outputs[0].shape[1:3], size)]

    @tf.function(input_signature=[spec], autograph=False)
    def logits(pixels):
        return tf.ensure_shape(run(pixels, *weights), [batch_size, *sides, model.outputs[0].shape[-1]])

    return logits


@contextlib.contextmanager
def portable(layers: Iterable[keras.layers.Layer], wanted: bool = True) -> Iterator[None]:
    """Have the dilated ones of `layers` traced as every machine runs them, for a graph that needs no gradient.

    Depthwise ones with their pixels regrouped: only oneDNN has them as one operation, and a graph that holds it fails
    on a GPU, and on processors for which TensorFlow leaves oneDNN off. Others as one operation, also where this
    machine, without oneDNN, has no gradient of it. After the block, and where it is not `wanted`, they are as before.
    """
    dilated = [layer for layer in layers
               if wanted and isinstance(layer, (AtrousConv2D, AtrousDepthwiseConv2D, AtrousSeparableConv2D))]
    for layer in dilated:
        layer.portable = True
    try:
        yield
    finally:
        for layer in dilated:
            layer.portable = False


def _stripped(concrete):
    """Return the function of `concrete` (inputs and captured tensors, in order, to its output) less gradient marks.

    These, `IdentityN` nodes, carry hand-written gradients, which a saved function cannot hold and inference does not
    need, and they stand between convolution and batch normalisation where the two would be fused.
    """
    feeds, fetch = [tensor.name for tensor in concrete.inputs], concrete.outputs[0].name
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
    imported = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph_def, name=""), [])
    tensor = imported.graph.get_tensor_by_name
    return imported.prune([tensor(name) for name in feeds], tensor(fetch))
