"""Conversion to TFLite in fewer bits: what the converter is told and calibrates on, and which layers pay for it."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from kseg import checks
from kseg.export import graphs
from kseg.export.operators import walk
from kseg.export.original import Original
from kseg.inference.results import label_map
from kseg.inference.runners.tflite import dequantized, quantized


def convert(original: Original, scratch: str, quantize: str | None = None, output: str = "logits",
            samples: np.ndarray | None = None) -> bytes:
    """Return a model of one size as the bytes of a TFLite file.

    Args:
        scratch: path of a folder that is made, and gone at the end; a killed process leaves it to the next.
        samples: float32 `[N, H, W, C]`, for int8.
    """
    logits, described = graphs.captured_logits(original, "a converter", 1), original.description

    @tf.function(input_signature=logits.input_signature, autograph=False)
    def serve(pixels):
        values = logits(pixels)
        if output == "logits":
            return {"logits": values}
        return {"labels": tf.cast(label_map(values, described["task"], described["threshold"]), tf.uint8)}

    module = tf.Module()
    module.serve = serve
    with _emptied(scratch):
        tf.saved_model.save(module, scratch, signatures=serve)
        converter = tf.lite.TFLiteConverter.from_saved_model(scratch)
        int8 = quantize in ("int8", "int8_float_io")
        operators = tf.lite.OpsSet.TFLITE_BUILTINS_INT8 if int8 else tf.lite.OpsSet.TFLITE_BUILTINS
        converter.target_spec.supported_ops = [operators]
        if quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if int8:
            converter.representative_dataset = lambda: ([image[None]] for image in samples)
        if quantize == "int8":
            converter.inference_input_type = tf.uint8
            if output == "logits":
                converter.inference_output_type = tf.int8
        return converter.convert()


@contextlib.contextmanager
def _emptied(folder: str) -> Iterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def calibration_array(quantize: str | None, calibration: tf.data.Dataset | np.ndarray | None, original: Original,
                      limit: int) -> np.ndarray | None:
    """Return the calibration images, float32 `[N, H, W, C]`, 0-255, or None where `quantize` needs none.

    Two corner pixels of the first image are set to 0 and 255, so that the input's scale is exactly one grey level.

    Raises:
        ValueError: if there are none, or they are not of the size of the export.
    """
    if quantize not in ("int8", "int8_float_io"):
        return None
    checks.positive_integer("calibration_images", limit)
    if calibration is None:
        raise ValueError(checks.sentence(
            "calibration", f"must be images of the kind the model will see, for quantize={quantize!r}", calibration,
            "Pass the training set or a few dozen images of it."))
    images, wanted = [], (*original.image_size, original.channels)
    for batch in calibration if isinstance(calibration, tf.data.Dataset) else [calibration]:
        pixels = np.asarray(batch[0] if isinstance(batch, (tuple, list)) else batch)
        pixels = pixels[None] if pixels.ndim == 3 else pixels
        if pixels.ndim != 4 or (len(pixels) and pixels.shape[1:] != wanted):
            raise ValueError(checks.sentence(
                "calibration", f"must hold pixels [N, {', '.join(map(str, wanted))}]", pixels.shape,
                "Load it with the image_size of the export."))
        images.extend(pixels[:limit - len(images)])
        if len(images) >= limit:
            break
    if not images:
        raise ValueError(checks.sentence("calibration", "must hold at least one image", 0, "Check the split's name."))
    samples = np.stack(images).astype(np.float32)  # [N, H, W, C]
    samples[0, 0, 0], samples[0, -1, -1] = 0.0, 255.0
    return samples


def layer_errors(plain: bytes, lossy: bytes, image: np.ndarray, count: int = 10) -> list[dict[str, Any]]:
    """Return the tensors that lose most by quantisation, worst first.

    Both files run on `image`, keeping every intermediate tensor; tensors of the same name are compared.

    Args:
        plain, lossy: the float32 file and the int8 file.
        image: uint8 `[1, H, W, C]`.
        count: length of the list.
    Returns:
        list of {"tensor", "operator", "error"}: error is the root mean square difference divided by the standard
        deviation of the float tensor.
    """
    wanted, found = (_tensors(content, image) for content in (plain, lossy))
    errors = []
    for name, (operator, value) in wanted.items():
        if name not in found or found[name][1].shape != value.shape or np.abs(value).max(initial=0) > 1e30:
            continue  # fused away, or padded with the lowest float
        value, other = value.astype(np.float64), found[name][1].astype(np.float64)
        if value.std() > 0:
            error = float(np.sqrt(np.mean((value - other) ** 2)) / value.std())
            errors.append({"tensor": name, "operator": operator, "error": error})
    return sorted(errors, key=lambda entry: -entry["error"])[:count]


def _tensors(content, image):
    """Run `content` on `image`; return tensor name -> (operator that made it, value as float32)."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    makers = {int(operator.Outputs(0)): name for name, operator in walk(content)}  # of each tensor, by its index
    interpreter = Interpreter(model_content=content, experimental_preserve_all_tensors=True,
                              experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    interpreter.set_tensor(entry["index"], quantized(image.astype(np.float32), entry))
    interpreter.invoke()
    values = {}
    for details in interpreter.get_tensor_details():
        if details["index"] in makers and details["dtype"] in (np.float32, np.int8):
            value = dequantized(interpreter.get_tensor(details["index"]), details)
            values[details["name"]] = (makers[details["index"]], value)
    return values
