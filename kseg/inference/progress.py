"""The progress bar of inference in the terminal."""

import contextlib
from collections.abc import Callable, Iterator

from rich.progress import Progress


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
