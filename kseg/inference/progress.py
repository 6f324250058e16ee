"""The progress of inference in the terminal."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

_SECONDS_BETWEEN_LINES = 10


@contextlib.contextmanager
def progress_bar(shown: bool, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Yield `advance(steps, total=None)`, which moves a bar in the terminal, or does nothing where it is not `shown`.

    Args:
        shown: whether a bar is drawn.
        total: the steps until all is done; None if the first `advance` will tell.
    """
    if not shown:
        yield lambda steps, total=None: None
        return
    with Progress(transient=True) as progress:
        task = progress.add_task("predict", total=total)
        yield lambda steps, total=None: progress.update(task, advance=steps, total=total)


@contextlib.contextmanager
def job_progress(shown: bool, total: int | None, done: int = 0) -> Iterator[Callable[[int, int, int], None]]:
    """Yield `advance(images, errors, new)` of a job of many images: how many are done, how fast, how many went wrong.

    In a terminal a bar is drawn; into a file goes a line every ten seconds. `new` of the images were not done before;
    they make the speed.

    Args:
        shown: whether anything is.
        total: images of the job, or None where only their end will tell.
        done: images that were done before.
    """
    console, began = Console(stderr=True), time.monotonic()
    tally, last = {"images": done, "errors": 0, "new": 0}, [began]

    def described():
        rate = tally["new"] / max(time.monotonic() - began, 1e-3)
        return (f"{tally['images']}{'' if total is None else f'/{total}'} images  {rate:.1f} per second  "
                f"{tally['errors']} unreadable")

    def count(images, errors, new):
        for name, number in zip(tally, (images, errors, new)):
            tally[name] += number

    def line(images, errors, new):
        count(images, errors, new)
        if time.monotonic() - last[0] > _SECONDS_BETWEEN_LINES:
            last[0] = time.monotonic()
            console.print(described(), markup=False, highlight=False)

    if not shown or not console.is_terminal:
        yield line if shown else count
        return
    with Progress(BarColumn(), TextColumn("{task.description}"), console=console, transient=True) as progress:
        task = progress.add_task(described(), total=total, completed=done)

        def move(images, errors, new):
            count(images, errors, new)
            progress.update(task, completed=tally["images"], description=described())

        yield move
