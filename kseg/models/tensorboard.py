"""`keras.callbacks.TensorBoard` needs a package that TensorFlow no longer brings."""

import importlib.util
from typing import Any

import keras

from kseg import checks


def require_tensorboard(callbacks: Any) -> None:
    """Refuse `keras.callbacks.TensorBoard` among `callbacks` where it would fail when the first epoch ends.

    Args:
        callbacks: as `keras.Model.fit` takes them.
    Raises:
        ImportError: if tensorboard is not installed.
    """
    for callback in keras.tree.flatten(callbacks):
        if isinstance(callback, keras.callbacks.TensorBoard) and importlib.util.find_spec("tensorboard") is None:
            raise checks.missing("callbacks", "the package tensorboard", type(callback).__name__, "tensorboard")
