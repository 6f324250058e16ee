"""The signatures of a SavedModel: pixels or encoded images in, labels, probabilities, logits or PNG files out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kseg.export import graphs, image_bytes
from kseg.export.original import Original
from kseg.inference.predict import label_map
from kseg.inference.runners import Runner


def servable(original: Original) -> tf.Module:
    """Return what is saved, as the description of `original` has it.

    Returns:
        `tf.Module` with the signatures by name as `served`, and the graph of the network as `network_graph`.
    """
    described, size, channels = original.description, original.image_size, original.channels
    logits = graphs.captured_logits(original, anywhere=True)  # the server's machine may be another
    palette = tf.constant(np.asarray(described["label_set"]["palette"], np.uint8))

    def labels_of(values):
        return tf.cast(label_map(values), tf.uint8)

    def segment(content):
        return image_bytes.segment(content, lambda pixels: labels_of(logits(pixels)), channels, size,
                                   described["maximum_side"])

    def serving_default(pixels):
        values = logits(tf.cast(pixels, tf.float32))
        answer = {"labels": labels_of(values)}
        return {**answer, "probabilities": tf.nn.softmax(values)} if described["probabilities"] else answer

    def serve_bytes(image_bytes):
        return {"labels_png_bytes": _each(image_bytes, lambda content: _png(segment(content)))}

    def serve_bytes_color(image_bytes):
        return {"color_png_bytes": _each(
            image_bytes, lambda content: _png(tf.gather(palette, tf.cast(segment(content), tf.int32))))}

    shape = [None, *size, channels]
    encoded = tf.TensorSpec([None], tf.string, "image_bytes")
    module = tf.Module()
    module.network_graph = logits.get_concrete_function().graph.as_graph_def()
    served = {"serving_default": (serving_default, tf.TensorSpec(shape, tf.uint8, "pixels")),
              "logits": (lambda pixels: {"logits": logits(pixels)}, tf.TensorSpec(shape, tf.float32, "pixels"))}
    if channels in (1, 3) and original.keeps_size:
        served |= {"serve_bytes": (serve_bytes, encoded), "serve_bytes_color": (serve_bytes_color, encoded)}
    module.served = {name: tf.function(function, input_signature=[spec], autograph=False)
                     for name, (function, spec) in served.items()}
    return module


def requests(image: np.ndarray, signatures: dict[str, Callable]) -> list[tuple[str, dict[str, Any]]]:
    """Return one request to each signature that users call, for `image`, uint8 `[1, H, W, channels]`."""
    found = [("serving_default", {"pixels": image})]
    if "serve_bytes" in signatures:
        found.append(("serve_bytes", {"image_bytes": [tf.io.encode_png(image[0]).numpy()]}))
    return found


def bytes_agreement(original: Runner, serve: Callable, compared: list[np.ndarray]) -> float:
    """Return the share of pixels that `serve` (`serve_bytes`) labels as `original` does, on PNG files of images."""
    same, pixels = 0, 0
    for batch in compared:
        for image in batch[:2]:
            answer = serve(image_bytes=tf.stack([tf.io.encode_png(image)]))["labels_png_bytes"][0]
            found = tf.io.decode_png(answer).numpy()[..., 0]  # [H, W]
            same += int((label_map(original(image[None]))[0] == found).sum())
            pixels += found.size
    return same / pixels


def _each(contents, function):
    """Apply `function` to one encoded image after the other, so that memory holds one at a time."""
    return tf.map_fn(function, contents, fn_output_signature=tf.string, parallel_iterations=1)


def _png(values):
    """Return uint8 `[H, W]` or `[H, W, 3]` as a PNG file, scalar string."""
    return tf.io.encode_png(values if values.shape.rank == 3 else values[..., None], compression=1)
