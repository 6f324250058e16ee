"""How far a run is: the epochs done and the best of them; data, callbacks and record share one `Progress`."""

import dataclasses
import os
import typing

import numpy as np

from kseg.training import state


@dataclasses.dataclass
class Progress:
    """The course of a run so far.

    Args:
        history: list of dicts, one per finished epoch.
        best: dict of `mean_iou`, `epoch` (from 1; 0: none yet) and `confusion`, nested lists `[classes][classes]`.
    """

    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best: dict[str, typing.Any] = dataclasses.field(
        default_factory=lambda: {"mean_iou": -1.0, "epoch": 0, "confusion": None})

    def __post_init__(self) -> None:
        self.epoch = self.epochs_done  # the one in progress, from 0; the training data asks for it

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Progress":
        """Return the progress saved with the state at `path`; that of a new run if there is none."""
        if not os.path.exists(path):
            return cls()
        facts = state.facts(path)
        return cls(facts["history"], facts["best"])

    @property
    def epochs_done(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    def facts(self) -> dict[str, typing.Any]:
        """Return what `read` needs, as JSON-ready values."""
        return {"epochs": self.epochs_done, "history": self.history, "best": self.best}

    def stopped_early(self, patience: int | None) -> bool:
        """Return whether `patience` validations came after the best, so that `EarlyStopping` has acted."""
        scores = [row["val_mean_iou"] for row in self.history if "val_mean_iou" in row]
        return patience is not None and bool(scores) and len(scores) - 1 - int(np.argmax(scores)) >= patience
