"""The whole state of a training run in one file: what a killed run goes on from, and how far it is.

Keras's BackupAndRestore leaves out the seeds of dropout layers and writes weights and epoch in two files, between
which a kill can fall; here all is one file, which appears whole.
"""

import dataclasses
import json
import os
import typing
from collections.abc import Sequence

import keras
import numpy as np

from kseg import archives, checks, files


def save(path: str | os.PathLike, variables: Sequence[keras.Variable], facts: dict[str, typing.Any]) -> None:
    """Write the values of `variables` (`Fitted.variables`) and `facts`, JSON-ready values, to `path`, in one move."""
    arrays = {f"variable_{index}": variable.numpy() for index, variable in enumerate(variables)}
    with files.draft(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
        file.flush()
        os.fsync(file.fileno())


def facts(path: str | os.PathLike) -> dict[str, typing.Any]:
    """Return the facts saved at `path`, without reading the variables.

    Raises:
        ValueError: if the file is damaged.
    """
    try:
        return json.loads(archives.read_npz(os.fspath(path), only="facts")["facts"].tobytes())
    except Exception as failure:  # zip, NumPy and JSON meet damage with errors of many kinds
        raise _damaged(path) from failure


def restore(path: str | os.PathLike, variables: Sequence[keras.Variable]) -> None:
    """Set `variables` to the values saved at `path`.

    Raises:
        ValueError: if the file is damaged, or belongs to another model or optimiser.
    """
    try:
        stored = archives.read_npz(os.fspath(path))
        arrays = [stored[f"variable_{index}"] for index in range(len(stored) - 1)]  # one file holds the facts
    except Exception as failure:
        raise _damaged(path) from failure
    if [array.shape for array in arrays] != [tuple(variable.shape) for variable in variables]:
        raise ValueError(checks.sentence(
            "output_dir", "must hold the state of this model and optimiser", str(path),
            "Resume with the versions of kseg and Keras that began the run, or begin anew in another folder."))
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _damaged(path):
    return ValueError(checks.sentence("output_dir", "must hold an undamaged state.npz", os.fspath(path),
                                      "Copy the folder again, or begin anew in another one."))


@dataclasses.dataclass
class Progress:
    """The course of a run so far."""

    history: list[dict[str, float]] = dataclasses.field(default_factory=list)  # one row per finished epoch
    best: dict[str, typing.Any] = dataclasses.field(  # epoch from 1; 0: none yet; confusion: `[classes][classes]`
        default_factory=lambda: {"mean_iou": -1.0, "epoch": 0, "confusion": None})
    per_class: list[dict[str, typing.Any]] = dataclasses.field(  # one per validation: "epoch", "iou" `[classes]`
        default_factory=list)

    def __post_init__(self) -> None:
        self.epoch = self.epochs_done  # the one in progress, from 0; the training data asks for it

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Progress":
        """Return the progress saved with the state at `path`; that of a new run if there is none."""
        if not os.path.exists(path):
            return cls()
        stored = facts(path)
        if not isinstance(stored, dict) or not all(isinstance(stored.get(name), kind) for name, kind in
                                                   (("history", list), ("best", dict))):
            raise _damaged(path)
        return cls(stored["history"], stored["best"], stored.get("per_class", []))

    @property
    def epochs_done(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    def facts(self) -> dict[str, typing.Any]:
        """Return what `read` needs, as JSON-ready values."""
        return {"epochs": self.epochs_done, "history": self.history, "best": self.best, "per_class": self.per_class}

    def stopped_early(self, patience: int | None) -> bool:
        """Return whether `patience` validations came after the best, so that `EarlyStopping` has acted."""
        scores = [row["val_mean_iou"] for row in self.history if "val_mean_iou" in row]
        return patience is not None and bool(scores) and len(scores) - 1 - int(np.argmax(scores)) >= patience
