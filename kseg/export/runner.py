"""Exported models as functions of NumPy arrays."""

import os

import numpy as np

from kseg import checks
from kseg.export.metadata import read_metadata


class TFLiteModel:
    """A `.tflite` file of kseg, ready to call.

    Args:
        path: str or path of the file, or bytes, its content.
        threads: int, threads of the interpreter. Default 2.
    Attributes:
        metadata: dict, see `kseg.export.read_metadata`; None for bytes.
        image_size: (height, width) it takes.
    """

    def __init__(self, path, threads=2):
        from ai_edge_litert.interpreter import Interpreter

        checks.positive_integer("threads", threads)
        if isinstance(path, (bytes, bytearray)):
            self.metadata = None
            self._interpreter = Interpreter(model_content=bytes(path), num_threads=threads)
        else:
            self.metadata = read_metadata(checks.existing_file("path", path))
            self._interpreter = Interpreter(model_path=os.fspath(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self.image_size = tuple(int(side) for side in self._input["shape"][1:3])

    def __call__(self, pixels):
        """Return logits float32 `[B, H, W, classes]` or labels uint8 `[B, H, W]` of `pixels` `[B, H, W, C]`, 0-255."""
        pixels = np.asarray(pixels)
        if pixels.ndim != 4 or pixels.shape[1:] != tuple(self._input["shape"][1:]):
            raise ValueError(checks.sentence(
                "pixels", f"must have shape [B, {', '.join(str(side) for side in self._input['shape'][1:])}], the size "
                "this file was exported for", pixels.shape, "Resize the image or export with its image_size."))
        return np.concatenate([self._run(image[None]) for image in pixels])

    def _run(self, image):
        dtype = self._input["dtype"]
        values = np.clip(np.round(image), 0, 255) if dtype == np.uint8 else image
        self._interpreter.set_tensor(self._input["index"], values.astype(dtype))
        self._interpreter.invoke()
        result = self._interpreter.get_tensor(self._output["index"])
        scale, zero_point = self._output["quantization"]
        return (result.astype(np.float32) - zero_point) * np.float32(scale) if scale else result


class SavedModelRunner:
    """A SavedModel folder of kseg, ready to call: pixels `[B, H, W, C]` 0-255 to float32 logits `[B, H, W, classes]`.

    Args:
        path: str or path of the folder.
    Attributes:
        metadata: dict, see `kseg.export.read_metadata`.
        signatures: the TensorFlow functions of the folder by name.
    """

    def __init__(self, path):
        import tensorflow as tf

        self.metadata = read_metadata(checks.existing_folder("path", path))
        self._loaded = tf.saved_model.load(os.fspath(path))
        self.signatures = self._loaded.signatures

    def __call__(self, pixels):
        import tensorflow as tf

        return self.signatures["logits"](pixels=tf.constant(np.asarray(pixels), tf.float32))["logits"].numpy()
