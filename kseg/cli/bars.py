"""A bar of images in the terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def image_bar(description: str, quiet: bool) -> Iterator[Callable[..., None]]:
    """Yield `move(done, total, description=None)`, which moves a bar on stderr; none if `quiet` or no terminal."""
    if quiet or not sys.stderr.isatty():  # rich before 15 prints an empty line even of a bar that is switched off
        yield lambda done, total, description=None: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True),
                  transient=True) as bars:
        task = bars.add_task(description, total=None)
        yield lambda done, total, description=None: bars.update(task, completed=done, total=total,
                                                                description=description)
