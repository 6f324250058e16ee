"""TFLite (LiteRT) files."""

import os
from typing import Any

import numpy as np

from kseg import checks
from kseg.inference.metadata import classes_in, found_metadata
from kseg.inference.runners.interface import Runner


class TFLiteModel(Runner):
    """A `.tflite` file, ready to call: of `kseg.export.tflite`, or any from pixels to logits.

    Args:
        path: str or path of the file, or bytes, its content.
        threads: int, threads of the interpreter. Default 2.
    Raises:
        FileNotFoundError: if no file stands at `path`.
        ValueError: if it is no TFLite file, or not from pixels to logits.
    """

    def __init__(self, path: str | os.PathLike | bytes, threads: int = 2):
        from ai_edge_litert.interpreter import Interpreter

        checks.positive_integer("threads", threads)
        content = isinstance(path, (bytes, bytearray))
        model = bytes(path) if content else checks.existing_file("model", os.fspath(path), "Give a .tflite file.")
        shown = f"{len(model)} bytes" if content else model
        try:
            self._interpreter = Interpreter(**{"model_content" if content else "model_path": model},
                                            num_threads=threads)
            self._interpreter.allocate_tensors()
            self._input = self._interpreter.get_input_details()[0]
            self._output = self._interpreter.get_output_details()[0]
        except Exception as failure:  # of a file without tensors, with names that are no text, with unknown operators
            raise ValueError(checks.sentence(
                "model", "must be a TFLite file", shown,
                f"The interpreter says: {' '.join(str(failure).split()).rstrip('.')}.")) from failure
        metadata, made = found_metadata(model), self._output["shape"]
        given = [None if side < 0 else int(side) for side in self._input["shape_signature"]]
        classes = made[-1] if len(made) == 4 else classes_in(metadata)
        labels_only = len(made) == 3 or (metadata or {}).get("output") == "labels"
        if (len(given) != 4 or given[-1] is None or len(made) not in (3, 4) or not classes
                or labels_only and np.dtype(self._output["dtype"]).kind not in "iu"):
            raise ValueError(checks.sentence(
                "model", "must be a TFLite file from pixels [B, H, W, channels] to logits, or to labels in integers",
                shown, "Export it with kseg.export.tflite."))
        super().__init__(given[1:], classes, answer=made[1:3], batch_size=1, dtype=self._input["dtype"],
                         labels_only=labels_only, metadata=metadata)

    def storage(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return how pixels and answer are stored: `type` (NumPy's name), `scale` and `zero`, JSON-ready; 0: as is."""
        return tuple({"type": np.dtype(one["dtype"]).name, "scale": float(one["quantization"][0]),
                      "zero": int(one["quantization"][1])} for one in (self._input, self._output))

    def run(self, batch: np.ndarray) -> np.ndarray:
        try:
            if self.image_size is None:
                self._interpreter.resize_tensor_input(self._input["index"], batch.shape)
                self._interpreter.allocate_tensors()
            self._interpreter.set_tensor(self._input["index"], quantized(batch, self._input))
            self._interpreter.invoke()
            answer = self._interpreter.get_tensor(self._output["index"])
        except (RuntimeError, ValueError) as failure:
            raise ValueError(checks.sentence(
                "model", "must be a TFLite file that can be run", f"pixels {batch.shape}",
                f"The interpreter says: {' '.join(str(failure).split()).rstrip('.')}. Export it again.")) from failure
        return answer if self.labels_only else dequantized(answer, self._output)


def quantized(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Return float `values` as the tensor of `details` (the interpreter's) holds them."""
    dtype = details["dtype"]
    if np.issubdtype(dtype, np.floating):
        return values.astype(dtype)
    scale, zero = details["quantization"]
    steps = np.rint(values / scale + zero) if scale else np.rint(values)
    return np.clip(steps, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)


def dequantized(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Return the numbers that `values` of the tensor of `details` stand for, float32."""
    scale, zero = details["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale) if scale else values.astype(np.float32)
