"""The signatures of a SavedModel: pixels or encoded images in, labels, probabilities, logits or PNG files out."""

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kseg import tasks
from kseg.data.pixel_range import PixelRange
from kseg.export import graphs, image_bytes
from kseg.export.original import Original
from kseg.inference.results import label_map
from kseg.inference.runners import Runner


def servable(original: Original) -> tf.Module:
    """Return what is saved, as the description of `original` has it.

    Returns:
        `tf.Module` with the signatures by name as `served`, and the graph of the network as `network_graph`.
    """
    described, size, channels = original.description, original.image_size, original.channels
    logits = graphs.captured_logits(original, "any machine")  # the server's machine may be another
    task = tasks.of(described["task"])
    painted = image_bytes.painter(described["label_set"]["palette"], task)

    def labels_of(values):
        return tf.cast(label_map(values, task.name, described["threshold"]), tf.uint8)

    def png_files(contents, encoded, answer):
        def png_file(content):
            pixels = image_bytes.decode(content, channels, as_stored=original.pixel_range is not None)
            return encoded(image_bytes.segment(pixels, lambda pixels: labels_of(logits(pixels)), size,
                                               described["maximum_side"]))

        # One after the other, so that memory holds one at a time.
        return tf.map_fn(png_file, contents, fn_output_signature=tf.TensorSpec(answer, tf.string),
                         parallel_iterations=1)

    def serving_default(pixels):
        values = logits(tf.cast(pixels, tf.float32))
        answer = {"labels": labels_of(values)}
        return {**answer, "probabilities": activation(values)} if described["probabilities"] else answer

    def serve_bytes(image_bytes):
        answer = [described["classes"]] if task.stacked else []
        return {"labels_png_bytes": png_files(image_bytes, label_files, answer)}

    def serve_bytes_color(image_bytes):
        return {"color_png_bytes": png_files(image_bytes, lambda labels: _png(painted(labels)), [])}

    activation = tf.nn.softmax if task.exclusive else tf.nn.sigmoid
    label_files = _png_by_class if task.stacked else _png
    shape = [None, *size, channels]
    encoded = tf.TensorSpec([None], tf.string, "image_bytes")
    module = tf.Module()
    module.network_graph = logits.get_concrete_function().graph.as_graph_def()
    kind = tf.uint8 if original.pixel_range is None else tf.float32  # REST has no integers of 16 bits
    served = {"serving_default": (serving_default, tf.TensorSpec(shape, kind, "pixels")),
              "logits": (lambda pixels: {"logits": logits(pixels)}, tf.TensorSpec(shape, tf.float32, "pixels"))}
    if channels in (1, 3) and original.keeps_size and _fits_png(original.pixel_range):
        served |= {"serve_bytes": (serve_bytes, encoded), "serve_bytes_color": (serve_bytes_color, encoded)}
    module.served = {name: tf.function(function, input_signature=[spec], autograph=False)
                     for name, (function, spec) in served.items()}
    return module


def _png(picture):
    """Return uint8 `[H, W, 1 or 3]` as a PNG file."""
    return tf.io.encode_png(picture, compression=1)


def _png_by_class(labels):
    """Return uint8 `[H, W, classes]` as a PNG file per class."""
    return tf.stack([_png(labels[..., index:index + 1]) for index in range(labels.shape[-1])])


def _fits_png(pixel_range):
    """Return whether PNG, whole numbers of up to 16 bits, can hold what a model takes: at least 8 bits of it."""
    return pixel_range is None or all(0 <= low and high <= 65535 and high - low >= 255
                                      for low, high in pixel_range.bounds)


def stored_image(image: np.ndarray, pixel_range: PixelRange | None) -> np.ndarray:
    """Return an image, uint8 `[H, W, channels]`, as a PNG would store it for a model: uint16 with a `pixel_range`."""
    return image if pixel_range is None else np.rint(pixel_range.restored(image)).astype(np.uint16)


def write_warm_up(folder: str, model_name: str, image: np.ndarray, served: dict[str, Callable],
                  pixel_range: PixelRange | None = None) -> None:
    """Write requests that TensorFlow Serving answers while it loads a version, so that no user waits for a first run.

    The file is a TFRecord of `PredictionLog` messages. Three nested messages with string keys are written here byte by
    byte, so that exporting needs no `tensorflow-serving-api`.

    Args:
        folder: the SavedModel.
        model_name: the name under which it will be served.
        image: uint8 `[1, H, W, channels]`.
        served: the signatures by name, of which those that users call get a request each.
        pixel_range: by which the model scales the numbers it takes, or None.
    """
    requests = {"serving_default": {"pixels": image if pixel_range is None else pixel_range.restored(image)}}
    if "serve_bytes" in served:
        requests["serve_bytes"] = {"image_bytes": [tf.io.encode_png(stored_image(image[0], pixel_range)).numpy()]}
    os.makedirs(os.path.join(folder, "assets.extra"), exist_ok=True)
    with tf.io.TFRecordWriter(os.path.join(folder, "assets.extra", "tf_serving_warmup_requests")) as writer:
        for signature, inputs in requests.items():
            # ModelSpec: name = 1, signature_name = 3. PredictRequest: model_spec = 1, inputs = 2 (map: key = 1,
            # value = 2). PredictLog: request = 1. PredictionLog: predict_log = 6.
            request = _field(1, _field(1, model_name.encode()) + _field(3, signature.encode()))
            for name, value in inputs.items():
                tensor = tf.make_tensor_proto(value).SerializeToString()
                request += _field(2, _field(1, name.encode()) + _field(2, tensor))
            writer.write(_field(6, _field(1, request)))


def bytes_agreement(original: Runner, serve: Callable, compared: list[np.ndarray],
                    pixel_range: PixelRange | None = None) -> float:
    """Return the share of pixels that `serve` (`serve_bytes`) labels as `original` does, on PNG files of images.

    With a `pixel_range` the files hold uint16, numbers as they are stored.
    """
    same, pixels = 0, 0
    for batch in compared:
        for image in batch[:2]:
            stored = stored_image(image, pixel_range)
            answer = serve(image_bytes=tf.stack([tf.io.encode_png(stored)]))["labels_png_bytes"].numpy()[0]
            image = image if pixel_range is None else pixel_range.scaled(stored)
            maps = [tf.io.decode_png(file).numpy()[..., 0] for file in np.atleast_1d(answer)]  # [H, W] each
            found = np.stack(maps, -1) if original.task.stacked else maps[0]
            same += int((original.labels(original(image[None]))[0] == found).sum())
            pixels += found.size
    return same / pixels


def _field(number, content):
    """Return `content` (bytes) as a length-delimited field of a protocol buffer."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])
