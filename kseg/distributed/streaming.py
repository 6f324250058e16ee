"""A Ray dataset through workers that each hold a model, and their answers as they come."""

import collections
import contextlib
import hashlib
import logging
import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from kseg.distributed.answers import Raised, answer_of, checked, deadly, pickled_answer, sentences
from kseg.distributed.cluster import Workers

if TYPE_CHECKING:
    import ray.data

_BLOCK = 16 * 2 ** 20  # bytes of encoded images that a worker takes at once, at most
_PIECES = 20_000  # that the rows of a dataset lie in at most, for each costs the program memory
_ROWS = 8  # in a piece at least
_DEATHS = 3  # of a worker, at most


@contextlib.contextmanager
def quiet_data() -> Iterator[None]:
    """Make the datasets of the block in small pieces, and keep Ray Data's own reports off the terminal."""
    from ray.data import DataContext

    with warnings.catch_warnings():  # a deprecated setting of its own
        warnings.simplefilter("ignore", DeprecationWarning)
        context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.target_max_block_size = _BLOCK
    context.use_datasource_v2 = False  # its threads import fsspec at once and fail over it now and then (Ray 2.60)
    logger = logging.getLogger("ray.data")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with DataContext.current(context):
            yield
    finally:
        logger.setLevel(before)


def in_pieces(rows: list[dict[str, Any]], workers: int) -> "ray.data.Dataset":
    """Return the dataset of rows, in pieces that workers take their turns with.

    Nothing reads it in a task with a CPU of its own, which would wait for ever where the workers have them all.
    """
    import pyarrow
    import ray.data

    size = max(_ROWS, -(-len(rows) // _PIECES)) if len(rows) > _ROWS * workers else -(-len(rows) // workers)
    return ray.data.from_arrow([pyarrow.Table.from_pylist(rows[first:first + size])
                                for first in range(0, len(rows), size)])


def on_one_worker(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what `function` returns in a worker without a GPU; what it raises is raised here."""
    import ray

    once = {"max_calls": 1} if ray.cluster_resources().get("GPU") else {}  # TensorFlow saw no GPU there
    task = ray.remote(num_cpus=0.1, max_retries=0, **once)(pickled_answer)
    with sentences(None):
        answer, said = pickle.loads(ray.get(task.remote(function, *arguments)))
    return checked(answer, said, set())


def stream(dataset: "ray.data.Dataset", worker: type, arguments: dict[str, Any], workers: Workers,
           rows: int) -> Iterator[Any]:
    """Yield the answers of `worker(**arguments)`, made once in every process, to each `rows` rows of a dataset.

    A process that dies is made anew and its rows are given again, up to three times. Warnings about data are passed on.

    Args:
        dataset: `ray.data.Dataset`, read as it is used.
        worker: class whose instances are called with a list of rows, dicts.
        arguments: of the class.
        workers: `Workers`.
        rows: int, at most so many are given at once.
    Raises:
        Exception: the first that the class or an instance raised.
        ChildProcessError: if processes keep dying.
    """
    import ray
    from ray.data import ActorPoolStrategy

    deaths = ray.remote(num_cpus=0)(_Deaths).remote(workers.count)
    answers = dataset.map_batches(
        _Guarded, fn_constructor_args=(worker, arguments, deaths, workers.cpus), batch_size=rows,
        batch_format="pyarrow", num_cpus=workers.cpus, num_gpus=workers.gpus,
        compute=ActorPoolStrategy(size=workers.count, max_tasks_in_flight_per_actor=2))
    seen: set[str] = set()
    with sentences(workers.count):
        for table in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
            for content in table["answer"]:
                yield checked(*pickle.loads(content.as_py()), seen)


class _Deaths:
    """An actor that knows what has been begun how often: Ray itself would make dying workers anew for ever."""

    def __init__(self, workers):
        self._workers, self._begun, self._made = workers, collections.Counter(), 0

    def made(self):
        """Return whether a process that begins to open the model may, or one after the other has died over it."""
        self._made += 1
        return self._made <= self._workers * (1 + _DEATHS)

    def begun(self, rows):
        """Return whether `rows`, a digest, may be begun, or have been the end of several processes."""
        self._made = 0
        self._begun[rows] += 1
        return self._begun[rows] <= 1 + _DEATHS

    def ended(self, rows):
        """Forget rows that are done."""
        del self._begun[rows]


class _Guarded:
    """The worker inside Ray's actor: what it raises is an answer too, for Ray would try again and wrap it."""

    def __init__(self, worker, arguments, deaths, cpus):
        import ray

        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        for kind in ("INTRAOP", "INTEROP"):  # else the workers of a machine would each start threads for all of it
            os.environ.setdefault(f"TF_NUM_{kind}_THREADS", str(max(1, int(cpus))))
        self._deaths, self._failure = deaths, None
        if ray.get(deaths.made.remote()):
            self._worker, self._said = answer_of(worker, **arguments)
        else:
            self._worker, self._said = Raised(ChildProcessError(deadly(1 + _DEATHS, "while they opened the model"))), []

    def __call__(self, table):
        import ray

        rows, said, self._said = table.to_pylist(), self._said, []
        digest = hashlib.sha256(repr(rows).encode()).hexdigest()
        if isinstance(self._worker, Raised):
            answer = self._worker
        elif ray.get(self._deaths.begun.remote(digest)):
            answer, more = answer_of(self._worker, rows)
            said = [*said, *more]
        else:
            names = {name: value for name, value in rows[0].items() if isinstance(value, (str, int))}
            where = f"over {names} or one of the {len(rows) - 1} after it"
            answer = Raised(ChildProcessError(deadly(1 + _DEATHS, where)))
        self._deaths.ended.remote(digest)
        return {"answer": [pickle.dumps((answer, said))]}
