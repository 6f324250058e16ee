"""What runs in each worker of a training: the loop of `kseg.training`, with a share of it."""

import contextlib
import os
import socket
import time
import typing
import warnings
from collections.abc import Iterator

import keras
import ray
import ray.train
import tensorflow as tf

from kseg import checks
from kseg.distributed.answers import is_out_of_memory
from kseg.distributed.collectives import Collectives
from kseg.distributed.shared_training import SharedTraining
from kseg.distributed.storage import Storage
from kseg.training.adversarial.recipe import recipe_from_dict
from kseg.training.run import run
from kseg.training.run_folder import RunFolder

SECONDS_BETWEEN_STEPS = 0.5  # that the first worker tells of
_LOST_PEER = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError,
              tf.errors.DeadlineExceededError)


def work(settings: dict[str, typing.Any]) -> None:
    """Train this worker's share; Ray Train calls it in a process of its own.

    Args:
        settings: `recipe` (its `to_dict`), `output`, `folder` (the driver's working one), `board` (a handle of
            `kseg.distributed.board.Board`), `start` (a name of this start of all workers).
    """
    context = ray.train.get_context()
    index, count = context.get_world_rank(), context.get_world_size()
    with contextlib.suppress(OSError):
        os.chdir(settings["folder"])  # what relative paths of the recipe start from
    with _told(settings["board"], index, settings["recipe"]["batch_size"]):
        collectives = Collectives(_met(settings["board"], settings["start"], index, count), index)
        storage = Storage(settings["output"])
        if not storage.is_url and not os.path.isdir(storage.place):
            raise FileNotFoundError(checks.sentence("output", "must be a folder that every worker sees", storage.place,
                                                    "Choose a path that all machines share, or a URL."))
        names = () if index == 0 else ("state.npz",)
        with storage.local(*names) as folder:
            known = storage.stamps(folder)
            after = [_Told(settings["board"], storage, folder, known)] if index == 0 else []
            try:
                run(recipe_from_dict(settings["recipe"]), folder, 0, (), SharedTraining(collectives, after))
            finally:
                if index == 0:  # what ended it, too
                    storage.keep(folder, known)


def _met(board, start, index, count):
    """Return the addresses of all workers, this one's a free port of its machine."""
    with socket.socket() as free:
        free.bind(("", 0))
        address = f"{ray.util.get_node_ip_address()}:{free.getsockname()[1]}"
    while len(known := ray.get(board.meet.remote(start, index, address))) < count:
        time.sleep(0.1)
    return [known[worker] for worker in range(count)]


class _Told(keras.callbacks.Callback):
    """Tells the driver of steps and epochs; puts each epoch's files where they belong."""

    def __init__(self, board, storage: Storage, folder: RunFolder, known: dict[str, tuple]) -> None:
        super().__init__()
        self.board, self.storage, self.folder, self.known = board, storage, folder, known
        self._told = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._tell("start", (epoch, self.params["epochs"], self.params["steps"]))

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() > self._told + SECONDS_BETWEEN_STEPS:
            self._told = time.monotonic()
            self._tell("step", batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        self.storage.keep(self.folder, self.known)
        self._tell("scores", {name: float(value) for name, value in (logs or {}).items()})

    def _tell(self, kind, value):
        self.board.post.remote(kind, value)


@contextlib.contextmanager
def _told(board, index: int, batch_size: int) -> Iterator[None]:
    """Hand the driver the first worker's warnings, and what went wrong in any; a lost peer is Ray's to tell."""
    with warnings.catch_warnings():
        if index == 0:
            warnings.showwarning = lambda message, *_, **__: board.post.remote("warning", str(message))
        try:
            yield
        except _LOST_PEER:
            raise
        except Exception as failure:
            kinds, text = [one.__name__ for one in type(failure).__mro__], str(failure)
            if is_out_of_memory(failure):
                kinds = ["ValueError"]
                text = checks.sentence("batch_size", "must be low enough for the memory of each worker", batch_size,
                                       "Lower it or image_size, or split it over more machines.")
            ray.get(board.post.remote("failure", (kinds, text, index, socket.gethostname())))
            raise
