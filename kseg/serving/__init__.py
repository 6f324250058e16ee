"""Talking to TensorFlow Serving: a client, and the files a server starts from. Loads neither TensorFlow nor Keras."""

from kseg._lazy import attach

_PUBLIC = {
    "Client": "kseg.serving.client",
    "ServingError": "kseg.serving.errors",
    "batching_parameters": "kseg.serving.config",
    "docker_command": "kseg.serving.config",
    "models_config": "kseg.serving.config",
    "write_config": "kseg.serving.config",
}
__all__ = sorted(_PUBLIC)
__getattr__, __dir__ = attach(__name__, _PUBLIC)
