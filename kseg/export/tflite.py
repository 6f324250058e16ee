"""Keras models as TFLite (LiteRT) files with built-in operators only."""

import os
import tempfile
from collections.abc import Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf

from kseg import checks, files
from kseg.export import graphs, operators, parity, quantization
from kseg.export.comparison_images import structured_images
from kseg.export.parity_report import ParityReport
from kseg.inference import metadata
from kseg.inference.predict import label_map
from kseg.inference.runners.keras_model import KerasRunner
from kseg.inference.runners.tflite import TFLiteModel
from kseg.labels import LabelSet

QUANTIZE = (None, "float16", "dynamic", "int8", "int8_float_io")


def tflite(model: keras.Model, path: str | os.PathLike, image_size: Sequence[int], quantize: str | None = None,
           calibration: tf.data.Dataset | np.ndarray | None = None, output: str = "logits", *,
           calibration_images: int = 100, images: np.ndarray | None = None, evaluate_on: Iterable | None = None,
           minimum_agreement: float | None = None, maximum_miou_drop: float = 0.01,
           label_set: LabelSet | None = None, threads: int = 2, layer_errors: bool = True,
           overwrite: bool = False) -> ParityReport:
    """Write `model` as a TFLite file for images of one size, and compare the two.

    The file takes `pixels` `[1, H, W, channels]`, 0-255: float32, or uint8 where `quantize="int8"`. Normalisation is
    inside. Output: `logits` float32 (int8 with a scale where `quantize="int8"`) `[1, H, W, classes]`, or `labels`
    uint8 `[1, H, W]`. Class names, palette and normalisation are in the file (`kseg.export.read_metadata`). A report
    is saved as `<path>.parity.json`. A mixed-precision model is exported, and compared, in float32.

    Args:
        model: `keras.Model` of kseg, pixels to logits.
        path: str or path of the file, ending in ".tflite"; missing folders are made.
        image_size: (height, width) in pixels.
        quantize: None (float32); "float16" (weights; half the size); "dynamic" (int8 weights, float activations);
            "int8" (weights, activations, input and output); "int8_float_io" (as "int8" with float32 input and output).
        calibration: for int8, images of the kind the model will see: a `tf.data.Dataset` of `(pixels, labels)` or
            pixels, or an array `[N, H, W, channels]`, 0-255, of `image_size`.
        output: "logits" or "labels".
        calibration_images: int, at most so many images calibrate.
        images: array `[N, H, W, channels]` 0-255 on which the two are compared; None: structured images, and for int8
            the first calibration images, because ranges measured on one kind of image say little about another.
        evaluate_on: `tf.data.Dataset` of `(pixels, labels)` on which mean IoU is compared, or None.
        minimum_agreement: float 0-1, least share of pixels with the same label; None: 0.999 for float32, 0.995 for
            float16, 0.95 for dynamic, 0.90 for int8.
        maximum_miou_drop: float 0-1, how much mean IoU may fall on `evaluate_on`. Default one point.
        label_set: `LabelSet` or None (the model's own).
        threads: int, threads of the interpreter where time is measured.
        layer_errors: bool, for int8, find the tensors that lose most (costs a second conversion).
        overwrite: bool, whether an existing file may be replaced.
    Returns:
        `ParityReport`.
    Raises:
        ValueError: if the comparison fails, no file is left then; or for an illegal argument.
        FileExistsError: if `path` exists.
        OSError: if the disk refuses.
    """
    size = _checked(model, path, image_size, quantize, output, threads, evaluate_on)
    limits = parity.limits_for(model, quantize, minimum_agreement, maximum_miou_drop)
    channels = model.inputs[0].shape[-1]
    samples = quantization.calibration_array(quantize, calibration, size, channels, calibration_images)
    description = metadata.describe(model, kind="tflite", label_set=label_set, image_size=size, output=output,
                                    quantize=quantize)
    if images is None:
        images = structured_images(*size, channels) if samples is None else samples[:4]
    compared, twin = parity.given_images(images, size, channels), graphs.float32_twin(model)
    with files.draft(path, overwrite=overwrite) as temporary:
        content = metadata.append_to_tflite(convert(twin, size, quantize, output, samples), description)
        exported = TFLiteModel(content, threads)
        counts = operators.tflite_operators(content)
        report = ParityReport(
            path=os.fspath(path), kind="tflite", quantize=quantize, size_bytes=len(content), operators=counts,
            gpu_unfriendly_operators=operators.gpu_unfriendly(counts), limits=limits,
            **parity.measure(KerasRunner(twin), exported, [compared], evaluate_on,
                             {f"TFLite, {threads} threads": exported}))
        if samples is not None and layer_errors:
            report.layer_errors = quantization.layer_errors(convert(twin, size, None, output), content, compared[:1])
        report.check()
        with files.refusals(path), open(temporary, "wb") as file:
            file.write(content)
    report.save(f"{os.fspath(path)}.parity.json")
    return report


def _checked(model, path, image_size, quantize, output, threads, evaluate_on):
    graphs.check_model(model)
    checks.one_of("quantize", quantize, QUANTIZE)
    checks.one_of("output", output, ("logits", "labels"))
    checks.positive_integer("threads", threads)
    if not os.fspath(path).endswith(".tflite"):
        raise ValueError(checks.sentence("path", 'must end in ".tflite"', os.fspath(path), "Add the ending."))
    return graphs.exported_size(model, checks.image_size(image_size), evaluate_on)


def convert(model: keras.Model, image_size: tuple[int, int], quantize: str | None = None, output: str = "logits",
            samples: np.ndarray | None = None) -> bytes:
    """Return `model` as the bytes of a TFLite file (arguments as `tflite`; `samples` float32 `[N, H, W, C]`)."""
    logits = graphs.captured_logits(model, image_size, 1)
    spec = tf.TensorSpec([1, *image_size, model.inputs[0].shape[-1]], tf.float32, "pixels")

    @tf.function(input_signature=[spec], autograph=False)
    def serve(pixels):
        values = logits(pixels)
        if output == "labels":
            return {"labels": tf.cast(label_map(values), tf.uint8)}
        return {"logits": values}

    module = tf.Module()
    module.serve = serve
    with tempfile.TemporaryDirectory() as folder:
        with files.refusals(folder):
            tf.saved_model.save(module, folder, signatures=serve)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        quantization.configure(converter, quantize, samples, output)
        return converter.convert()
