"""What a function returned, raised or warned of in another process, and what Ray says of processes as sentences."""

import contextlib
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kseg import checks
from kseg.data.guards import DataWarning

_LESS = ("The usual cause is memory: take fewer workers or a smaller batch_size, or a window, by which large images "
         "are not taken whole.")
_AGAIN = "Then run the same again."


class Raised(NamedTuple):
    """What a function raised, in the place of what it would have returned."""

    failure: Exception


def answer_of(function: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, list[str]]:
    """Return (what a function returned, or `Raised`; the warnings about data)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        try:
            answer = function(*arguments, **options)
        except Exception as failure:
            answer = Raised(_portable(failure))
    return answer, [str(one.message) for one in caught if issubclass(one.category, DataWarning)]


def pickled_answer(function: Callable[..., Any], *arguments: Any) -> bytes:
    """Return `answer_of` as bytes: arrays that Ray hands over itself cannot be written to."""
    return pickle.dumps(answer_of(function, *arguments))


def _portable(failure):
    """Return an exception that can be sent to another process."""
    if is_out_of_memory(failure):
        return MemoryError(str(failure).splitlines()[0])
    try:
        pickle.loads(pickle.dumps(failure))
    except Exception:  # some of TensorFlow's cannot
        return RuntimeError("".join(traceback.format_exception(failure)))
    return failure


def is_out_of_memory(failure: Exception) -> bool:
    """Whether memory was refused, by Python or by TensorFlow."""
    return isinstance(failure, MemoryError) or type(failure).__name__ == "ResourceExhaustedError"


def checked(answer: Any, said: list[str], seen: set[str]) -> Any:
    """Return an answer, having told of warnings not `seen` before; raise what was raised."""
    for text in said:
        if text not in seen:
            seen.add(text)
            warnings.warn(text, DataWarning, stacklevel=4)
    if isinstance(answer, Raised):
        if isinstance(answer.failure, MemoryError):
            raise ChildProcessError(_no_memory(None)) from answer.failure
        raise answer.failure
    return answer


@contextlib.contextmanager
def sentences(workers: int | None) -> Iterator[None]:
    """Turn what Ray raises into a sentence."""
    import ray

    try:
        yield
    except ray.exceptions.RayError as failure:
        causes, one = [], failure
        while one is not None and one not in causes:
            causes.append(one)
            one = getattr(one, "cause", None) or one.__cause__
        raise _of_ray(causes, workers) from failure


def _of_ray(causes, workers):
    """Return the error, with its sentence, for an exception of Ray and its causes."""
    from ray import exceptions

    text = " ".join(str(one) for one in causes)
    if any(isinstance(one, exceptions.OutOfMemoryError) for one in causes):
        return ChildProcessError(_no_memory(workers))
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")
    lost = (exceptions.RayActorError, exceptions.WorkerCrashedError, exceptions.NodeDiedError)
    if any(isinstance(one, exceptions.RayTaskError) for one in causes) and not any(
            isinstance(one, lost) for one in causes):  # a worker's own errors are answers: this is Ray's reading
        return ValueError(checks.sentence("images", "must be records that can be read", last,
                                          f"Replace the damaged file. {_AGAIN}"))
    return ChildProcessError(checks.sentence("workers", f"must live, and Ray has lost one ({last})", workers,
                                             f"{_LESS} {_AGAIN}"))


def deadly(times: int, when: str) -> str:
    """Return the sentence about processes that died, each before it could say why."""
    return checks.sentence("workers", f"must live, and {times} have died {when}", "dead", f"{_LESS} {_AGAIN}")


def _no_memory(workers):
    return checks.sentence("workers", "must fit into the memory of their machines, and one ran out of it", workers,
                           f"{_LESS} {_AGAIN}")
