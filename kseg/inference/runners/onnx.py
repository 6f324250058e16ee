"""ONNX files, run by ONNX Runtime. Needs the extra `onnx`."""

import os
from collections.abc import Sequence

import numpy as np

from kseg import checks
from kseg.inference.metadata import classes_in, in_properties
from kseg.inference.runners.interface import Runner

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


class ONNXModel(Runner):
    """A `.onnx` file, ready to call: of `kseg.export.onnx`, or any from pixels `[B, H, W, channels]` to logits.

        run = kseg.export.ONNXModel("m.onnx", providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
        label_map = kseg.predict(run, "photo.jpg")
        logits = run(images)                                                     # float32 [B, H, W, classes]

    Args:
        path: str or path of the file, or bytes, its content.
        threads: int, threads that one operation is spread over. Default 2.
        providers: sequence of str, ONNX Runtime's execution providers, the preferred ones first.
    Raises:
        ImportError: if onnxruntime is not installed.
        FileNotFoundError: if no file stands at `path`.
        ValueError: if it is no ONNX file, or not from pixels to logits, or a provider is not installed.
    """

    def __init__(self, path: str | os.PathLike | bytes, threads: int = 2,
                 providers: Sequence[str] = ("CPUExecutionProvider",)):
        content = isinstance(path, (bytes, bytearray))
        model = bytes(path) if content else checks.existing_file("model", os.fspath(path), "Give a .onnx file.")
        shown = f"{len(model)} bytes" if content else model
        try:
            import onnxruntime
        except ImportError as failure:
            raise checks.missing("model", "the package onnxruntime", shown, "onnx") from failure
        for provider in providers:
            checks.one_of("providers", provider, onnxruntime.get_available_providers())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = checks.positive_integer("threads", threads)
        options.log_severity_level = 3  # errors
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=list(providers))
            given, made = self._session.get_inputs()[0], self._session.get_outputs()[0]
            metadata = in_properties(self._session.get_modelmeta().custom_metadata_map)
            self._input, self._output = given.name, made.name  # of a damaged file they may be no text
            taken, answer = ([side if isinstance(side, int) else None for side in tensor.shape]
                             for tensor in (given, made))
        except Exception as failure:  # ONNX Runtime has a class of its own for every status, with no common one
            raise ValueError(checks.sentence("model", "must be an ONNX file that ONNX Runtime takes", shown,
                                             f"It says: {str(failure).rstrip('.')}.")) from failure
        classes = answer[-1] if len(answer) == 4 else classes_in(metadata)
        labels_only = len(answer) == 3 or (metadata or {}).get("output") == "labels"
        if (len(self._session.get_inputs()) != 1 or given.type not in _DTYPES or len(taken) != 4 or taken[-1] is None
                or len(answer) not in (3, 4) or not classes or labels_only and "int" not in made.type):
            raise ValueError(checks.sentence(
                "model", "must be an ONNX file from pixels [B, H, W, channels] to logits [B, H, W, classes], or to "
                "labels in integers", shown, "Export it with kseg.export.onnx."))
        super().__init__(taken[1:], classes, answer=answer[1:3], batch_size=taken[0], dtype=_DTYPES[given.type],
                         labels_only=labels_only, metadata=metadata)

    def run(self, batch: np.ndarray) -> np.ndarray:
        pixels = (np.rint(batch) if self.dtype.kind in "ui" else batch).astype(self.dtype)
        try:
            answer, = self._session.run([self._output], {self._input: pixels})
        except Exception as failure:  # see above
            raise ValueError(checks.sentence(
                "model", "must be an ONNX file that can be run", f"pixels {batch.shape}",
                f"ONNX Runtime says: {' '.join(str(failure).split()).rstrip('.')}. Export it again.")) from failure
        return answer if self.labels_only else answer.astype(np.float32, copy=False)
