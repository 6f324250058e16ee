"""The progress bar of inference in the terminal."""

from rich.progress import Progress


class bar:
    """A progress bar, or None: `with bar(shown, total) as advance`, then `advance(steps)`."""

    def __init__(self, shown, total):
        self.progress = Progress(transient=True) if shown else None
        self.total = total

    def __enter__(self):
        if self.progress is None:
            return None
        self.progress.start()
        task = self.progress.add_task("predict", total=self.total)
        return lambda steps, total=None: self.progress.update(
            task, advance=steps, **({} if total is None else {"total": total}))

    def __exit__(self, *failure):
        if self.progress is not None:
            self.progress.stop()
