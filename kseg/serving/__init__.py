"""Talking to TensorFlow Serving: a client, and the files a server starts from; and a page served on this machine.

The client loads neither TensorFlow nor Keras; `LocalServer` and `serve`, which run the model, do.
"""

from typing import TYPE_CHECKING

from kseg._lazy import attach

if TYPE_CHECKING:  # the same names for editors and type checkers; a test holds the two equal
    from kseg.serving.client import Client as Client
    from kseg.serving.config import batching_parameters as batching_parameters
    from kseg.serving.config import docker_command as docker_command
    from kseg.serving.config import models_config as models_config
    from kseg.serving.config import write_config as write_config
    from kseg.serving.errors import ServingError as ServingError
    from kseg.serving.local_server import LocalServer as LocalServer
    from kseg.serving.local_server import serve as serve

_PUBLIC = {
    "Client": "kseg.serving.client",
    "LocalServer": "kseg.serving.local_server",
    "ServingError": "kseg.serving.errors",
    "batching_parameters": "kseg.serving.config",
    "docker_command": "kseg.serving.config",
    "models_config": "kseg.serving.config",
    "serve": "kseg.serving.local_server",
    "write_config": "kseg.serving.config",
}
__all__ = sorted(_PUBLIC)
if not TYPE_CHECKING:  # else every misspelt name would pass
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
