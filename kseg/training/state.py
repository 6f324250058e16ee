"""The whole state of a training run in one file: what a killed run goes on from.

Keras's BackupAndRestore leaves out the seeds of dropout layers and writes weights and epoch in two files, between
which a kill can fall; here one file is written beside and then moved into place.
"""

import json
import os

import numpy as np

from kseg import checks


def save(path, model, facts):
    """Write every variable of `model` and its optimiser, random seeds included, and `facts`.

    Args:
        path: str, `.npz`; replaced in one move.
        model: a compiled `keras.Model`; `optimizers` of it, if it has them, stand for its optimiser.
        facts: JSON-ready values: epoch, history, best so far.
    """
    arrays = {f"variable_{index}": variable.numpy() for index, variable in enumerate(_variables(model))}
    draft = f"{path}.part"
    with open(draft, "wb") as file:
        np.savez(file, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def restore(path, model):
    """Set `model` and its optimiser to the saved state and return the facts saved with it.

    Raises:
        ValueError: if the file belongs to another model or optimiser.
    """
    with np.load(path) as stored:
        variables = _variables(model)
        names = [name for name in stored.files if name != "facts"]
        shapes = [stored[f"variable_{index}"].shape for index in range(len(names))]
        if shapes != [tuple(variable.shape) for variable in variables]:
            raise ValueError(checks.sentence(
                "output_dir", "must hold the state of this model and optimiser", str(path),
                "Resume with the versions of kseg and Keras that began the run, or begin anew in another folder."))
        for index, variable in enumerate(variables):
            variable.assign(stored[f"variable_{index}"])
        return json.loads(stored["facts"].tobytes().decode())


def _variables(model):
    """Return the variables in a fixed order: weights, statistics, dropout seeds, then the optimisers'."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    optimizers = getattr(model, "optimizers", [model.optimizer])
    return [*model.variables, *(variable for optimizer in optimizers for variable in optimizer.variables)]
