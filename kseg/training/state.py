"""The whole state of a training run in one file: what a killed run goes on from.

Keras's BackupAndRestore leaves out the seeds of dropout layers and writes weights and epoch in two files, between
which a kill can fall; here all is one file, which appears whole.
"""

import json
import os
import typing
from collections.abc import Sequence

import keras
import numpy as np

from kseg import checks, files


def save(path: str | os.PathLike, variables: Sequence[keras.Variable], facts: dict[str, typing.Any]) -> None:
    """Write the values of `variables`, and `facts`.

    Args:
        path: str, `.npz`; replaced in one move.
        variables: of the model and its optimisers, random seeds included (`Fitted.variables`).
        facts: JSON-ready values: history, best so far.
    """
    arrays = {f"variable_{index}": variable.numpy() for index, variable in enumerate(variables)}
    with files.draft(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
        file.flush()
        os.fsync(file.fileno())


def facts(path: str | os.PathLike) -> dict[str, typing.Any]:
    """Return the facts saved at `path`, without reading the variables."""
    with np.load(path) as stored:
        return json.loads(stored["facts"].tobytes().decode())


def restore(path: str | os.PathLike, variables: Sequence[keras.Variable]) -> None:
    """Set `variables` to the values saved at `path`.

    Raises:
        ValueError: if the file belongs to another model or optimiser.
    """
    with np.load(path) as stored:
        arrays = [stored[f"variable_{index}"] for index in range(len(stored.files) - 1)]  # one file holds the facts
    if [array.shape for array in arrays] != [tuple(variable.shape) for variable in variables]:
        raise ValueError(checks.sentence(
            "output_dir", "must hold the state of this model and optimiser", str(path),
            "Resume with the versions of kseg and Keras that began the run, or begin anew in another folder."))
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
