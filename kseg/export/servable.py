"""Keras models as SavedModel folders for TensorFlow Serving."""

import json
import os

import numpy as np
import tensorflow as tf

from kseg import checks
from kseg.export import graphs, image_bytes, metadata, operators, parity, warm_up
from kseg.export.lite import keras_function
from kseg.export.pictures import structured_images
from kseg.export.runner import SavedModelRunner
from kseg.export.staging import refusals, staged


def saved_model(model, path, *, image_size=(None, None), probabilities=False, maximum_side=2048, label_set=None,
                images=None, evaluate_on=None, minimum_agreement=None, maximum_miou_drop=0.01, warm_up_requests=True,
                overwrite=False):
    """Write `model` as a SavedModel folder that TensorFlow Serving loads, and compare the two.

    Signatures:

    - `serving_default`: `pixels` uint8 `[B, H, W, channels]` to `labels` uint8 `[B, H, W]`, and `probabilities`
      float32 `[B, H, W, classes]` on request.
    - `logits`: `pixels` float32 `[B, H, W, channels]`, 0-255, to `logits` float32 `[B, H, W, classes]`.
    - `serve_bytes`: `image_bytes` string `[B]`, JPEG, PNG, BMP or GIF files of any size, to `labels_png_bytes` string
      `[B]`: grey 8-bit PNG files whose pixels are class ids, each of its image's size.
    - `serve_bytes_color`: the same painted with the palette, `color_png_bytes`.

    The last two exist for models of 1 or 3 bands whose logits are as large as the pixels (a U-Net of valid
    convolutions is exported at the size of its tiles, which `kseg.predict` cuts). They segment an image at its own
    size up to `maximum_side` pixels on the longer side; a larger one is scaled down for the network (antialiased) and
    its label map scaled up again (nearest). Where `image_size` is fixed, images are scaled to it likewise. Weights are
    constants, so that no variable is read at serving time, and no operation is missing on a GPU or without oneDNN.
    TensorFlow Serving loads folders named by a version number: use `path="serving/street/1"` for a model called
    street, or `kseg.export.next_version("serving/street")`.

    Args:
        model: `keras.Model` of kseg, pixels to logits.
        path: str or path of the folder; missing folders above it are made.
        image_size: (height, width) in pixels; None for any.
        probabilities: bool, whether `serving_default` also returns probabilities (large: 4 bytes a class a pixel).
        maximum_side: int, in pixels, see above; it bounds the memory a request can take.
        label_set: `LabelSet` or None (the model's own).
        images: array `[N, H, W, channels]` 0-255 on which the two are compared; None: structured images.
        evaluate_on: `tf.data.Dataset` of `(pixels, labels)` on which mean IoU is compared, or None.
        minimum_agreement: float 0-1, least share of pixels with the same label; None: 0.999.
        maximum_miou_drop: float 0-1, how much mean IoU may fall on `evaluate_on`.
        warm_up_requests: bool, whether `assets.extra/tf_serving_warmup_requests` is written.
        overwrite: bool, whether an existing folder may be replaced.
    Returns:
        `ParityReport`; also saved as `<path>.parity.json`.
    Raises:
        ValueError: if the comparison fails, no folder is left then; or for an illegal argument.
        FileExistsError: if `path` exists.
        OSError: if the disk refuses.
    """
    graphs.check_model(model)
    size = graphs.exported_size(model, image_size, evaluate_on)
    checks.positive_integer("maximum_side", maximum_side)
    limits = parity.limits_for(model, None, minimum_agreement, maximum_miou_drop)
    description = metadata.describe(model, kind="saved_model", label_set=label_set, image_size=size,
                                    maximum_side=maximum_side, probabilities=bool(probabilities))
    compared = _compared_images(images, size, model.inputs[0].shape[-1])
    with staged(path, overwrite) as temporary:
        module, graph_def = _module(model, size, maximum_side, probabilities, description)
        with refusals(path):
            os.makedirs(os.path.join(temporary, "assets.extra"))
            description["signatures"] = sorted(module.served)
            tf.saved_model.save(module, temporary, signatures=module.served)
            with open(os.path.join(temporary, "assets.extra", metadata.FILE_NAME), "w", encoding="utf-8") as file:
                json.dump(description, file, indent=1)
            if warm_up_requests:
                name = os.path.basename(os.path.dirname(os.path.abspath(os.fspath(path))))
                warm_up.write(temporary, name, _requests(compared[0][:1], module.served))
        report = _report(model, temporary, path, compared, evaluate_on, limits, graph_def)
        report.check()
        with refusals(path):
            report.save(temporary + ".parity.json")
    return report


def _compared_images(images, size, channels):
    if images is not None:
        images = np.asarray(images)
        fits = images.ndim == 4 and len(images) and images.shape[3] == channels and all(
            wanted in (None, side) for wanted, side in zip(size, images.shape[1:3]))
        if not fits:
            raise ValueError(checks.sentence(
                "images", f"must be an array [N, H, W, {channels}] of the exported size", images.shape,
                "Resize them to image_size."))
        return [np.clip(np.round(images), 0, 255).astype(np.uint8)]
    sizes = [size] if None not in size else [(97, 129), (128, 96)]
    return [structured_images(*(fixed or side for fixed, side in zip(size, pair)), channels) for pair in sizes]


def _module(model, size, maximum_side, probabilities, description):
    """Return (`tf.Module` with its signatures as `served`, graph of the network)."""
    channels = model.inputs[0].shape[-1]
    logits = graphs.captured_logits(model, size, anywhere=True)  # the server's machine may be another
    palette = tf.constant(np.asarray(description["label_set"]["palette"], np.uint8))

    def labels_of(pixels):
        return tf.cast(tf.argmax(logits(pixels), -1, output_type=tf.int32), tf.uint8)

    def segment(content):
        return image_bytes.segment(content, labels_of, channels, size, maximum_side)

    def serving_default(pixels):
        values = logits(tf.cast(pixels, tf.float32))
        answer = {"labels": tf.cast(tf.argmax(values, -1, output_type=tf.int32), tf.uint8)}
        return {**answer, "probabilities": tf.nn.softmax(values)} if probabilities else answer

    def serve_bytes(image_bytes):
        return {"labels_png_bytes": _each(image_bytes, lambda content: _png(segment(content)))}

    def serve_bytes_color(image_bytes):
        return {"color_png_bytes": _each(
            image_bytes, lambda content: _png(tf.gather(palette, tf.cast(segment(content), tf.int32))))}

    shape = [None, *size, channels]
    encoded = tf.TensorSpec([None], tf.string, "image_bytes")
    module = tf.Module()
    module.served = {
        "serving_default": _signature(serving_default, tf.TensorSpec(shape, tf.uint8, "pixels")),
        "logits": _signature(lambda pixels: {"logits": logits(pixels)}, tf.TensorSpec(shape, tf.float32, "pixels")),
    }
    if channels in (1, 3) and graphs.keeps_size(model):
        module.served["serve_bytes"] = _signature(serve_bytes, encoded)
        module.served["serve_bytes_color"] = _signature(serve_bytes_color, encoded)
    return module, logits.get_concrete_function().graph.as_graph_def()


def _signature(function, spec):
    return tf.function(function, input_signature=[spec], autograph=False)


def _each(contents, function):
    """Apply `function` to one encoded image after the other, so that memory holds one at a time."""
    return tf.map_fn(function, contents, fn_output_signature=tf.string, parallel_iterations=1)


_png = image_bytes.encode_png


def _requests(image, signatures):
    requests = [("serving_default", {"pixels": image})]
    if "serve_bytes" in signatures:
        requests.append(("serve_bytes", {"image_bytes": [tf.io.encode_png(image[0]).numpy()]}))
    return requests


def _report(model, folder, path, compared, evaluate_on, limits, graph_def):
    exported, original = SavedModelRunner(folder), keras_function(model)
    report = parity.ParityReport(
        path=os.fspath(path), kind="saved_model", size_bytes=_size_of(folder), limits=limits,
        operators=operators.graph_operators(graph_def), **parity.compare(original, exported, compared))
    image = compared[0][:1]
    report.latency["SavedModel"] = parity.time_runs(lambda: exported(image))
    report.latency["Keras"] = parity.time_runs(lambda: original(image))
    if "serve_bytes" in exported.signatures:
        report.bytes_agreement = _bytes_agreement(original, exported, compared)
    if evaluate_on is not None:
        classes = int(model.outputs[0].shape[-1])
        report.miou_original = parity.mean_iou(original, evaluate_on, classes)
        report.miou_exported = parity.mean_iou(exported, evaluate_on, classes)
    return report


def _bytes_agreement(original, exported, compared):
    """Return the share of pixels that `serve_bytes` labels as the Keras model does, on PNG files of the images."""
    same, pixels = 0, 0
    serve = exported.signatures["serve_bytes"]
    for batch in compared:
        for image in batch[:2]:
            answer = serve(image_bytes=tf.stack([tf.io.encode_png(image)]))["labels_png_bytes"][0]
            found = tf.io.decode_png(answer).numpy()[..., 0]  # [H, W]
            same += int((original(image[None])[0].argmax(-1) == found).sum())
            pixels += found.size
    return same / pixels


def _size_of(folder):
    return sum(os.path.getsize(os.path.join(parent, name)) for parent, _, names in os.walk(folder) for name in names)
