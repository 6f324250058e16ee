"""A model on its way to the workers: by the path that they see too, or by its content."""

import hashlib
import os
import tempfile
from typing import TYPE_CHECKING

from kseg import checks

if TYPE_CHECKING:
    import keras

    from kseg.inference.runners import Runner


class SentModel:
    """A model as it is sent to workers, each of which opens it once.

    Args:
        model: path or name as `kseg.predict` takes it, or a `keras.Model`, whose content is sent.
    Attributes:
        name: str, as `kseg.evaluate` calls the model.
        digest: str that tells it from another.
    Raises:
        TypeError: if it is neither.
        FileNotFoundError: if nothing stands at the path.
    """

    def __init__(self, model: "keras.Model | str | os.PathLike"):
        from kseg.pretrained.load import goes_by_name

        self._path, self._content = None, None
        if isinstance(model, (str, os.PathLike)):
            self.name = os.fspath(model)
            if os.path.exists(self.name):
                self._path = os.path.abspath(self.name)  # workers run in other folders
                self.digest = _digest_of_files(self._path)
            elif goes_by_name(self.name):
                self._path = self.digest = self.name
            else:
                raise FileNotFoundError(checks.sentence(
                    "model", "must be the path of a file", self.name,
                    "Give a .keras, .tflite or .onnx file, or a SavedModel folder."))
            return
        import keras

        if not isinstance(model, keras.Model):
            raise TypeError(checks.sentence(
                "model", "must be a keras.Model, or the path of a .keras, .tflite or .onnx file or a SavedModel folder",
                type(model).__name__, "Give the path of the file that it was opened from."))
        self.name = model.name
        digest = hashlib.sha256(f"{model.to_json()}{getattr(model, 'threshold', None)}".encode())
        for array in model.get_weights():
            digest.update(array.tobytes())
        self.digest = digest.hexdigest()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.keras")
            model.save(path)
            with open(path, "rb") as file:
                self._content = file.read()

    def opened(self) -> "Runner":
        """Return the model, ready to run; in the worker.

        Raises:
            FileNotFoundError: if this machine does not see its path.
        """
        from kseg.inference.runners import runner_for
        from kseg.pretrained.load import goes_by_name

        if self._content is None:
            if not os.path.exists(self._path) and not goes_by_name(self._path):
                raise FileNotFoundError(checks.sentence(
                    "model", "must be a path that every worker sees", self._path, "Put it on a file system that all "
                    "machines share, or pass the loaded keras.Model, whose content is sent to them."))
            return runner_for(self._path)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.keras")
            with open(path, "wb") as file:
                file.write(self._content)
            return runner_for(path)


def _digest_of_files(path):
    digest = hashlib.sha256()
    files = [path] if os.path.isfile(path) else sorted(
        os.path.join(place, name) for place, _, names in os.walk(path) for name in names)
    for file in files:
        digest.update(os.path.relpath(file, path).encode())
        with open(file, "rb") as content:
            while block := content.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()
