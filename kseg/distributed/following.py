"""What the driver of a training shows while workers train: a bar in the terminal, one line per epoch, warnings."""

import threading
import time
import typing
import warnings

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

SECONDS_BETWEEN_LOOKS = 0.3


class Followed:
    """Reads a `kseg.distributed.board.Board` in a thread of its own while the block runs, and shows what it says.

    Args:
        board: handle of the actor.
        verbose: 0 silent, 1 a bar and a line per epoch, 2 a line per epoch.
    Attributes:
        failures: list of (kind, text, worker, machine), what went wrong in workers so far.
    """

    def __init__(self, board: typing.Any, verbose: int) -> None:
        self._board, self._verbose = board, verbose
        self.failures: list[tuple[str, str, int, str]] = []
        self._console = Console(highlight=False, soft_wrap=True, quiet=not verbose)
        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                             console=self._console, transient=True, disable=verbose != 1)
        self._ended, self._lock, self._task = threading.Event(), threading.Lock(), None
        self._epoch, self._epochs, self._began = 0, 0, time.monotonic()
        self._warned: list[str] = []

    def __enter__(self) -> "Followed":
        self._bar.start()
        self._task = self._bar.add_task("workers start", total=None)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *failure) -> None:
        self._ended.set()
        self._thread.join()
        if failure[0] is None:
            self.look()
        self._bar.stop()
        for text in self._warned:  # here, as a warning that is made an error would end the thread
            warnings.warn(text, stacklevel=3)

    def say(self, text: str) -> None:
        """Show a line."""
        self._console.print(text, markup=False)

    def look(self) -> None:
        """Read the board now."""
        import ray

        with self._lock:
            for kind, value in ray.get(self._board.take.remote()):
                getattr(self, f"_{kind}")(value)

    def _follow(self):
        while not self._ended.wait(SECONDS_BETWEEN_LOOKS):
            try:
                self.look()
            except Exception:  # the cluster is gone, of which the main thread hears too
                return

    def _start(self, value):
        (self._epoch, self._epochs, steps), self._began = value, time.monotonic()
        self._bar.reset(self._task, total=steps, description=f"epoch {self._epoch + 1}/{self._epochs}")

    def _step(self, done):
        self._bar.update(self._task, completed=done)

    def _scores(self, values):
        shown = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        self.say(f"epoch {self._epoch + 1}/{self._epochs}  {time.monotonic() - self._began:.1f} s  {shown}")

    def _warning(self, text):
        self._warned.append(text)

    def _failure(self, value):
        self.failures.append(tuple(value))
