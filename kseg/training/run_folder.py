"""The folder of a run: the one owner of the names of its files."""

import os


class RunFolder:
    """Paths in the folder of a run.

    Args:
        path: the folder, which need not exist.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.fspath(path)
        self.report = os.path.join(self.path, "run.json")
        self.state = os.path.join(self.path, "state.npz")
        self.best = os.path.join(self.path, "best.keras")
        self.last = os.path.join(self.path, "last.keras")
        self.history = os.path.join(self.path, "history.csv")
        self.curve = os.path.join(self.path, "curve.png")
        self.panel = os.path.join(self.path, "panel.png")
        self.tensorboard = os.path.join(self.path, "tensorboard")

    def holds_a_run(self) -> bool:
        """Return whether a run was begun here."""
        return os.path.exists(self.report)
