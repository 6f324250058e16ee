"""Keras models as ONNX files for ONNX Runtime, TensorRT, OpenVINO and others. Needs the extra `onnx`."""

import collections
import contextlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from kseg import checks, files
from kseg.export import graphs, parity
from kseg.export.comparison_images import compared_images
from kseg.export.original import Original, examined
from kseg.export.parity_report import ParityReport
from kseg.inference import metadata
from kseg.inference.results import label_map
from kseg.inference.runners.keras_model import KerasRunner
from kseg.inference.runners.onnx import ONNXModel
from kseg.labels import LabelSet
from kseg.models import onnx_graph

if TYPE_CHECKING:
    from onnx import ModelProto

OPSETS = range(13, 19)  # those that the converter writes and that hold every operation of kseg's models


def onnx(model: keras.Model, path: str | os.PathLike, image_size: Sequence[int | None] = (None, None),
         output: str = "logits", *, opset: int = 17, images: np.ndarray | None = None,
         evaluate_on: Iterable | None = None, minimum_agreement: float | None = None, maximum_miou_drop: float = 0.01,
         label_set: LabelSet | None = None, threads: int = 2, overwrite: bool = False) -> ParityReport:
    """Write `model` as an ONNX file, and compare the two, run by ONNX Runtime.

        report = kseg.export.onnx(model, "m.onnx")                               # any height and width
        label_map = kseg.predict("m.onnx", "photo.jpg")
        session = onnxruntime.InferenceSession("m.onnx"); logits, = session.run(None, {"pixels": float32_images})

    The file takes `pixels` float32 `[B, H, W, channels]`, 0-255; normalisation is inside. Output: `logits` float32
    `[B, H, W, classes]`, or `labels` uint8 `[B, H, W]`. Class names, palette and normalisation are in the file's
    properties (`kseg.export.read_metadata`). A report is saved as `<path>.parity.json`. A mixed-precision model is
    exported, and compared, in float32.

    Args:
        model: `keras.Model` of kseg, pixels to logits.
        path: str or path of the file, ending in ".onnx"; missing folders are made.
        image_size: (height, width) in pixels; None for any.
        output: "logits" or "labels".
        opset: int, 13 to 18, the version of ONNX's operators; older runtimes take lower ones alone. Default 17.
        images: array `[N, H, W, channels]` 0-255 on which the two are compared; None: structured images.
        evaluate_on: `tf.data.Dataset` of `(pixels, labels)` on which mean IoU is compared, or None.
        minimum_agreement: float 0-1, least share of pixels with the same label; None: 0.999.
        maximum_miou_drop: float 0-1, how much mean IoU may fall on `evaluate_on`. Default one point.
        label_set: `LabelSet` or None (the model's own).
        threads: int, threads of ONNX Runtime where time is measured.
        overwrite: bool, whether an existing file may be replaced.
    Returns:
        `ParityReport`.
    Raises:
        ImportError: if tf2onnx, onnx or onnxruntime is not installed.
        ValueError: if the comparison fails, no file is left then; if ONNX lacks an operation of the model; or for an
            illegal argument.
        FileExistsError: if `path` exists.
        OSError: if the disk refuses.
    """
    checks.one_of("output", output, ("logits", "labels"))
    checks.one_of("opset", opset, OPSETS)
    checks.positive_integer("threads", threads)
    if not os.fspath(path).endswith(".onnx"):
        raise ValueError(checks.sentence("path", 'must end in ".onnx"', os.fspath(path), "Add the ending."))
    original = examined(model, image_size, evaluate_on, parity.limits_for(None, minimum_agreement, maximum_miou_drop),
                        kind="onnx", in_float32=True, label_set=label_set, output=output, opset=opset)
    compared = compared_images(images, original)
    with files.draft(path, overwrite=overwrite) as temporary:
        converted = _converted(original, output, opset)
        with files.refusals(path), open(temporary, "wb") as file:
            file.write(converted.SerializeToString())
        exported = ONNXModel(temporary, threads)
        report = ParityReport(
            path=os.fspath(path), kind="onnx", size_bytes=os.path.getsize(temporary), limits=original.limits,
            operators=dict(sorted(collections.Counter(node.op_type for node in converted.graph.node).items())),
            **parity.measure(KerasRunner(original.model), exported, compared, evaluate_on,
                             {f"ONNX Runtime, {threads} threads": exported}))
        report.check()
        files.discard(f"{os.fspath(path)}.parity.json")  # of what is replaced now
    report.save(f"{os.fspath(path)}.parity.json")
    return report


def _converted(original: Original, output: str, opset: int) -> "ModelProto":
    """Return the model in ONNX, with what it says about itself."""
    try:
        import onnx
        import tf2onnx
    except ImportError as failure:
        raise checks.missing("model", "the packages tf2onnx and onnx", original.model.name, "onnx") from failure

    def answer(logits):
        if output == "logits":
            return logits
        return tf.cast(label_map(logits, original.description["task"], original.description["threshold"]), tf.uint8)

    with _quiet():
        converted, _ = tf2onnx.convert.from_graph_def(
            graphs.constant_graph(original, answer, output), name=original.model.name, opset=opset,
            input_names=["pixels:0"], output_names=[f"{output}:0"],
            tensors_to_rename={"pixels:0": "pixels", f"{output}:0": output})
    unknown = sorted({node.op_type for node in converted.graph.node if not onnx.defs.has(node.op_type, node.domain)})
    if unknown:
        raise ValueError(checks.sentence("model", "must be made of operations that ONNX has", unknown,
                                         "Leave out the layers with these operations of TensorFlow."))
    _name_sides(converted, original.keeps_size)
    onnx_graph.make_runnable(converted.graph)
    onnx.helper.set_model_props(converted, metadata.as_properties(original.description))
    return converted


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what TensorFlow and the converter log on the way: functions of TensorFlow 1 that the latter calls."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "tf2onnx")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _name_sides(model, keeps_size):
    """Name the sides that may be of any length, which the converter numbers: equal names are equal lengths."""
    for tensor, known in ((model.graph.input[0], True), (model.graph.output[0], keeps_size)):
        for side, name in zip(tensor.type.tensor_type.shape.dim, ("batch", "height", "width")):
            if not side.dim_value and (known or name == "batch"):
                side.dim_param = name
