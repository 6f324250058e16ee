"""Talking to TensorFlow Serving: a client, and the files a server starts from. Loads neither TensorFlow nor Keras."""

from typing import TYPE_CHECKING

from kseg._lazy import attach

if TYPE_CHECKING:  # the same names for editors and type checkers; a test holds the two equal
    from kseg.serving.client import Client as Client
    from kseg.serving.config import batching_parameters as batching_parameters
    from kseg.serving.config import docker_command as docker_command
    from kseg.serving.config import models_config as models_config
    from kseg.serving.config import write_config as write_config
    from kseg.serving.errors import ServingError as ServingError

_PUBLIC = {
    "Client": "kseg.serving.client",
    "ServingError": "kseg.serving.errors",
    "batching_parameters": "kseg.serving.config",
    "docker_command": "kseg.serving.config",
    "models_config": "kseg.serving.config",
    "write_config": "kseg.serving.config",
}
__all__ = sorted(_PUBLIC)
if not TYPE_CHECKING:  # else every misspelt name would pass
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
