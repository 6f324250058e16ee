"""SavedModel folders."""

import os

import numpy as np

from kseg import checks
from kseg.inference.metadata import found_metadata
from kseg.inference.runners.interface import Runner


class SavedModelRunner(Runner):
    """A SavedModel folder: of `kseg.export.saved_model`, or any with a signature from pixels to logits.

    Args:
        path: str or path of the folder.
    Attributes:
        signatures: the TensorFlow functions of the folder by name.
    Raises:
        FileNotFoundError: if no SavedModel stands at `path`.
        ValueError: if no signature is from pixels to logits.
    """

    def __init__(self, path: str | os.PathLike):
        import tensorflow as tf

        path = os.fspath(path)
        if not os.path.isfile(os.path.join(path, "saved_model.pb")):
            raise FileNotFoundError(checks.sentence(
                "model", "must be a SavedModel folder, with saved_model.pb inside", path,
                "Give the version folder itself, for example serving/street/1."))
        self._loaded = tf.saved_model.load(path)  # the signatures do not keep the variables alive
        self.signatures = self._loaded.signatures
        self._signature, self._input, self._output = _signature_of_logits(self.signatures)
        given = self._signature.structured_input_signature[1][self._input]
        made = self._signature.structured_outputs[self._output].shape
        super().__init__(given.shape[1:], made[-1], answer=made[1:3], batch_size=1 if given.shape[0] == 1 else None,
                         dtype=given.dtype.as_numpy_dtype, metadata=found_metadata(path))

    def run(self, batch: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        pixels = (np.rint(batch) if self.dtype.kind in "ui" else batch).astype(self.dtype)
        return np.asarray(self._signature(**{self._input: tf.constant(pixels)})[self._output], np.float32)


def _signature_of_logits(signatures):
    """Return a signature from pixels to logits, the name of its input and that of its output."""
    for name in ("logits", "serving_default", *signatures):
        if name in signatures:
            inputs, outputs = signatures[name].structured_input_signature[1], signatures[name].structured_outputs
            scores = [key for key, output in outputs.items()
                      if output.shape.rank == 4 and output.shape[-1] is not None and output.dtype.is_floating]
            if len(inputs) == 1 and scores:
                (pixels, spec), = inputs.items()
                if spec.shape.rank == 4 and spec.shape[-1] is not None:
                    return signatures[name], pixels, "logits" if "logits" in scores else scores[0]
    raise ValueError(checks.sentence(
        "model", "must have a signature from pixels [B, H, W, channels] to logits", sorted(signatures),
        "Export it with kseg.export.saved_model."))
