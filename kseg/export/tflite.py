"""Keras models as TFLite (LiteRT) files with built-in operators only."""

import os
from collections.abc import Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf

from kseg import checks, files
from kseg.export import operators, parity, quantization
from kseg.export.comparison_images import compared_images
from kseg.export.original import examined
from kseg.export.parity_report import ParityReport
from kseg.inference import metadata
from kseg.inference.runners.keras_model import KerasRunner
from kseg.inference.runners.tflite import TFLiteModel
from kseg.labels import LabelSet


def tflite(model: keras.Model, path: str | os.PathLike, image_size: Sequence[int], quantize: str | None = None,
           calibration: tf.data.Dataset | np.ndarray | None = None, output: str = "logits", *,
           calibration_images: int = 100, images: np.ndarray | None = None, evaluate_on: Iterable | None = None,
           minimum_agreement: float | None = None, maximum_miou_drop: float = 0.01,
           label_set: LabelSet | None = None, threads: int = 2, layer_errors: bool = True,
           overwrite: bool = False) -> ParityReport:
    """Write `model` as a TFLite file for images of one size, and compare the two.

    The file takes `pixels` `[1, H, W, channels]`, 0-255: float32, or uint8 where `quantize="int8"`. Normalisation is
    inside. So is the scale of a model with a `pixel_range` (see `kseg.models.Segmenter`): the file takes numbers as
    they are stored, float32; where `quantize` is "int8" or "int8_float_io" it takes them scaled to 0-255, as
    `kseg.predict` gives them. Output: `logits` float32 (int8 with a scale where `quantize="int8"`)
    `[1, H, W, classes]`, or `labels` uint8 `[1, H, W]`, of the task "binary" 0 and 1 by the model's threshold, of
    "multilabel" so `[1, H, W, classes]`. Class names, palette and normalisation are in the file
    (`kseg.export.read_metadata`). A report is saved as `<path>.parity.json`. A mixed-precision model is exported, and
    compared, in float32.

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
    checks.one_of("quantize", quantize, parity.LIMITS)
    checks.one_of("output", output, ("logits", "labels"))
    checks.positive_integer("threads", threads)
    if not os.fspath(path).endswith(".tflite"):
        raise ValueError(checks.sentence("path", 'must end in ".tflite"', os.fspath(path), "Add the ending."))
    original = examined(model, checks.image_size(image_size), evaluate_on,
                        parity.limits_for(quantize, minimum_agreement, maximum_miou_drop), kind="tflite",
                        in_float32=True, label_set=label_set, output=output, quantize=quantize)
    samples = quantization.calibration_array(quantize, calibration, original, calibration_images)
    compared = compared_images(samples[:4] if images is None and samples is not None else images, original)
    with files.draft(path, overwrite=overwrite) as temporary:
        with files.refusals(path):
            content = quantization.convert(original, temporary, quantize, output, samples)
            explained = samples is not None and layer_errors
            plain = quantization.convert(original, temporary, None, output) if explained else None
            with open(temporary, "wb") as file:
                file.write(metadata.append_to_tflite(content, original.description))
        exported = TFLiteModel(temporary, threads)
        counts = operators.tflite_operators(temporary)
        report = ParityReport(
            path=os.fspath(path), kind="tflite", quantize=quantize, size_bytes=os.path.getsize(temporary),
            operators=counts, gpu_unfriendly_operators=operators.gpu_unfriendly(counts), limits=original.limits,
            **parity.measure(KerasRunner(original.model), exported, compared, evaluate_on,
                             {f"TFLite, {threads} threads": exported}))
        if plain is not None:
            report.layer_errors = quantization.layer_errors(plain, content, compared[0][:1])
        report.check()
        files.discard(f"{os.fspath(path)}.parity.json")  # of what is replaced now
    report.save(f"{os.fspath(path)}.parity.json")
    return report
